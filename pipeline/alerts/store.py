"""Events in SQLite, and beside them what the trackers remember.

Both are written in one transaction, so that after a death the trackers go on exactly where the
stored events are. Only the sink writes; anybody may read meanwhile (write-ahead log).
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.dialects.sqlite import insert

from pipeline.alerts.events import Event, TrackerState

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE events (
            id TEXT PRIMARY KEY,
            camera TEXT NOT NULL,
            connection INTEGER NOT NULL,
            first_index INTEGER NOT NULL,
            started_at REAL NOT NULL,
            started_pts_seconds REAL NOT NULL,
            ended_at REAL,
            duration_seconds REAL NOT NULL,
            peak_score REAL NOT NULL,
            peak_at REAL NOT NULL,
            peak_connection INTEGER NOT NULL,
            peak_index INTEGER NOT NULL,
            state TEXT NOT NULL,
            suppressed BOOLEAN NOT NULL,
            frames INTEGER NOT NULL
        )""",
        "CREATE INDEX events_by_time ON events (camera, started_at)",
        "CREATE TABLE trackers (camera TEXT PRIMARY KEY, state TEXT NOT NULL)",
    ),
)
"""What leads from each version of the schema to the next; only ever added to."""

_TABLES = sa.MetaData()
_EVENTS = sa.Table(
    "events",
    _TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("suppressed", sa.Boolean),
    *(sa.Column(f.name) for f in fields(Event) if f.name not in ("id", "suppressed")),
)
_TRACKERS = sa.Table(
    "trackers",
    _TABLES,
    sa.Column("camera", sa.Text, primary_key=True),
    sa.Column("state", sa.Text),
)
_TRACKER_STATE: TypeAdapter[TrackerState] = TypeAdapter(TrackerState)


class StoreError(Exception):
    """The store cannot be opened, read or written; the text says where and why."""


class EventStore:
    """Events of all cameras; open it by `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        sa.event.listen(self._engine, "connect", _prepare_connection)

    def __enter__(self) -> Self:
        """Make the file if missing, and bring it to the newest schema.

        Raises:
            StoreError: it cannot be written, is no database, or is of a newer version.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._engine.begin() as connection:
                _migrate(connection, self._path)
        except (OSError, sa.exc.DBAPIError) as error:
            self._engine.dispose()
            raise self._error("cannot be opened", error) from error
        except StoreError:
            self._engine.dispose()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._engine.dispose()

    def save(self, events: Iterable[Event], trackers: Mapping[str, TrackerState]) -> None:
        """Write events, over those of the same id, and tracker states: all or nothing.

        Raises:
            StoreError: they cannot be written, such as on a full disk.
        """
        event_rows = [asdict(event) for event in events]
        tracker_rows = [
            {"camera": camera, "state": _TRACKER_STATE.dump_json(state).decode()}
            for camera, state in trackers.items()
        ]
        try:
            with self._engine.begin() as connection:
                _upsert(connection, _EVENTS, event_rows)
                _upsert(connection, _TRACKERS, tracker_rows)
        except sa.exc.DBAPIError as error:
            raise self._error("cannot be written", error) from error

    def events(self, camera: str | None = None) -> list[Event]:
        """Stored events in the order in which they began; None: of all cameras.

        Raises:
            StoreError: they cannot be read.
        """
        query = sa.select(_EVENTS).order_by(_EVENTS.c.started_at, _EVENTS.c.id)
        if camera is not None:
            query = query.where(_EVENTS.c.camera == camera)
        return [Event(**row) for row in self._read(query)]

    def tracker(self, camera: str) -> TrackerState | None:
        """What the camera's tracker remembered; None if nothing that this version understands.

        Raises:
            StoreError: it cannot be read.
        """
        rows = self._read(sa.select(_TRACKERS).where(_TRACKERS.c.camera == camera))
        try:
            return _TRACKER_STATE.validate_json(rows[0]["state"]) if rows else None
        except ValidationError:
            return None

    def _read(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except sa.exc.DBAPIError as error:
            raise self._error("cannot be read", error) from error

    def _error(self, what: str, error: Exception) -> StoreError:
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        return StoreError(f"event store {self._path}: {what}: {reason}")


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # Survives the death of the process; after a power cut the newest events are made again from
    # the score log.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _migrate(connection: sa.Connection, path: Path) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(MIGRATIONS):
        raise StoreError(
            f"event store {path}: want schema version {len(MIGRATIONS)} or older, got {version}; "
            "it was written by a newer Vedette"
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        # Python's sqlite3 begins no transaction by itself before statements on the schema.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version={number}")
        connection.exec_driver_sql("COMMIT")


def _upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    (key,) = table.primary_key.columns
    statement = insert(table)
    updates = {column.name: statement.excluded[column.name] for column in table.columns}
    del updates[key.name]
    connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=updates), rows)
