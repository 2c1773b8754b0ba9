"""Reads what waits in the outbox from another process, without changing it."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import Config
from pipeline.notifiers.outbox_table import SCHEMA_VERSION

_BUSY_SECONDS = 0.25
_REFUSALS = 5


def sinks_of(config: Config) -> list[str]:
    """Names of all configured receivers."""
    return [
        *(["mqtt"] if config.mqtt.enabled else []),
        *(f"webhook:{name}" for name in config.webhooks),
        *(f"apprise:{name}" for name in config.apprise),
    ]


class OutboxUnreadableError(Exception):
    """The outbox cannot be read now."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that a receiver does not accept."""

    event: str
    """Id of its event."""
    reason: str
    created_at: float
    """Unix seconds."""


@dataclass(slots=True)
class SinkQueue:
    """Messages of one receiver."""

    sink: str
    """Its name, such as "mqtt" or "webhook:office"."""
    waiting: int = 0
    waiting_bytes: int = 0
    oldest_at: float | None = None
    """Unix seconds; None: nothing waits."""
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    """The newest five."""


def read_outbox(path: Path, sinks: Iterable[str]) -> list[SinkQueue]:
    """The queue of each receiver, sorted by name.

    Args:
        path: The database; without a file nothing waits.
        sinks: Names of the configured receivers; others are included if messages of them wait.

    Raises:
        OutboxUnreadableError: it is damaged, locked, or of another version.
    """
    found = {sink: SinkQueue(sink) for sink in sinks}
    if path.is_file():
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as database:
                _read(database, found)
        except sqlite3.Error as error:
            raise OutboxUnreadableError(f"the outbox cannot be read: {error}") from error
    return [found[sink] for sink in sorted(found)]


def _read(database: sqlite3.Connection, found: dict[str, SinkQueue]) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise OutboxUnreadableError(f"the outbox: want version {SCHEMA_VERSION}, got {version}")
    rows = database.execute(
        "SELECT sink, refused IS NOT NULL, COUNT(*), SUM(bytes), MIN(created_at)"
        " FROM messages GROUP BY 1, 2"
    )
    for sink, is_refused, count, size, oldest_at in rows:
        queue = found.setdefault(sink, SinkQueue(sink))
        if is_refused:
            queue.refused = count
        else:
            queue.waiting, queue.waiting_bytes, queue.oldest_at = count, size, oldest_at
    for queue in found.values():
        refusals = database.execute(
            "SELECT subject, refused, created_at FROM messages"
            " WHERE sink = ? AND refused IS NOT NULL ORDER BY number DESC LIMIT ?",
            (queue.sink, _REFUSALS),
        )
        queue.refusals = [Refusal(*row) for row in refusals]
