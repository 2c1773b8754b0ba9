"""All devices of the local network, or one at a known host."""

import asyncio
import ipaddress

from cameras.address import host_and_port
from cameras.onvif.device import Device, describe
from cameras.onvif.discovery import DiscoveryReply, discover
from cameras.onvif.replies import Scopes
from cameras.onvif.soap import Login

_AT_ONCE = 16
_MOST_DEVICES = 256
_PATH = "/onvif/device_service"  # ONVIF demands it


def survey(interface: str | None, login: Login | None, timeout_seconds: float) -> list[Device]:
    """Ask the local network for cameras, and each of them for its streams.

    Args:
        interface: IPv4 address of the interface to ask on; None: where the routes lead.
        login: Tried on all that answer; None: without.
        timeout_seconds: How long to wait for answers of the network, and for each answer of a
            device, > 0.

    Raises:
        ValueError: the interface is no IPv4 address.
        OnvifError: nothing can be sent there.
    """
    try:
        interface = None if interface is None else str(ipaddress.IPv4Address(interface))
    except ValueError:
        raise ValueError(
            f"interface: want an IPv4 address of this machine, got {interface!r}"
        ) from None
    return asyncio.run(_survey(interface, login, timeout_seconds))


def look(where: str, login: Login | None, timeout_seconds: float) -> Device:
    """Ask the device at a known host.

    Args:
        where: "host" or "host:port", "[address]:port" for IPv6.
        login: None: without.
        timeout_seconds: For each answer, > 0.

    Raises:
        ValueError: it is no host.
    """
    service = device_service(where)
    return asyncio.run(describe(service, Scopes(), login, timeout_seconds))


def device_service(where: str) -> str:
    """Address of the device service at "host[:port]"; on port 443 by HTTPS.

    Raises:
        ValueError: it is no host.
    """
    wrong = f"host: want HOST or HOST:PORT, got {where!r}"
    if not where.isprintable() or any(one in "/@?#\\" or one.isspace() for one in where):
        raise ValueError("host: want no user or password in it" if "@" in where else wrong)
    try:
        _, port = host_and_port(f"http://{where}")
    except ValueError:
        raise ValueError(wrong) from None
    return f"{'https' if port == 443 else 'http'}://{where}{_PATH}"


async def _survey(
    interface: str | None, login: Login | None, timeout_seconds: float
) -> list[Device]:
    answers = (await discover(timeout_seconds, interface))[:_MOST_DEVICES]
    places = asyncio.Semaphore(_AT_ONCE)

    async def describe_in_turn(answer: DiscoveryReply) -> Device:
        async with places:
            return await _describe(answer, login, timeout_seconds)

    return list(await asyncio.gather(*map(describe_in_turn, answers)))


async def _describe(answer: DiscoveryReply, login: Login | None, timeout_seconds: float) -> Device:
    if answer.service:
        return await describe(answer.service, answer.scopes, login, timeout_seconds)
    why = f"it names no address of its own; ask it by --host {answer.sender}"
    name, model = answer.scopes.name, answer.scopes.model
    return Device(f"http://{answer.sender}", name=name, model=model, code="no_onvif", problem=why)
