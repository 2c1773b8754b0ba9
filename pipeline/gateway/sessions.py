"""Sessions of browsers: a cookie in place of a token, which no script can read.

`<img>`, `<video>` and WebSocket cannot send a token. A login exchanges it for a cookie: HttpOnly,
SameSite=Strict, and only its hash is stored. Requests that change something must also carry the
CSRF token of the session in a header, which a page of another origin does not have. A session ends
with the token that it was created with.
"""

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.config.base import Section
from pipeline.gateway.tokens import Caller, TokenBook, hash_of
from pipeline.telemetry.atomic_write import write_private

COOKIE = "vedette_session"
CSRF_HEADER = "X-Vedette-CSRF"
SESSION_SECONDS = 7 * 86_400.0
"""Duration of a session."""
MOST_SESSIONS = 256
_FILE = "sessions.json"


class _StoredSession(Section):
    token_name: str
    token_sha256: str
    csrf: str
    expires_at: float


_STORED: TypeAdapter[dict[str, _StoredSession]] = TypeAdapter(dict[str, _StoredSession])


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A session of a browser."""

    caller: Caller
    csrf: str
    """Required in the header `X-Vedette-CSRF` of requests that change something."""
    expires_at: float
    """Unix seconds UTC."""


class Sessions:
    """All sessions, stored in a private file so that they survive a restart; thread-safe."""

    def __init__(self, data_folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Read the stored sessions; a damaged file counts as empty.

        Args:
            data_folder: Folder of the file.
            clock: Unix seconds UTC.
        """
        self._path = data_folder / _FILE
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._sessions = _STORED.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            self._sessions = {}

    def open(self, token: str, caller: Caller) -> tuple[str, LoginSession]:
        """Open a session.

        Args:
            token: The token, already checked.
            caller: Holder of the token.

        Returns:
            The value of the cookie, and the session.

        Raises:
            OSError: it cannot be stored.
        """
        cookie = secrets.token_urlsafe(32)
        stored = _StoredSession(
            token_name=caller.name,
            token_sha256=hash_of(token),
            csrf=secrets.token_urlsafe(32),
            expires_at=self._clock() + SESSION_SECONDS,
        )
        with self._lock:
            now = self._clock()
            valid = {key: one for key, one in self._sessions.items() if one.expires_at > now}
            while len(valid) >= MOST_SESSIONS:
                valid.pop(next(iter(valid)))
            valid[hash_of(cookie)] = stored
            self._store(valid)
        return cookie, LoginSession(caller, stored.csrf, stored.expires_at)

    def find(self, cookie: str, book: TokenBook) -> LoginSession | None:
        """The session of a cookie; None: there is none, or it has ended."""
        with self._lock:
            stored = self._sessions.get(hash_of(cookie))
        if stored is None or stored.expires_at <= self._clock():
            return None
        caller = book.holder(stored.token_name, stored.token_sha256)
        return None if caller is None else LoginSession(caller, stored.csrf, stored.expires_at)

    def close(self, cookie: str) -> None:
        """Close a session.

        Raises:
            OSError: it cannot be stored.
        """
        with self._lock:
            key = hash_of(cookie)
            if key in self._sessions:
                self._store({other: one for other, one in self._sessions.items() if other != key})

    def _store(self, sessions: dict[str, _StoredSession]) -> None:
        shown = {key: one.model_dump() for key, one in sessions.items()}
        write_private(self._path, json.dumps(shown, indent=2).encode())
        self._sessions = sessions


def csrf_matches(session: LoginSession, shown: str | None) -> bool:
    """Whether a request carries the session's CSRF token."""
    return shown is not None and hmac.compare_digest(session.csrf.encode(), shown.encode())
