"""Discover all devices of the local network, or query one at a known host."""

import asyncio
import ipaddress

from cameras.address import host_and_port
from cameras.onvif.device import Device, describe
from cameras.onvif.discovery import DiscoveryReply, discover
from cameras.onvif.replies import Scopes
from cameras.onvif.soap import OnvifLogin

_CONCURRENT_DEVICES = 16
_MAX_DEVICES = 256
_PATH = "/onvif/device_service"  # required by ONVIF


def discover_devices(
    interface: str | None, login: OnvifLogin | None, timeout_seconds: float
) -> list[Device]:
    """Search the local network for cameras, and query the streams of each.

    Args:
        interface: IPv4 address of the interface to use; None: by the routing table.
        login: Credentials for all devices; None: anonymous.
        timeout_seconds: How long to wait for discovery responses, and for each response of a
            device, > 0.

    Raises:
        ValueError: the interface is no IPv4 address.
        OnvifError: the interface cannot send.
    """
    try:
        interface = None if interface is None else str(ipaddress.IPv4Address(interface))
    except ValueError:
        raise ValueError(
            f"interface: want an IPv4 address of this machine, got {interface!r}"
        ) from None
    return asyncio.run(_discover_devices(interface, login, timeout_seconds))


def query_device(where: str, login: OnvifLogin | None, timeout_seconds: float) -> Device:
    """Query the device at a known host.

    Args:
        where: "host" or "host:port", "[address]:port" for IPv6.
        login: Credentials; None: anonymous.
        timeout_seconds: For each response, > 0.

    Raises:
        ValueError: it is no valid host.
    """
    service = device_service(where)
    return asyncio.run(describe(service, Scopes(), login, timeout_seconds))


def device_service(where: str) -> str:
    """Return the address of the device service at "host[:port]"; HTTPS on port 443.

    Raises:
        ValueError: it is no valid host.
    """
    wrong = f"host: want HOST or HOST:PORT, got {where!r}"
    if not where.isprintable() or any(one in "/@?#\\" or one.isspace() for one in where):
        raise ValueError("host: want no user or password in it" if "@" in where else wrong)
    try:
        _, port = host_and_port(f"http://{where}")
    except ValueError:
        raise ValueError(wrong) from None
    return f"{'https' if port == 443 else 'http'}://{where}{_PATH}"


async def _discover_devices(
    interface: str | None, login: OnvifLogin | None, timeout_seconds: float
) -> list[Device]:
    replies = (await discover(timeout_seconds, interface))[:_MAX_DEVICES]
    limit = asyncio.Semaphore(_CONCURRENT_DEVICES)

    async def describe_limited(reply: DiscoveryReply) -> Device:
        async with limit:
            return await _describe(reply, login, timeout_seconds)

    return list(await asyncio.gather(*map(describe_limited, replies)))


async def _describe(
    reply: DiscoveryReply, login: OnvifLogin | None, timeout_seconds: float
) -> Device:
    if reply.service:
        return await describe(reply.service, reply.scopes, login, timeout_seconds)
    why = f"it states no address of its own; query it with --host {reply.sender}"
    name, model = reply.scopes.name, reply.scopes.model
    return Device(f"http://{reply.sender}", name=name, model=model, code="no_onvif", problem=why)
