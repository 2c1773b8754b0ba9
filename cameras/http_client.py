"""One HTTP request for the pictures of a camera: what it answers, and the body as it comes.

FFmpeg reads HTTP too, but tells nothing of the answer's head, by which a stream, a recording, a
single picture and a web page are told apart, and a refusal is explained.
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

Content = Literal["multipart", "picture", "page", "recording", "stream"]

_LONGEST_RECORDING_BYTES = 2**31 - 2
"""A length from here on, without ranges, stands for "endless"."""


class HttpError(Exception):
    """A request without the answer that is wanted; the text has no credentials in it."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


class OddAnswerError(Exception):
    """The answer is no HTTP as Python reads it; FFmpeg is more lenient."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is said of the body."""

    content: Content
    kind: str
    """Content-Type, without parameters; empty where there is none."""
    length: int | None
    """In bytes; None where it has no end that is known."""


class Body:
    """The body of an answer, as much of it as has come; `close` it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._due = math.inf
        self.received = 0
        """Bytes so far."""
        self.ended = False
        """Whether there is nothing more to come."""
        self.overdue = False
        """Whether bytes kept coming, and made nothing of what was expected."""

    def expect(self, seconds: float) -> None:
        """From now on a picture is waited for, for so long, > 0."""
        self._due = time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        """At most so many bytes, as soon as there are any; none at the end.

        Raises:
            TimeoutError: the camera is silent, or what it sends makes no picture.
            OSError: the connection was lost.
        """
        if time.monotonic() > self._due:
            self.overdue = True
            raise TimeoutError
        try:
            data = self._response.read1(size)
        except http.client.HTTPException:  # a body that ends before it should
            data = b""
        self.ended = not data
        self.received += len(data)
        return data

    def close(self) -> None:
        """Hang up."""
        self._response.close()


def get(address: str, timeout_seconds: float, stall_timeout_seconds: float) -> tuple[Head, Body]:
    """Ask for an address, and read the head of the answer.

    Args:
        address: "http[s]://[user:password@]host[:port]/path".
        timeout_seconds: For each step until the head is there, > 0.
        stall_timeout_seconds: For how long the body may be silent, > 0.

    Raises:
        HttpError: it is refused, or nobody answers.
        OddAnswerError: the answer is not understood.
    """
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    who = (unquote(parts.username or ""), unquote(parts.password or ""))
    failure: HttpError | OddAnswerError
    try:
        request = urllib.request.Request(
            bare, headers={"Range": "bytes=0-", "User-Agent": "vedette", "Accept": "*/*"}
        )
        response = _opener(bare, who).open(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        challenges = error.headers.get_all("WWW-Authenticate") or []
        failure = HttpError(*explain_status(error.code, challenges, who[0] != "" or who[1] != ""))
        error.close()
    except (urllib.error.URLError, OSError) as error:
        failure = _lost(error, timeout_seconds)
    except (http.client.HTTPException, ValueError):
        failure = OddAnswerError()
    else:
        _set_timeout(response, stall_timeout_seconds)
        return _head(response), Body(response)
    raise failure


def _opener(bare: str, who: tuple[str, str]) -> urllib.request.OpenerDirector:
    """No proxy, no file, no FTP: only what the address itself asks for, redirects included."""
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
    if any(who):
        passwords.add_password(None, urlsplit(bare)._replace(path="/", query="").geturl(), *who)
        handlers += [_Digest(passwords), _Basic(passwords)]
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler)
    return opener


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Leaves algorithms that it does not know to others, where the standard's raises."""

    def http_error_401(self, *args: Any) -> Any:
        with suppress(ValueError):
            return super().http_error_401(*args)


class _Basic(urllib.request.BaseHandler):
    """Shows the password once, and only to the host that the address names."""

    def __init__(self, passwords: urllib.request.HTTPPasswordMgr) -> None:
        self._passwords = passwords

    def http_error_401(
        self, request: urllib.request.Request, answer: Any, _code: int, _text: str, headers: Any
    ) -> Any:
        user, password = self._passwords.find_user_password(None, request.full_url)  # type: ignore[arg-type]
        asked = any(
            challenge.lower().startswith("basic")
            for challenge in headers.get_all("WWW-Authenticate") or []
        )
        shown = (request.get_header("Authorization") or "").startswith("Basic")
        if user is None or not asked or shown:
            return None
        answer.close()
        who = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {who}")
        return self.parent.open(request, timeout=request.timeout)


def _lost(error: OSError, timeout_seconds: float) -> HttpError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case TimeoutError():
            return HttpError("timeout", f"no answer in {timeout_seconds:g} s")
        case ConnectionRefusedError():
            return HttpError("refused", "nobody listens at that port")
        case ssl.SSLError():
            return HttpError("refused", f"no TLS connection ({reason.reason})")
        case ConnectionError():
            return HttpError("ended", "the camera closed the connection without an answer")
        case OSError():
            return HttpError("refused", f"no way to the camera ({reason.strerror})")
    return HttpError("refused", "it sends to an address that is neither http nor https")


def _head(response: http.client.HTTPResponse) -> Head:
    kind = response.headers.get_content_type() if "Content-Type" in response.headers else ""
    length = response.length
    ranges = response.status == 206 or response.headers.get("Accept-Ranges", "none") != "none"
    ends = length is not None and (ranges or 0 < length < _LONGEST_RECORDING_BYTES)
    content: Content = "recording" if ends else "stream"
    if kind.startswith("multipart/"):
        content = "multipart"
    elif kind.startswith("image/"):
        content = "picture"
    elif kind in ("text/html", "application/xhtml+xml", "application/json"):
        content = "page"
    return Head(content, kind, length if ends else None)


def _set_timeout(response: http.client.HTTPResponse, seconds: float) -> None:
    raw = getattr(response.fp, "raw", None)
    sock = getattr(raw, "_sock", None)
    if sock is not None:
        sock.settimeout(seconds)
