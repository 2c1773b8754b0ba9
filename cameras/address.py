"""Addresses of sources: kind, validation and redaction."""

import re
import unicodedata
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["rtsp", "http", "webcam", "synthetic", "path"]

ALLOWED = (
    'want "rtsp://…", "http://…", "https://…", "webcam:0", "synthetic:…", '
    "or the path of a video file or a folder of images"
)
PORTS = {"rtsp": 554, "http": 80, "https": 443}
"""Supported network schemes, with their default ports."""
RECORDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm")
"""Suffixes of video files; only the server can confirm that it is one."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)\S*@")
_SECRET_FIELD = re.compile(r"((?:pass(?:word|wd)?|pwd|token|secret)=)[^&\s'\"]+", re.IGNORECASE)


def kind_of(address: str) -> Kind:
    """Return the kind of source of an address, without access to disk or network.

    Raises:
        ValueError: it is empty or malformed, or its scheme is unknown.
    """
    if not address.strip():
        raise ValueError(f"source address: {ALLOWED}, got an empty one")
    # A file name may contain any space and undecodable bytes, but no terminal control characters.
    if any(unicodedata.category(character) == "Cc" for character in address):
        raise ValueError(f"source address: {ALLOWED}, got one with control characters")
    if address.startswith("synthetic:"):
        return "synthetic"
    if address.startswith("webcam:"):
        webcam_number(address)
        return "webcam"
    scheme = _SCHEME.match(address)
    if scheme is None:
        return "path"
    if scheme[1].lower() not in PORTS:
        raise ValueError(f"source address: {ALLOWED}, got the scheme {scheme[1]!r}")
    if any(character.isspace() for character in address):
        raise ValueError("source address: want no spaces (write %20), got one with a space")
    if not address.isprintable():
        raise ValueError(
            "source address: want printable characters, got one with hidden characters"
        )
    host_and_port(address)
    return "rtsp" if scheme[1].lower() == "rtsp" else "http"


def is_live(address: str, kind: Literal["auto", "live", "file"] = "auto") -> bool:
    """Whether frames that are not read in time are lost, as far as the address shows.

    A camera or a webcam is live; so is an HTTP address without the suffix of a video file. Only
    the response of the server is conclusive: see `cameras.http_stream.is_endless`.

    Args:
        address: Of the source.
        kind: Configured kind of an HTTP address.

    Raises:
        ValueError: as for `kind_of`.
    """
    scheme = kind_of(address)
    if scheme == "http":
        return (
            kind == "live"
            if kind != "auto"
            else not urlsplit(address).path.lower().endswith(RECORDINGS)
        )
    return scheme in ("rtsp", "webcam")


def webcam_number(address: str) -> int:
    """Return N of "webcam:N", the number of /dev/videoN.

    Raises:
        ValueError: it is not a number of at most three digits.
    """
    number = address.removeprefix("webcam:")
    if not (number.isascii() and number.isdecimal() and len(number) <= 3):
        raise ValueError(
            f'webcam address: want "webcam:0", with the number of /dev/video0, got {address!r}'
        )
    return int(number)


def host_and_port(address: str) -> tuple[str, int]:
    """Return host name and port of a network address; by default the port of the scheme.

    Raises:
        ValueError: there is no host, or the port is invalid.
    """
    port, host = None, None
    scheme = address.partition(":")[0].lower()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        valid = bool(host) and port != 0
    except ValueError:  # its message may contain a part of the password
        valid = False
    if not valid or host is None:
        raise ValueError(
            f"source address: want {scheme}://[user:password@]host[:port]/path, got no valid host "
            "or port (write / as %2F, # as %23 and ? as %3F in a password)"
        )
    return host, PORTS[scheme] if port is None else port


def redact(text: str) -> str:
    """Replace the credentials of every address in a text by "***".

    Everything from "://" to the last "@" before a space is removed: a password may contain any
    other character, and a host name missing from a log does less harm. So are the values of fields
    such as "password=…", which some cameras require in the path.
    """
    return _SECRET_FIELD.sub(r"\1***", _USER_INFO.sub(r"\1***@", text))
