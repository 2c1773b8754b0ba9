"""What waits to be told to the world: one row per sink and message, in SQLite.

A message is written here before the event store takes its event, and leaves when its receiver has
taken it: whatever dies in between, it is sent again under the same key. A sink that is away costs
disk, never time: its messages wait within bounds, newer updates of an event take the place of older
ones, and what has to go is counted.

Raises `OutboxError` wherever the file cannot be used. Safe between threads.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

Kind = Literal["new", "update", "end"]
Loss = Literal["age", "count", "bytes"]

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    key TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at REAL NOT NULL,
    refused TEXT
);
CREATE INDEX messages_in_order ON messages (sink, refused, number);
CREATE TABLE heads (
    sink TEXT NOT NULL,
    subject TEXT NOT NULL,
    position INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (sink, subject)
) WITHOUT ROWID;
"""
# A head outlives its messages: that long, a repetition after a death is known as one.
_KEEP_HEADS_SECONDS = 7 * 86400.0
_KINDS: tuple[Kind, ...] = ("new", "update", "end")
# The alert path writes here, so nobody's lock may hold it up for long.
_BUSY_MILLISECONDS = 250


class OutboxError(Exception):
    """The outbox cannot be opened, read or written; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one sink."""

    sink: str
    """Name of the sink, such as "webhook:office"."""
    key: str
    """The same for every repetition of this message: a receiver takes it once."""
    subject: str
    """Id of the event; its messages are told in order, and its updates coalesce."""
    kind: Kind
    revision: int
    """Rises with the event, whatever the kind; >= 0."""
    body: str
    created_at: float
    """Unix seconds."""
    number: int = 0
    """Place in the outbox, given by it."""

    @property
    def position(self) -> int:
        """Order among the messages of one event."""
        return self.revision * len(_KINDS) + _KINDS.index(self.kind)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait for one sink."""

    messages: int = 10_000
    size_bytes: int = 64 << 20
    age_seconds: float = 86400.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one sink."""

    messages: int
    size_bytes: int
    oldest_at: float | None
    """Unix seconds; None when nothing waits."""
    refused: int
    """Messages that the receiver will never take, kept for people until they are too old."""


class Outbox:
    """The messages of all sinks; open it by `with`."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self._path = path
        self._bounds = bounds
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Open the file, or make it; its readers are its owner alone, for bodies may be private.

        Raises:
            OutboxError: it cannot be written, is no database, or is of another version.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            connection = sqlite3.connect(
                self._path, check_same_thread=False, isolation_level=None, timeout=5.0
            )
        except (OSError, sqlite3.Error) as error:
            raise self._error("cannot be opened", error) from error
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # Survives the death of the process; a power cut may cost the newest messages.
            connection.execute("PRAGMA synchronous=NORMAL")
            self._prepare(connection)
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        except (OutboxError, sqlite3.Error) as error:
            connection.close()
            if isinstance(error, OutboxError):
                raise
            raise self._error("cannot be opened", error) from error
        self._connection = connection
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; whoever still delivers gets an `OutboxError`."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def put(self, letter: Letter) -> dict[Loss, int]:
        """Add a message, unless it, or a later one of its event, was added before.

        A waiting update of the same event gives way: to a newer update in its place, to the end.

        Returns:
            How many messages the bounds cost, by bound.
        """
        with self._transaction("cannot be written") as db:
            head = db.execute(
                "SELECT position FROM heads WHERE sink=? AND subject=?",
                (letter.sink, letter.subject),
            ).fetchone()
            if head is not None and letter.position <= head[0]:
                return {}
            db.execute(
                "INSERT OR REPLACE INTO heads VALUES (?,?,?,?)",
                (letter.sink, letter.subject, letter.position, letter.created_at),
            )
            waiting = "sink=? AND subject=? AND kind='update' AND refused IS NULL"
            size = len(letter.body.encode())
            replaced = (
                letter.kind == "update"
                and db.execute(
                    f"UPDATE messages SET key=?, body=?, bytes=?, created_at=? WHERE {waiting}",
                    (letter.key, letter.body, size, letter.created_at, letter.sink, letter.subject),
                ).rowcount
            )
            if not replaced:
                db.execute(f"DELETE FROM messages WHERE {waiting}", (letter.sink, letter.subject))
                db.execute(
                    "INSERT INTO messages (sink, key, subject, kind, body, bytes, created_at)"
                    " VALUES (?,?,?,?,?,?,?)",
                    (letter.sink, letter.key, letter.subject, letter.kind, letter.body, size,
                     letter.created_at),
                )  # fmt: skip
            return self._make_room(db, letter.sink)

    def oldest(self, sink: str) -> Letter | None:
        """The message to be delivered next; None: nothing waits."""
        with self._transaction("cannot be read", "BEGIN") as db:
            row = db.execute(
                "SELECT m.key, m.subject, m.kind, m.body, m.created_at, m.number FROM messages m"
                " WHERE m.sink=? AND m.refused IS NULL ORDER BY m.number LIMIT 1",
                (sink,),
            ).fetchone()
        if row is None:
            return None
        key, subject, kind, body, created_at, number = row
        revision = int(key.rsplit(":", 1)[1])
        return Letter(sink, key, subject, kind, revision, body, created_at, number)

    def delivered(self, letter: Letter) -> None:
        """Forget a message, unless a newer one has taken its place meanwhile."""
        with self._transaction("cannot be written") as db:
            db.execute("DELETE FROM messages WHERE number=? AND key=?", (letter.number, letter.key))

    def refused(self, letter: Letter, reason: str) -> None:
        """Put a message aside that its receiver will never take; it is kept for people."""
        with self._transaction("cannot be written") as db:
            db.execute(
                "UPDATE messages SET refused=? WHERE number=? AND key=?",
                (reason, letter.number, letter.key),
            )

    def backlog(self, sink: str) -> Backlog:
        """What waits for a sink."""
        with self._transaction("cannot be read", "BEGIN") as db:
            row = db.execute(
                "SELECT COUNT(*) FILTER (WHERE refused IS NULL),"
                " COALESCE(SUM(bytes) FILTER (WHERE refused IS NULL), 0),"
                " MIN(created_at) FILTER (WHERE refused IS NULL),"
                " COUNT(refused) FROM messages WHERE sink=?",
                (sink,),
            ).fetchone()
        return Backlog(*row)

    def prune(self, now: float) -> dict[str, int]:
        """Remove what is too old, of any sink, also of those that are no longer configured.

        Args:
            now: Unix seconds.

        Returns:
            How many messages still waited, by sink.
        """
        with self._transaction("cannot be written") as db:
            too_old = now - self._bounds.age_seconds
            lost = db.execute(
                "SELECT sink, COUNT(*) FROM messages"
                " WHERE created_at < ? AND refused IS NULL GROUP BY sink",
                (too_old,),
            ).fetchall()
            db.execute("DELETE FROM messages WHERE created_at < ?", (too_old,))
            db.execute("DELETE FROM heads WHERE at < ?", (now - _KEEP_HEADS_SECONDS,))
        return dict(lost)

    def shift(self, seconds: float) -> None:
        """Count the age of all that waits by a clock that was set by so many seconds."""
        with self._transaction("cannot be written") as db:
            db.execute("UPDATE messages SET created_at = created_at + ?", (seconds,))
            db.execute("UPDATE heads SET at = at + ?", (seconds,))

    def _make_room(self, db: sqlite3.Connection, sink: str) -> dict[Loss, int]:
        lost: dict[Loss, int] = {}
        while True:
            count, size = db.execute(
                "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM messages WHERE sink=?", (sink,)
            ).fetchone()
            if count > self._bounds.messages:
                bound: Loss = "count"
            elif size > self._bounds.size_bytes:
                bound = "bytes"
            else:
                return lost
            # First what is dead, then the updates, of which people miss the least; old before new.
            number, refused = db.execute(
                "SELECT number, refused FROM messages WHERE sink=?"
                " ORDER BY refused IS NULL, kind <> 'update', number LIMIT 1",
                (sink,),
            ).fetchone()
            db.execute("DELETE FROM messages WHERE number=?", (number,))
            if refused is None:
                lost[bound] = lost.get(bound, 0) + 1

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise OutboxError(
                f"outbox {self._path}: want schema version {SCHEMA_VERSION}, got {version}; "
                "it was written by another Vedette"
            )

    @contextmanager
    def _transaction(
        self, trouble: str, begin: str = "BEGIN IMMEDIATE"
    ) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                raise OutboxError(f"outbox {self._path}: {trouble}: it is closed")
            try:
                self._connection.execute(begin)
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._error(trouble, error) from error

    def _error(self, what: str, error: Exception) -> OutboxError:
        return OutboxError(f"outbox {self._path}: {what}: {error}")
