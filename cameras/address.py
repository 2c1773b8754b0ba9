"""Addresses of sources: which kind they are, whether they are well formed, and how to show them."""

import re
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["rtsp", "synthetic", "path"]

ALLOWED = 'want "rtsp://…", "synthetic:…", or the path of a video file or a folder of images'

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)\S*@")
_SECRET_FIELD = re.compile(r"((?:pass(?:word|wd)?|pwd|token|secret)=)[^&\s'\"]+", re.IGNORECASE)


def kind_of(address: str) -> Kind:
    """Say which kind of source an address names, without touching disk or network.

    Raises:
        ValueError: it is empty or malformed, or its scheme is unknown.
    """
    if not address.strip():
        raise ValueError(f"source address: {ALLOWED}, got an empty one")
    if any(not character.isprintable() for character in address):
        raise ValueError(f"source address: {ALLOWED}, got one with control characters")
    if address.startswith("synthetic:"):
        return "synthetic"
    scheme = _SCHEME.match(address)
    if scheme is None:
        return "path"
    if scheme[1].lower() != "rtsp":
        raise ValueError(f"source address: {ALLOWED}, got the scheme {scheme[1]!r}")
    _check_rtsp(address)
    return "rtsp"


def host_and_port(address: str) -> tuple[str, int]:
    """Host name and port of an RTSP address; 554 where it names none.

    Raises:
        ValueError: there is no host, or the port is not one.
    """
    port, host = None, None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        valid = bool(host) and port != 0
    except ValueError:  # its text may hold a part of the password
        valid = False
    if not valid or host is None:
        raise ValueError(
            "RTSP address: want rtsp://[user:password@]host[:port]/path, got no valid host or port "
            "(write / as %2F, # as %23 and ? as %3F in a password)"
        )
    return host, 554 if port is None else port


def redact(text: str) -> str:
    """Replace the credentials of every address in a text by "***".

    Everything from "://" to the last "@" before a space goes: a password may hold any other
    character, and losing a host name from a log is the smaller harm. So do the values of fields
    such as "password=…", which some cameras want in the path.
    """
    return _SECRET_FIELD.sub(r"\1***", _USER_INFO.sub(r"\1***@", text))


def _check_rtsp(address: str) -> None:
    if any(character.isspace() for character in address):
        raise ValueError("RTSP address: want no spaces (write %20), got one with a space")
    host_and_port(address)
