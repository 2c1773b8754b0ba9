"""One HTTP request for the stream of a camera: the response head, and the body as it arrives.

FFmpeg reads HTTP too, but does not expose the response head, which distinguishes a stream, a
recording, a single image and a web page, and explains a refusal.
"""

import base64
import http.client
import math
import ssl
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from cameras.refusals import explain_status
from cameras.source import ErrorCode

Content = Literal["multipart", "image", "page", "recording", "stream"]

_MAX_RECORDING_BYTES = 2**31 - 2
"""A greater length, without range support, means "endless"."""


class HttpError(Exception):
    """A failed request; the message contains no credentials."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


class MalformedResponseError(Exception):
    """A response that Python cannot parse as HTTP; FFmpeg is more lenient."""


@dataclass(frozen=True, slots=True)
class Head:
    """Description of the body by the response head."""

    content: Content
    kind: str
    """Content-Type, without parameters; empty where there is none."""
    length: int | None
    """In bytes; None where unknown or endless."""


class Body:
    """The body of a response, read as it arrives; the caller must `close` it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._deadline = math.inf
        self.received = 0
        """Bytes read so far."""
        self.ended = False
        """Whether the end was reached."""
        self.overdue = False
        """Whether the deadline of `expect` passed although bytes kept arriving."""

    def expect(self, seconds: float) -> None:
        """Set the deadline for the next frame, in seconds from now, > 0."""
        self._deadline = time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes, as soon as any are available; none at the end.

        Raises:
            TimeoutError: the camera stopped sending, or its data do not form a frame.
            OSError: the connection was lost.
        """
        if time.monotonic() > self._deadline:
            self.overdue = True
            raise TimeoutError
        try:
            data = self._response.read1(size)
        except http.client.HTTPException:  # the body ends early
            data = b""
        self.ended = not data
        self.received += len(data)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


def get(address: str, timeout_seconds: float, stall_timeout_seconds: float) -> tuple[Head, Body]:
    """Request an address, and read the response head.

    Args:
        address: "http[s]://[user:password@]host[:port]/path".
        timeout_seconds: For each step until the head has arrived, > 0.
        stall_timeout_seconds: Maximum time without data of the body, > 0.

    Raises:
        HttpError: the request is refused, or there is no response.
        MalformedResponseError: the response cannot be parsed.
    """
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    failure: HttpError | MalformedResponseError
    try:
        request = urllib.request.Request(
            bare, headers={"Range": "bytes=0-", "User-Agent": "vedette", "Accept": "*/*"}
        )
        response = _opener(bare, login).open(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        challenges = error.headers.get_all("WWW-Authenticate") or []
        failure = HttpError(*explain_status(error.code, challenges, any(login)))
        error.close()
    except (urllib.error.URLError, OSError) as error:
        failure = _connection_error(error, timeout_seconds)
    except (http.client.HTTPException, ValueError):
        failure = MalformedResponseError()
    else:
        _set_timeout(response, stall_timeout_seconds)
        return _head(response), Body(response)
    raise failure


def _opener(bare: str, login: tuple[str, str]) -> urllib.request.OpenerDirector:
    """HTTP and HTTPS only: no proxy, no file, no FTP, also after redirects."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=unchecked),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ]
    if any(login):
        passwords.add_password(None, urlsplit(bare)._replace(path="/", query="").geturl(), *login)
        handlers += [_Digest(passwords), _Basic(passwords)]
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler)
    return opener


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Ignores unsupported algorithms, where the base class raises."""

    def http_error_401(self, *args: Any) -> Any:
        with suppress(ValueError):
            return super().http_error_401(*args)


class _Basic(urllib.request.BaseHandler):
    """Sends the password once, and only to the host of the address."""

    def __init__(self, passwords: urllib.request.HTTPPasswordMgr) -> None:
        self._passwords = passwords

    def http_error_401(
        self, request: urllib.request.Request, response: Any, _code: int, _text: str, headers: Any
    ) -> Any:
        user, password = self._passwords.find_user_password(None, request.full_url)  # type: ignore[arg-type]
        offered = any(
            challenge.lower().startswith("basic")
            for challenge in headers.get_all("WWW-Authenticate") or []
        )
        already_sent = (request.get_header("Authorization") or "").startswith("Basic")
        if user is None or not offered or already_sent:
            return None
        response.close()
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
        return self.parent.open(request, timeout=request.timeout)


def _connection_error(error: OSError, timeout_seconds: float) -> HttpError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case TimeoutError():
            return HttpError("timeout", f"no response in {timeout_seconds:g} s")
        case ConnectionRefusedError():
            return HttpError("refused", "nothing listens at that port")
        case ssl.SSLError():
            return HttpError("refused", f"no TLS connection ({reason.reason})")
        case ConnectionError():
            return HttpError("ended", "the camera closed the connection without a response")
        case OSError():
            return HttpError("refused", f"no connection to the camera ({reason.strerror})")
    return HttpError("refused", "it redirects to an address that is neither http nor https")


def _head(response: http.client.HTTPResponse) -> Head:
    kind = response.headers.get_content_type() if "Content-Type" in response.headers else ""
    length = response.length
    ranges = response.status == 206 or response.headers.get("Accept-Ranges", "none") != "none"
    ends = length is not None and (ranges or 0 < length < _MAX_RECORDING_BYTES)
    content: Content = "recording" if ends else "stream"
    if kind.startswith("multipart/"):
        content = "multipart"
    elif kind.startswith("image/"):
        content = "image"
    elif kind in ("text/html", "application/xhtml+xml", "application/json"):
        content = "page"
    return Head(content, kind, length if ends else None)


def _set_timeout(response: http.client.HTTPResponse, seconds: float) -> None:
    raw = getattr(response.fp, "raw", None)
    sock = getattr(raw, "_sock", None)
    if sock is not None:
        sock.settimeout(seconds)
