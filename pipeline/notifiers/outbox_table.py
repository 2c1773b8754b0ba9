"""The messages of the outbox in one SQLite database: on disk, or in memory. Not thread-safe.

Every method runs in the transaction of its caller, and raises `sqlite3.Error`.
"""

import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager

from pipeline.notifiers.outbox_message import Backlog, Bounds, Kind, Loss, OutboxMessage

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
# A head is stored longer than its messages: for this time a repetition after a crash is detected.
_KEEP_HEADS_SECONDS = 7 * 86400.0
_COLUMNS = "sink, key, subject, kind, body, created_at, number"


class VersionError(Exception):
    """The database has another schema."""


class OutboxTable:
    """One database; the connection is in autocommit mode, and this class begins and commits."""

    def __init__(self, connection: sqlite3.Connection, bounds: Bounds) -> None:
        """Create the tables if they are missing.

        Raises:
            VersionError: they have another version.
            sqlite3.Error: they cannot be read or created.
        """
        self._db = connection
        self._bounds = bounds
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise VersionError(
                f"want schema version {SCHEMA_VERSION}, got {version}; "
                "it was written by another version of Vedette"
            )

    @classmethod
    def in_memory(cls, bounds: Bounds) -> "OutboxTable":
        """Create an empty one in memory."""
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        return cls(connection, bounds)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        """A transaction: committed as a whole, or rolled back."""
        self._db.execute(begin)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def head(self, sink: str, subject: str) -> int:
        """Position of the newest message of an event that was ever added; -1: none was."""
        row = self._db.execute(
            "SELECT position FROM heads WHERE sink=? AND subject=?", (sink, subject)
        ).fetchone()
        return -1 if row is None else int(row[0])

    def put(self, queued_message: OutboxMessage) -> dict[Loss, int]:
        """Add a message; see `Outbox.put`."""
        if queued_message.position <= self.head(queued_message.sink, queued_message.subject):
            return {}
        db = self._db
        self._set_head(
            queued_message.sink,
            queued_message.subject,
            queued_message.position,
            queued_message.created_at,
        )
        waiting = "sink=? AND subject=? AND kind='update' AND refused IS NULL"
        size = len(queued_message.body.encode())
        replaced = (
            queued_message.kind == "update"
            and db.execute(
                f"UPDATE messages SET key=?, body=?, bytes=?, created_at=? WHERE {waiting}",
                (
                    queued_message.key,
                    queued_message.body,
                    size,
                    queued_message.created_at,
                    queued_message.sink,
                    queued_message.subject,
                ),
            ).rowcount
        )
        if not replaced:
            db.execute(
                f"DELETE FROM messages WHERE {waiting}",
                (queued_message.sink, queued_message.subject),
            )
            db.execute(
                "INSERT INTO messages (sink, key, subject, kind, body, bytes, created_at)"
                " VALUES (?,?,?,?,?,?,?)",
                (
                    queued_message.sink,
                    queued_message.key,
                    queued_message.subject,
                    queued_message.kind,
                    queued_message.body,
                    size,
                    queued_message.created_at,
                ),
            )
        return self._make_room(queued_message.sink)

    def oldest(
        self,
        sink: str,
        completed: Container[tuple[str, str]],
        exclude: Container[str],
        subject: str | None = None,
    ) -> OutboxMessage | None:
        """The first message that waits.

        Args:
            sink: Name of the sink.
            completed: (sink, key) of messages to skip, as they are completed.
            exclude: Subjects to skip.
            subject: Only messages of this subject; None: of all.
        """
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE sink=?1 AND refused IS NULL"
            " AND (?2 IS NULL OR subject=?2) ORDER BY number",
            (sink, subject),
        )
        with closing(rows):
            for row in rows:
                if (sink, row[1]) not in completed and row[2] not in exclude:
                    return _queued_message(row)
        return None

    def complete(self, sink: str, key: str, reason: str | None) -> bool:
        """Delete a message, or with a reason put it aside; returns whether it existed."""
        if reason is None:
            done = self._db.execute("DELETE FROM messages WHERE sink=? AND key=?", (sink, key))
        else:
            done = self._db.execute(
                "UPDATE messages SET refused=? WHERE sink=? AND key=?", (reason, sink, key)
            )
        return done.rowcount > 0

    def merge(self, other: "OutboxTable") -> dict[str, dict[Loss, int]]:
        """Add all messages of another table; returns dropped messages by sink and bound."""
        lost: dict[str, dict[Loss, int]] = {}
        for *row, refused in other._db.execute(
            f"SELECT {_COLUMNS}, refused FROM messages ORDER BY number"
        ):
            queued_message = _queued_message(tuple(row))
            costs = lost.setdefault(queued_message.sink, {})
            for bound, count in self.put(queued_message).items():
                costs[bound] = costs.get(bound, 0) + count
            if refused is not None:
                self.complete(queued_message.sink, queued_message.key, refused)
        for sink, subject, position, at in other._db.execute("SELECT * FROM heads"):
            if position > self.head(sink, subject):
                self._set_head(sink, subject, position, at)
        return lost

    def backlog(self, sink: str) -> Backlog:
        """Messages that wait for a sink."""
        row = self._db.execute(
            "SELECT COUNT(*) FILTER (WHERE refused IS NULL),"
            " COALESCE(SUM(bytes) FILTER (WHERE refused IS NULL), 0),"
            " MIN(created_at) FILTER (WHERE refused IS NULL),"
            " COUNT(refused) FROM messages WHERE sink=?",
            (sink,),
        ).fetchone()
        return Backlog(*row)

    def prune(self, now: float) -> dict[str, int]:
        """Remove old messages; returns the number of those that still waited, by sink."""
        too_old = now - self._bounds.age_seconds
        lost = self._db.execute(
            "SELECT sink, COUNT(*) FROM messages"
            " WHERE created_at < ? AND refused IS NULL GROUP BY sink",
            (too_old,),
        ).fetchall()
        self._db.execute("DELETE FROM messages WHERE created_at < ?", (too_old,))
        self._db.execute("DELETE FROM heads WHERE at < ?", (now - _KEEP_HEADS_SECONDS,))
        return dict(lost)

    def shift(self, seconds: float) -> None:
        """Adjust all ages to a clock that was set by so many seconds."""
        self._db.execute("UPDATE messages SET created_at = created_at + ?", (seconds,))
        self._db.execute("UPDATE heads SET at = at + ?", (seconds,))

    def _set_head(self, sink: str, subject: str, position: int, at: float) -> None:
        row = (sink, subject, position, at)
        self._db.execute("INSERT OR REPLACE INTO heads VALUES (?,?,?,?)", row)

    def _make_room(self, sink: str) -> dict[Loss, int]:
        lost: dict[Loss, int] = {}
        while True:
            count, size = self._db.execute(
                "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM messages WHERE sink=?", (sink,)
            ).fetchone()
            if count > self._bounds.messages:
                bound: Loss = "count"
            elif size > self._bounds.size_bytes:
                bound = "bytes"
            else:
                return lost
            # First refused messages, then updates, which matter least; old before new.
            number, refused = self._db.execute(
                "SELECT number, refused FROM messages WHERE sink=?"
                " ORDER BY refused IS NULL, kind <> 'update', number LIMIT 1",
                (sink,),
            ).fetchone()
            self._db.execute("DELETE FROM messages WHERE number=?", (number,))
            if refused is None:
                lost[bound] = lost.get(bound, 0) + 1


def _queued_message(row: tuple[str, str, str, Kind, str, float, int]) -> OutboxMessage:
    sink, key, subject, kind, body, created_at, number = row
    return OutboxMessage(
        sink, key, subject, kind, int(key.rsplit(":", 1)[1]), body, created_at, number
    )
