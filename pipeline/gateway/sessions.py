"""Sessions of people in a browser: a cookie in place of a token, which no script can read.

`<img>`, `<video>` and WebSocket cannot send a token. A person shows theirs once and gets a cookie
for it: HttpOnly, SameSite=Strict, and only its hash is kept. Requests that change something must
also carry the session's CSRF token in a header, which a page from elsewhere cannot know. A session
ends with the token that it was made from.
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
"""After so long a person logs in again."""
MOST_SESSIONS = 256
_FILE = "sessions.json"


class _StoredSession(Section):
    token_name: str
    token_sha256: str
    csrf: str
    expires_at: float


_STORED: TypeAdapter[dict[str, _StoredSession]] = TypeAdapter(dict[str, _StoredSession])


@dataclass(frozen=True, slots=True)
class Session:
    """A person who has logged in."""

    caller: Caller
    csrf: str
    """What requests that change something carry in the header `X-Vedette-CSRF`."""
    expires_at: float
    """Unix seconds UTC."""


class Sessions:
    """All sessions, kept in a private file so that a restart logs nobody out; thread-safe."""

    def __init__(self, data_folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Read the kept ones; a damaged file counts as empty.

        Args:
            data_folder: Where they are kept.
            clock: Unix seconds UTC.
        """
        self._path = data_folder / _FILE
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._sessions = _STORED.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            self._sessions = {}

    def open(self, token: str, caller: Caller) -> tuple[str, Session]:
        """Log a person in.

        Args:
            token: What they showed, checked before.
            caller: Whose it is.

        Returns:
            The value of the cookie, and the session.

        Raises:
            OSError: it cannot be kept.
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
            kept = {key: one for key, one in self._sessions.items() if one.expires_at > now}
            while len(kept) >= MOST_SESSIONS:
                kept.pop(next(iter(kept)))
            kept[hash_of(cookie)] = stored
            self._keep(kept)
        return cookie, Session(caller, stored.csrf, stored.expires_at)

    def find(self, cookie: str, book: TokenBook) -> Session | None:
        """The session of a cookie; None: there is none, or it has ended."""
        with self._lock:
            stored = self._sessions.get(hash_of(cookie))
        if stored is None or stored.expires_at <= self._clock():
            return None
        caller = book.holder(stored.token_name, stored.token_sha256)
        return None if caller is None else Session(caller, stored.csrf, stored.expires_at)

    def close(self, cookie: str) -> None:
        """Log a person out.

        Raises:
            OSError: it cannot be kept.
        """
        with self._lock:
            key = hash_of(cookie)
            if key in self._sessions:
                self._keep({other: one for other, one in self._sessions.items() if other != key})

    def _keep(self, sessions: dict[str, _StoredSession]) -> None:
        shown = {key: one.model_dump() for key, one in sessions.items()}
        write_private(self._path, json.dumps(shown, indent=2).encode())
        self._sessions = sessions


def csrf_matches(session: Session, shown: str | None) -> bool:
    """Whether a request carries the session's CSRF token."""
    return shown is not None and hmac.compare_digest(session.csrf.encode(), shown.encode())
