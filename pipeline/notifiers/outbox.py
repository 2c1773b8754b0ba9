"""Queue of messages for the receivers: one row per sink and message, in SQLite.

A message is written here before its event is stored, and is deleted when its receiver has accepted
it: after a crash in between it is sent again under the same key. A receiver that is unavailable
costs disk space, never time: its messages wait within bounds, newer updates of an event replace
older ones, and dropped messages are counted.

If the disk is full the caller is not blocked: messages, and which ones were delivered, are held in
memory until the file can be written again. A damaged file is moved aside.

All methods raise `OutboxError` once the outbox is closed. Thread-safe.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Container
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pipeline.notifiers.outbox_message import Backlog, Bounds, Loss, OutboxMessage
from pipeline.notifiers.outbox_table import OutboxTable, VersionError
from pipeline.telemetry.damaged_files import put_aside

T = TypeVar("T")

# The alert path writes here, so that a lock of another process must not block it for long.
_BUSY_MILLISECONDS = 250
_OPEN_AGAIN_SECONDS = 5.0
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class OutboxError(Exception):
    """The outbox is closed."""


class Outbox:
    """The messages of all sinks; a context manager."""

    def __init__(
        self, path: Path, bounds: Bounds, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; `clock`: monotonic seconds."""
        self._path = path
        self._bounds = bounds
        self._clock = clock
        self._lock = threading.Lock()
        self._open = False
        self._disk: OutboxTable | None = None
        self._opened_at = -float("inf")
        self._memory: OutboxTable | None = None
        # (sink, key) of messages on the disk that are completed, with the reason of a refusal.
        self._completed: dict[tuple[str, str], str | None] = {}
        self._problem = ""
        self._lost: dict[str, dict[Loss, int]] = {}

    @property
    def problem(self) -> str:
        """Why the file cannot be used at present; empty: it can."""
        return self._problem

    def __enter__(self) -> Self:
        """Open or create the file; only its owner may read it, as messages may be private.

        A file that is damaged, or has another version, is moved aside; see `problem` for other
        errors.
        """
        with self._lock:
            self._open = True
            self._write(lambda disk: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; later calls raise `OutboxError`."""
        with self._lock:
            if self._completed or self._memory is not None:
                self._opened_at = -float("inf")
                self._write(lambda disk: None)
            self._open = False
            for table in (self._disk, self._memory):
                if table is not None:
                    table.close()
            self._disk = self._memory = None

    def put(self, queued_message: OutboxMessage) -> dict[Loss, int]:
        """Add a message, unless it, or a later one of its event, was added before.

        A waiting update of the same event is replaced by a newer update, and deleted by the end.

        Returns:
            Number of messages of its sink that were dropped, by bound.
        """
        with self._lock:
            self._check_open()
            lost = self._write(lambda disk: disk.put(queued_message))
            if lost is None:
                head = self._read(
                    lambda disk: disk.head(queued_message.sink, queued_message.subject)
                )
                if queued_message.position <= (-1 if head is None else head):
                    return {}
                if self._memory is None:
                    self._memory = OutboxTable.in_memory(self._bounds)
                with self._memory.transaction():
                    lost = self._memory.put(queued_message)
            for bound, count in self._lost.pop(queued_message.sink, {}).items():
                lost[bound] = lost.get(bound, 0) + count
            return lost

    def oldest(
        self, sink: str, *, exclude: Container[str] = (), subject: str | None = None
    ) -> OutboxMessage | None:
        """The message to be delivered next; None: nothing waits.

        Args:
            sink: Name of the sink.
            exclude: Subjects whose messages are skipped.
            subject: Only messages of this subject; None: of all.
        """
        with self._lock:
            self._check_open()
            queued_message = self._read(
                lambda disk: disk.oldest(sink, self._completed, exclude, subject)
            )
            if queued_message is None and self._memory is not None:
                queued_message = self._memory.oldest(sink, (), exclude, subject)
            return queued_message

    def delivered(self, queued_message: OutboxMessage) -> None:
        """Delete a message, unless a newer one has replaced it meanwhile."""
        self._complete(queued_message, None)

    def refused(self, queued_message: OutboxMessage, reason: str) -> None:
        """Put a message aside that its receiver does not accept; it is stored for inspection."""
        self._complete(queued_message, reason)

    def backlog(self, sink: str) -> Backlog:
        """What waits for a sink."""
        with self._lock:
            self._check_open()
            found = [self._read(lambda disk: disk.backlog(sink))]
            found.append(None if self._memory is None else self._memory.backlog(sink))
            parts = [part for part in found if part is not None]
            done = sum(1 for known, _ in self._completed if known == sink)
            dates = [part.oldest_at for part in parts if part.oldest_at is not None]
            return Backlog(
                max(0, sum(part.messages for part in parts) - done),
                sum(part.size_bytes for part in parts),
                min(dates, default=None),
                sum(part.refused for part in parts),
            )

    def prune(self, now: float) -> dict[str, int]:
        """Remove messages that are too old, also of sinks that are no longer configured.

        Args:
            now: Unix seconds.

        Returns:
            Number of removed messages that still waited, by sink.
        """
        with self._lock:
            self._check_open()
            lost = self._write(lambda disk: disk.prune(now)) or {}
            if self._memory is not None:
                with self._memory.transaction():
                    for sink, count in self._memory.prune(now).items():
                        lost[sink] = lost.get(sink, 0) + count
            return lost

    def shift(self, seconds: float) -> None:
        """Adjust the age of all messages to a clock that was set by so many seconds."""
        with self._lock:
            self._check_open()
            self._write(lambda disk: disk.shift(seconds))
            if self._memory is not None:
                with self._memory.transaction():
                    self._memory.shift(seconds)

    def sync(self) -> None:
        """Retry the file if changes are held in memory; to be called every few seconds."""
        with self._lock:
            self._check_open()
            if self._problem or self._completed or self._memory is not None:
                self._write(lambda disk: None)

    def _complete(self, queued_message: OutboxMessage, reason: str | None) -> None:
        with self._lock:
            self._check_open()
            if self._memory is not None:
                with self._memory.transaction():
                    if self._memory.complete(queued_message.sink, queued_message.key, reason):
                        return
            self._completed[queued_message.sink, queued_message.key] = reason
            self._write(lambda disk: None)

    def _read(self, work: Callable[[OutboxTable], T]) -> T | None:
        """Read from the disk; None: it cannot be read."""
        if self._disk is None:
            return None
        try:
            with self._disk.transaction("BEGIN"):
                return work(self._disk)
        except sqlite3.Error as error:
            self._failed(error, "cannot be read")
            return None

    def _write(self, work: Callable[[OutboxTable], T]) -> T | None:
        """Write the changes held in memory, then `work`; None: the disk cannot be written.

        In one transaction, so that data on the disk is always older than data in memory.
        """
        try:
            disk = self._open_disk()
            if disk is None:
                return None
            with disk.transaction():
                lost = {} if self._memory is None else disk.merge(self._memory)
                for (sink, key), reason in self._completed.items():
                    disk.complete(sink, key, reason)
                done = work(disk)
        except (OSError, sqlite3.Error) as error:
            self._failed(error, "cannot be written")
            return None
        self._problem = ""
        self._completed.clear()
        if self._memory is not None:
            self._lost = lost
            self._memory.close()
            self._memory = None
        return done

    def _open_disk(self) -> OutboxTable | None:
        now = self._clock()
        if self._disk is None and now - self._opened_at >= _OPEN_AGAIN_SECONDS:
            self._opened_at = now
            try:
                self._disk = self._connect()
            except (VersionError, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.Error) and not _is_damage(error):
                    raise
                put_aside(self._path, str(error))
                self._disk = self._connect()
        return self._disk

    def _connect(self) -> OutboxTable:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(
            self._path, check_same_thread=False, isolation_level=None, timeout=5.0
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # Survives a crash of the process; a power cut may lose the newest messages.
            connection.execute("PRAGMA synchronous=NORMAL")
            table = OutboxTable(connection, self._bounds)
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        except BaseException:
            connection.close()
            raise
        return table

    def _failed(self, error: Exception, what: str) -> None:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._problem = f"outbox {self._path}: {what}: {text}; its messages wait in memory"
        if self._disk is None or not isinstance(error, sqlite3.Error) or not _is_damage(error):
            return
        self._disk.close()
        self._disk, self._opened_at = None, -float("inf")
        try:
            put_aside(self._path, text)
        except OSError as problem:
            self._problem += f"; it cannot be moved aside: {problem.strerror}"

    def _check_open(self) -> None:
        if not self._open:
            raise OutboxError(f"outbox {self._path}: closed")


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES
