"""What the answers of a device say. Pure: elements in, plain values out."""

import ipaddress
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from cameras.onvif.markup import clean, text

SCOPE = "onvif://www.onvif.org/"
"""How each scope of a device begins."""
_CODECS = {"jpeg": "mjpeg", "h265": "hevc"}  # to the names of FFmpeg, which we use elsewhere
_MOST_PIXELS = 32768
_MOST_FPS = 1000.0
_LONGEST_TOKEN = 256
_LONGEST_ADDRESS = 2000
_YEARS = range(1970, 2100)


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a device says of itself to everybody."""

    name: str = ""
    model: str = ""


@dataclass(slots=True)
class Profile:
    """One stream that a device offers."""

    token: str
    """What the device knows it by; as it came, not fit to be shown."""
    name: str
    source: str
    """Which of the device's cameras it shows, where it has several."""
    codec: str
    """FFmpeg's name of it, such as "h264"; empty where the device does not say."""
    size_hw: tuple[int, int] | None
    """Height and width; None where the device does not say."""
    frames_per_second: float | None
    """The limit that is set; None where there is none."""
    address: str = ""
    """Of RTSP, without user and password; empty where there is none of use."""
    problem: str = ""
    """Why the address is missing, or not to be trusted; else empty."""


def read_scopes(scopes: Sequence[str]) -> Scopes:
    """Name and model out of "onvif://www.onvif.org/name/Front%20door" and the like."""
    values: dict[str, str] = {}
    for scope in scopes:
        if scope.startswith(SCOPE):
            key, _, value = scope.removeprefix(SCOPE).partition("/")
            values.setdefault(key, clean(unquote(value)))
    return Scopes(values.get("name", ""), values.get("hardware", ""))


def same_host(one: str, other: str) -> bool:
    """Whether two host names or IP addresses are the same, as they are written."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one.lower() == other.lower()


def read_clock(reply: Element) -> float | None:
    """Unix seconds by the clock of the device; None where it does not say, or says nonsense."""
    names = ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
    found = reply.find("SystemDateAndTime/UTCDateTime")
    try:
        numbers = [] if found is None else [int(text(found, name)) for name in names]
        year, month, day, hour, minute, second = numbers
        if year not in _YEARS:
            return None
        # A leap second is no time that Python knows.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.timestamp()


def read_maker(reply: Element) -> tuple[str, str]:
    """Manufacturer and model."""
    return text(reply, "Manufacturer"), text(reply, "Model")


def read_scope_items(reply: Element) -> Scopes:
    """Name and model as the device tells them to everybody."""
    return read_scopes([item.text.strip() for item in reply.iterfind(".//ScopeItem") if item.text])


def read_services(reply: Element) -> dict[str, str]:
    """Addresses of the services, by namespace."""
    return {
        (service.findtext("Namespace") or "").strip(): (service.findtext("XAddr") or "").strip()
        for service in reply.iterfind("Service")
    }


def read_profiles(reply: Element) -> list[Profile]:
    """The profiles with video, of both versions of the media service; without addresses."""
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
        if encoder is None or not 0 < len(token) <= _LONGEST_TOKEN:
            continue
        codec = text(encoder, "Encoding").lower()
        height = _number(encoder, "Resolution/Height", _MOST_PIXELS)
        width = _number(encoder, "Resolution/Width", _MOST_PIXELS)
        yield Profile(
            token=token,
            name=text(profile, "Name"),
            source=text(profile, ".//VideoSource/SourceToken")
            or text(profile, "VideoSourceConfiguration/SourceToken"),
            codec=_CODECS.get(codec, codec),
            size_hw=(int(height), int(width)) if height and width else None,
            frames_per_second=_number(encoder, "RateControl/FrameRateLimit", _MOST_FPS),
        )


def read_stream(reply: Element, hosts: tuple[str, ...]) -> tuple[str, str]:
    """Address of a stream without user and password, and what is wrong with it.

    Args:
        reply: Answer to GetStreamUri, of both versions of the media service.
        hosts: What the device is known by; a stream elsewhere is not to get a password.
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
    if not host or not plain or len(address) > _LONGEST_ADDRESS:
        return "", "its address is malformed"
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    # In a configuration braces would name secrets of ours.
    address = address.replace("{", "%7B").replace("}", "%7D")
    if not any(same_host(host, one) for one in hosts):
        return address, "it is at another host than the one that answered"
    if parts.scheme.lower() == "rtsps":
        return address, "rtsps is not spoken here; switch RTSP on in the camera"
    return address, ""


def _number(element: Element, path: str, most: float) -> float | None:
    """A number in (0, most]; None where there is another one, or none."""
    try:
        value = float(text(element, path))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value <= most else None
