"""Explain the error status of a camera, over HTTP or RTSP."""

import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from cameras.source import ErrorCode

_ALGORITHM = re.compile(r'algorithm\s*=\s*"?([A-Za-z0-9-]+)', re.IGNORECASE)
_MAX_HEAD_BYTES = 16_384


def has_login(address: str) -> bool:
    """Whether an address contains a user or a password."""
    return "@" in urlsplit(address).netloc


def explain_status(
    status: int, challenges: Iterable[str], with_password: bool
) -> tuple[ErrorCode, str]:
    """Map an error status to a code and a message.

    Args:
        status: Of HTTP or RTSP, 400 … 599.
        challenges: Values of WWW-Authenticate.
        with_password: Whether the address contains a user or a password.
    """
    offered = list(challenges)
    schemes = sorted({challenge.partition(" ")[0] for challenge in offered if challenge.strip()})
    supported = any(map(_is_supported, offered))
    if status in (401, 407):
        if offered and not supported:
            return "unauthorised", unsupported_authentication(
                _algorithm(offered[0]) or " or ".join(schemes)
            )
        scheme = f" ({' or '.join(schemes)} authentication)" if schemes else ""
        if not with_password:
            return "unauthorised", f"it requires a user and a password{scheme}, and none was given"
        return "unauthorised", f"it does not accept this user and password{scheme}"
    if status == 403:
        given = "with this user and password" if with_password else "without a user and a password"
        return "unauthorised", f"it denies access to this address {given} (status 403)"
    if status in (404, 410):
        return "not_found", f"the camera has no such stream (status {status})"
    return "refused", f"the camera refused (status {status})"


def unsupported_authentication(scheme: str) -> str:
    """Message for an authentication scheme that is not supported."""
    return (
        f"it requires authentication by {scheme or 'an unknown scheme'}, which is not supported "
        "(no password was sent): set the camera to basic, or digest with MD5"
    )


def _algorithm(challenge: str) -> str | None:
    found = _ALGORITHM.search(challenge)
    return f"digest with {found[1]}" if found else None


def _is_supported(challenge: str) -> bool:
    scheme = challenge.partition(" ")[0].lower()
    found = _ALGORITHM.search(challenge)
    algorithm = "MD5" if found is None else found[1].upper()
    return scheme == "basic" or (scheme == "digest" and algorithm in ("MD5", "MD5-SESS"))


def rtsp_challenges(address: str, timeout_seconds: float) -> tuple[int, list[str]] | None:
    """Request the authentication challenges of an RTSP server, without sending a password.

    Args:
        address: "rtsp://[user:password@]host[:port]/path"; credentials are not sent.
        timeout_seconds: For each step, > 0.

    Returns:
        Status and WWW-Authenticate headers of the response; None: there was no valid response.
    """
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    head = b""
    try:
        where = parts.hostname or "", parts.port or 554
        with socket.create_connection(where, timeout_seconds) as connection:
            connection.sendall(request.encode())
            while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD_BYTES:
                data = connection.recv(4096)
                if not data:
                    break
                head += data
    except (OSError, ValueError):
        return None
    first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = first.split(" ", 2)
    if len(fields) < 2 or not fields[1].isdecimal():
        return None
    named = [line.partition(":") for line in lines]
    return int(fields[1]), [v.strip() for name, _, v in named if name.lower() == "www-authenticate"]
