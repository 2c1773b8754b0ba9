"""Parse the responses of a device. Pure functions: elements in, plain values out."""

import ipaddress
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from cameras.onvif.markup import clean, text

SCOPE = "onvif://www.onvif.org/"
"""Prefix of each ONVIF scope."""
_CODECS = {"jpeg": "mjpeg", "h265": "hevc"}  # ONVIF to FFmpeg names
_MAX_PIXELS = 32768
_MAX_FPS = 1000.0
_MAX_TOKEN = 256
_MAX_ADDRESS = 2000
_YEARS = range(1970, 2100)


@dataclass(frozen=True, slots=True)
class Scopes:
    """Name and model that a device publishes without a login."""

    name: str = ""
    model: str = ""


@dataclass(slots=True)
class Profile:
    """One stream that a device offers."""

    token: str
    """Identifier at the device; unmodified, not displayable."""
    name: str
    source: str
    """Video source of the device, where it has several."""
    codec: str
    """FFmpeg's name of the codec, such as "h264"; empty where unknown."""
    size_hw: tuple[int, int] | None
    """Height and width; None where unknown."""
    frames_per_second: float | None
    """Configured limit; None where there is none."""
    address: str = ""
    """RTSP address without user and password; empty where there is no usable one."""
    problem: str = ""
    """Why the address is missing or not trusted; else empty."""


def read_scopes(scopes: Sequence[str]) -> Scopes:
    """Extract name and model from scopes such as "onvif://www.onvif.org/name/Front%20door"."""
    values: dict[str, str] = {}
    for scope in scopes:
        if scope.startswith(SCOPE):
            key, _, value = scope.removeprefix(SCOPE).partition("/")
            values.setdefault(key, clean(unquote(value)))
    return Scopes(values.get("name", ""), values.get("hardware", ""))


def same_host(one: str, other: str) -> bool:
    """Whether two host names or IP addresses are equal, without name resolution."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one.lower() == other.lower()


def read_clock(reply: Element) -> float | None:
    """Return Unix seconds of the device's clock; None where missing or invalid."""
    names = ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
    found = reply.find("SystemDateAndTime/UTCDateTime")
    try:
        numbers = [] if found is None else [int(text(found, name)) for name in names]
        year, month, day, hour, minute, second = numbers
        if year not in _YEARS:
            return None
        # Python does not support leap seconds.
        time = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return time.timestamp()


def read_device_information(reply: Element) -> tuple[str, str]:
    """Extract manufacturer and model."""
    return text(reply, "Manufacturer"), text(reply, "Model")


def read_scope_items(reply: Element) -> Scopes:
    """Extract name and model from a GetScopes response."""
    return read_scopes([item.text.strip() for item in reply.iterfind(".//ScopeItem") if item.text])


def read_services(reply: Element) -> dict[str, str]:
    """Extract the addresses of the services, by namespace."""
    return {
        (service.findtext("Namespace") or "").strip(): (service.findtext("XAddr") or "").strip()
        for service in reply.iterfind("Service")
    }


def read_profiles(reply: Element) -> list[Profile]:
    """Extract the video profiles, of both versions of the media service; without addresses."""
    return list(_profiles(reply))


def _profiles(reply: Element) -> Iterator[Profile]:
    for profile in reply.iterfind("Profiles"):
        token = profile.get("token", "")
        encoder = next(
            (
                one
                for one in profile.iter()
                if one.tag in ("VideoEncoder", "VideoEncoderConfiguration")
            ),
            None,
        )
        if encoder is None or not 0 < len(token) <= _MAX_TOKEN:
            continue
        codec = text(encoder, "Encoding").lower()
        height = _number(encoder, "Resolution/Height", _MAX_PIXELS)
        width = _number(encoder, "Resolution/Width", _MAX_PIXELS)
        yield Profile(
            token=token,
            name=text(profile, "Name"),
            source=text(profile, ".//VideoSource/SourceToken")
            or text(profile, "VideoSourceConfiguration/SourceToken"),
            codec=_CODECS.get(codec, codec),
            size_hw=(int(height), int(width)) if height and width else None,
            frames_per_second=_number(encoder, "RateControl/FrameRateLimit", _MAX_FPS),
        )


def read_stream(reply: Element, hosts: tuple[str, ...]) -> tuple[str, str]:
    """Extract the address of a stream without user and password, and its problem.

    Args:
        reply: Response to GetStreamUri, of both versions of the media service.
        hosts: Hosts of the device; a stream elsewhere must not receive a password.
    """
    address = (reply.findtext(".//Uri") or "").strip()
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "", "its address is malformed"
    if parts.scheme.lower() not in ("rtsp", "rtsps"):
        return "", f"want an rtsp address, got {clean(parts.scheme) or 'none'}"
    plain = address.isprintable() and not any(one.isspace() for one in address)
    if not host or not plain or len(address) > _MAX_ADDRESS:
        return "", "its address is malformed"
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    # In a configuration braces would refer to secrets.
    address = address.replace("{", "%7B").replace("}", "%7D")
    if not any(same_host(host, one) for one in hosts):
        return address, "it is at another host than the one that responded"
    if parts.scheme.lower() == "rtsps":
        return address, "rtsps is not supported; enable RTSP in the camera"
    return address, ""


def _number(element: Element, path: str, most: float) -> float | None:
    """Parse a number in (0, most]; None where it is out of range or missing."""
    try:
        value = float(text(element, path))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value <= most else None
