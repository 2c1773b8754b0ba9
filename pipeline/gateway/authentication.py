"""Authentication by tokens; without tokens, only programs on this machine are admitted.

Without tokens the API listens on loopback only. A web page in a browser on this machine could then
send requests to it: they are recognised by their `Origin`, which a page cannot suppress, and by a
foreign `Host` (DNS rebinding). A person logs in from a browser with a token and gets a cookie (see
`sessions`).
"""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.config import Api
from pipeline.gateway.sessions import CSRF_HEADER, LoginSession, Sessions, csrf_matches
from pipeline.gateway.tokens import Caller, Role, TokenBook, load_tokens, tokens_changed

FAILURES = 10
"""Number of wrong tokens from one address within the window, after which it must wait."""
WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 1024
_LOCAL_CALLER = Caller("this machine", "admin")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class ExposedError(ValueError):
    """Other machines could reach an API without tokens."""


class DeniedError(Exception):
    """A request is refused."""

    def __init__(self, status: int, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_seconds = retry_seconds


class FailureLimit:
    """Limits the failed attempts of each address; bounded in memory, the clock is passed in."""

    def __init__(self, failures: int = FAILURES, window_seconds: float = WINDOW_SECONDS) -> None:
        self._failures = failures
        self._window_seconds = window_seconds
        self._failed_at: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str, now: float) -> float:
        """Seconds until the address may try again; 0: at once."""
        times = self._failed_at.get(address, deque())
        while times and now - times[0] >= self._window_seconds:
            times.popleft()
        return self._window_seconds - (now - times[0]) if len(times) >= self._failures else 0.0

    def failed(self, address: str, now: float) -> None:
        """Note a failed attempt of the address."""
        times = self._failed_at.setdefault(address, deque(maxlen=self._failures))
        times.append(now)
        self._failed_at.move_to_end(address)
        while len(self._failed_at) > _MOST_ADDRESSES:
            self._failed_at.popitem(last=False)


class Authenticator:
    """Authenticates and authorises requests."""

    def __init__(
        self, api: Api, data_folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the tokens.

        Raises:
            ExposedError: other machines could reach an API without tokens.
            TokenError: the tokens cannot be used.
        """
        self._api = api
        self._data_folder = data_folder
        self._clock = clock
        self._limit = FailureLimit()
        self._sessions = Sessions(data_folder)
        self._changed = tokens_changed(data_folder)
        self._book = load_tokens(api, data_folder)
        check_exposure(api, self._book)
        # Once tokens were required they stay required, even if all tokens are revoked.
        self.open = len(self._book) == 0

    def admit(self, role: Role, address: str, token: str | None) -> Caller:
        """Authenticate and authorise a request.

        Args:
            role: Required role.
            address: Address of the client.
            token: Token of the request; None: it has none.

        Raises:
            DeniedError: the request is refused.
        """
        self._reload_tokens()
        if self.open:
            return _LOCAL_CALLER
        now = self._clock()
        if (seconds := self._limit.wait_seconds(address, now)) > 0:
            raise DeniedError(429, "too many wrong tokens, try again later", seconds)
        caller = self._book.caller(token) if token else None
        if caller is None:
            if token:
                self._limit.failed(address, now)
            what = "got a wrong one" if token else "got none"
            raise DeniedError(401, f"want a token (Authorization: Bearer …), {what}")
        return _with_role(caller, role)

    def admit_session(self, role: Role, cookie: str | None, csrf: str | None, safe: bool) -> Caller:
        """Authorise a request with a session.

        Args:
            role: Required role.
            cookie: Value of the session cookie; None: there is none.
            csrf: Value of the header `X-Vedette-CSRF`; None: it is missing.
            safe: Whether the request changes nothing, and needs no CSRF token.

        Raises:
            DeniedError: the request is refused.
        """
        self._reload_tokens()
        if self.open:
            return _LOCAL_CALLER
        session = None if cookie is None else self._sessions.find(cookie, self._book)
        if session is None:
            what = "got none" if cookie is None else "got a session that has ended"
            raise DeniedError(401, f"want a token (Authorization: Bearer …) or a login, {what}")
        if not safe and not csrf_matches(session, csrf):
            raise DeniedError(403, f"want the CSRF token of the session in {CSRF_HEADER}")
        return _with_role(session.caller, role)

    def log_in(self, address: str, token: str) -> tuple[str, LoginSession]:
        """Open a session with a token; returns the value of its cookie, and the session.

        Raises:
            DeniedError: the token is wrong.
            OSError: the session cannot be stored.
        """
        caller = self.admit("viewer", address, token)
        return self._sessions.open(token, caller)

    def log_out(self, cookie: str) -> None:
        """End a session.

        Raises:
            OSError: the change cannot be stored.
        """
        self._sessions.close(cookie)

    def session(self, cookie: str | None) -> LoginSession | None:
        """The session of a cookie; None: there is none, or none is needed."""
        self._reload_tokens()
        return None if cookie is None or self.open else self._sessions.find(cookie, self._book)

    def check_page(self, host: str, origin: str | None) -> None:
        """Refuse requests of foreign web pages.

        Args:
            host: The `Host` of the request.
            origin: Its `Origin`; None: it has none.

        Raises:
            DeniedError: it comes from a page of another origin, or with a foreign host name.
        """
        if self.open and _name_of(host) not in (*_LOOPBACK_NAMES, self._api.host.lower()):
            raise DeniedError(421, f"want the host {self._api.host}, got another one")
        if origin is not None and (urlsplit(origin).netloc or origin).lower() != host.lower():
            raise DeniedError(403, "want no requests of pages of another origin")

    def _reload_tokens(self) -> None:
        changed = tokens_changed(self._data_folder)
        if changed != self._changed:
            self._changed = changed
            self._book = load_tokens(self._api, self._data_folder)
            self.open = self.open and len(self._book) == 0


def _with_role(caller: Caller, role: Role) -> Caller:
    if not caller.may(role):
        raise DeniedError(403, f"want a token of the role {role}, got {caller.role}")
    return caller


def check_exposure(api: Api, book: TokenBook) -> None:
    """Refuse to listen on an address that other machines can reach if there are no tokens.

    Raises:
        ExposedError: the message says what is wanted.
    """
    if len(book) == 0 and not is_loopback(api.host):
        raise ExposedError(
            f"api.host: got {api.host}, which other machines can reach, and no tokens; want "
            "127.0.0.1, or a token (api.tokens, or `vedette token create`)"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; False for names other than localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
