"""WS-Discovery: probes by multicast, responses by unicast.

One socket on one interface, which joins no multicast group: it receives only responses to these
probes.
"""

import asyncio
import ipaddress
import socket
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from cameras.address import host_and_port
from cameras.onvif.markup import MarkupError, local, parse
from cameras.onvif.replies import SCOPE, Scopes, read_scopes, same_host
from cameras.onvif.soap import OnvifError

GROUP = ("239.255.255.250", 3702)
"""Multicast address and port of WS-Discovery."""
_DEVICE_TYPES = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),  # some respond only to this one
)
_RESEND_SECONDS = 0.25  # a datagram may be lost
_MAX_DATAGRAM_BYTES = 65535
_MAX_DATAGRAMS = 1024
_MAX_SERVICES = 8  # per sender
_PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>
<a:MessageID>urn:uuid:{message}</a:MessageID>
<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>
<a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>
</s:Header><s:Body><d:Probe><d:Types xmlns:n="{namespace}">n:{kind}</d:Types></d:Probe></s:Body>
</s:Envelope>
"""


@dataclass(frozen=True, slots=True)
class DiscoveryReply:
    """One discovered device service."""

    sender: str
    """IP address of the responder."""
    service: str
    """Address of its device service at the sender, the only host to query; may be empty."""
    scopes: Scopes


async def discover(seconds: float, interface: str | None) -> list[DiscoveryReply]:
    """Search the local network for cameras.

    Args:
        seconds: How long to wait for responses, > 0.
        interface: IPv4 address of the interface to use; None: by the routing table.

    Returns:
        One reply for each device service, ordered by address.

    Raises:
        OnvifError: the interface cannot send.
    """
    messages = [str(uuid.uuid4()) for _ in _DEVICE_TYPES]
    probes = [
        _PROBE.format(message=message, namespace=namespace, kind=kind).encode()
        for message, (namespace, kind) in zip(messages, _DEVICE_TYPES, strict=True)
    ]
    found: dict[str, dict[str, DiscoveryReply]] = {}
    again = min(_RESEND_SECONDS, seconds / 2)
    try:
        with _socket(interface) as sock:
            for wait_seconds in (again, seconds - again):
                for probe in probes:
                    sock.sendto(probe, GROUP)
                for reply in await _receive(sock, wait_seconds, messages):
                    services = found.setdefault(reply.sender, {})
                    if len(services) < _MAX_SERVICES:
                        services.setdefault(reply.service, reply)
    except OSError as error:
        where = f"on the interface {interface}" if interface else "by the default route"
        raise OnvifError("network", f"cannot send {where}: {error.strerror or error}") from None
    replies = [reply for services in found.values() for reply in services.values()]
    return sorted(replies, key=lambda one: (ipaddress.ip_address(one.sender), one.service))


def read_probe_matches(data: bytes, sender: str, messages: Collection[str]) -> list[DiscoveryReply]:
    """Parse the cameras of a datagram.

    Args:
        data: The datagram; untrusted.
        sender: IP address of the sender.
        messages: UUIDs of the probes; a response to another one is ignored.
    """
    try:
        root = parse(data)
    except MarkupError:
        return []  # any host may send to this socket
    relates_to = (root.findtext("Header/RelatesTo") or "").strip().lower()
    if relates_to and not relates_to.endswith(tuple(messages)):
        return []
    return [
        DiscoveryReply(sender, _service_at(sender, _words(match, "XAddrs")), read_scopes(scopes))
        for match in root.iterfind("Body/ProbeMatches/ProbeMatch")
        if _is_camera(_words(match, "Types"), scopes := _words(match, "Scopes"))
    ]


def _service_at(sender: str, addresses: Sequence[str]) -> str:
    """Return the first address at the sender: others are untrusted or unreachable."""
    for address in addresses:
        try:
            host, _ = host_and_port(address)
        except (ValueError, KeyError):
            continue
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and address.isprintable() and same_host(host, sender):
            place = parts.netloc.rpartition("@")[2]
            return f"{parts.scheme}://{place}{parts.path or '/'}"
    return ""


def _is_camera(types: Sequence[str], scopes: Sequence[str]) -> bool:
    return "NetworkVideoTransmitter" in map(local, types) or any(
        scope.startswith(SCOPE) for scope in scopes
    )


def _words(element: Element, path: str) -> list[str]:
    return (element.findtext(path) or "").split()


def _socket(interface: str | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if interface is not None:
            packed = socket.inet_aton(interface)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, packed)
            sock.bind((interface, 0))
    except OSError:
        sock.close()
        raise
    return sock


async def _receive(
    sock: socket.socket, seconds: float, messages: Collection[str]
) -> list[DiscoveryReply]:
    loop = asyncio.get_running_loop()
    found: list[DiscoveryReply] = []
    try:
        async with asyncio.timeout(seconds):
            for _ in range(_MAX_DATAGRAMS):
                data, (sender, _port) = await loop.sock_recvfrom(sock, _MAX_DATAGRAM_BYTES)
                found += read_probe_matches(data, sender, messages)
    except TimeoutError:
        pass
    return found
