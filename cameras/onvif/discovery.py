"""WS-Discovery: one question by multicast, answers by unicast.

One socket on one interface, which no group is joined with: only answers to our own questions come.
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
_KINDS = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),  # some answer only to this one
)
_AGAIN_SECONDS = 0.25  # a datagram may get lost
_LARGEST_DATAGRAM = 65535
_MOST_DATAGRAMS = 1024
_MOST_SERVICES = 8  # of one sender
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
    """That there is a device."""

    sender: str
    """IP address from which it answered."""
    service: str
    """Address of its device service at the sender, the only host to be asked; may be empty."""
    scopes: Scopes


async def discover(seconds: float, interface: str | None) -> list[DiscoveryReply]:
    """Ask the local network for cameras.

    Args:
        seconds: How long to wait for answers, > 0.
        interface: IPv4 address of the interface to ask on; None: where the routes lead.

    Returns:
        One answer for each device service, in the order of their addresses.

    Raises:
        OnvifError: nothing can be sent there.
    """
    messages = [str(uuid.uuid4()) for _ in _KINDS]
    probes = [
        _PROBE.format(message=message, namespace=namespace, kind=kind).encode()
        for message, (namespace, kind) in zip(messages, _KINDS, strict=True)
    ]
    found: dict[str, dict[str, DiscoveryReply]] = {}
    again = min(_AGAIN_SECONDS, seconds / 2)
    try:
        with _socket(interface) as sock:
            for wait_seconds in (again, seconds - again):
                for probe in probes:
                    sock.sendto(probe, GROUP)
                for answer in await _receive(sock, wait_seconds, messages):
                    services = found.setdefault(answer.sender, {})
                    if len(services) < _MOST_SERVICES:
                        services.setdefault(answer.service, answer)
    except OSError as error:
        where = f"on the interface {interface}" if interface else "by the default route"
        raise OnvifError("network", f"cannot ask {where}: {error.strerror or error}") from None
    answers = [answer for services in found.values() for answer in services.values()]
    return sorted(answers, key=lambda one: (ipaddress.ip_address(one.sender), one.service))


def read_answers(data: bytes, sender: str, messages: Collection[str]) -> list[DiscoveryReply]:
    """The cameras that a datagram tells of.

    Args:
        data: The datagram; anything.
        sender: IP address that it came from.
        messages: UUIDs of the questions; an answer to another one does not count.
    """
    try:
        root = parse(data)
    except MarkupError:
        return []  # whoever likes may send here
    relates_to = (root.findtext("Header/RelatesTo") or "").strip().lower()
    if relates_to and not relates_to.endswith(tuple(messages)):
        return []
    return [
        DiscoveryReply(sender, _service_at(sender, _words(match, "XAddrs")), read_scopes(scopes))
        for match in root.iterfind("Body/ProbeMatches/ProbeMatch")
        if _is_camera(_words(match, "Types"), scopes := _words(match, "Scopes"))
    ]


def _service_at(sender: str, addresses: Sequence[str]) -> str:
    """The first address at the sender: another one may be anybody's, or out of reach."""
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
            for _ in range(_MOST_DATAGRAMS):
                data, (sender, _port) = await loop.sock_recvfrom(sock, _LARGEST_DATAGRAM)
                found += read_answers(data, sender, messages)
    except TimeoutError:
        pass
    return found
