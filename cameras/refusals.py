"""What a refusal of a camera means, over HTTP or RTSP, and no more than that."""

import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from cameras.source import ErrorCode

_ALGORITHM = re.compile(r'algorithm\s*=\s*"?([A-Za-z0-9-]+)', re.IGNORECASE)
_MOST_HEAD_BYTES = 16_384


def has_login(address: str) -> bool:
    """Whether an address has a user or a password in front of its host."""
    return "@" in urlsplit(address).netloc


def explain_status(
    status: int, challenges: Iterable[str], with_password: bool
) -> tuple[ErrorCode, str]:
    """What a refusal means, and no more than that.

    Args:
        status: Of HTTP or RTSP, 400 … 599.
        challenges: Values of WWW-Authenticate.
        with_password: Whether the address has a user or a password.
    """
    asked = list(challenges)
    ways = sorted({challenge.partition(" ")[0] for challenge in asked if challenge.strip()})
    spoken = [one for one in asked if _is_spoken(one)]
    if status in (401, 407):
        if asked and not spoken:
            return "unauthorised", unspoken(_algorithm(asked[0]) or " or ".join(ways))
        wants = f" ({' or '.join(ways)} authentication)" if ways else ""
        if not with_password:
            return "unauthorised", f"it wants a user and a password{wants}, and none was given"
        return "unauthorised", f"it does not accept this user and password{wants}"
    if status == 403:
        given = "with this user and password" if with_password else "without a user and a password"
        return "unauthorised", f"it forbids this address {given} (answer 403)"
    if status in (404, 410):
        return "not_found", f"the camera has no such stream (answer {status})"
    return "refused", f"the camera refused (answer {status})"


def unspoken(way: str) -> str:
    """That a camera wants to be shown a password in a way that is not spoken here."""
    return (
        f"it asks for a password by {way or 'an unknown way'}, which is not spoken here (no "
        "password was sent): let the camera accept basic, or digest with MD5"
    )


def _algorithm(challenge: str) -> str | None:
    found = _ALGORITHM.search(challenge)
    return f"digest with {found[1]}" if found else None


def _is_spoken(challenge: str) -> bool:
    way = challenge.partition(" ")[0].lower()
    found = _ALGORITHM.search(challenge)
    algorithm = "MD5" if found is None else found[1].upper()
    return way == "basic" or (way == "digest" and algorithm in ("MD5", "MD5-SESS"))


def rtsp_challenges(address: str, timeout_seconds: float) -> tuple[int, list[str]] | None:
    """Ask an RTSP server, without a password, what it wants.

    Args:
        address: "rtsp://[user:password@]host[:port]/path"; the login stays here.
        timeout_seconds: For each step, > 0.

    Returns:
        The status of the answer, and its WWW-Authenticate headers; None: there was no such answer.
    """
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    head = b""
    try:
        where = parts.hostname or "", parts.port or 554
        with socket.create_connection(where, timeout_seconds) as connection:
            connection.sendall(request.encode())
            while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD_BYTES:
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
