"""The event store: events, score history and tracker states.

All are written in one transaction, so that after a crash the trackers continue exactly at the
stored events. Only the sink writes; other processes may read at the same time.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from pipeline.events.event import Event
from pipeline.events.event_tracker import TrackerState
from pipeline.storage.database import Database, store_url, upsert
from pipeline.storage.event_queries import (
    Annotation,
    EventPage,
    EventQuery,
    Label,
    StoredEvent,
    cursor_after,
)
from pipeline.storage.schema import EVENTS, TRACKERS
from pipeline.storage.score_history import (
    MAX_POINTS,
    Resolution,
    ScoreBucket,
    ScorePoint,
    add_to_history,
    history_query,
    point_of,
    prune_history,
)

_EVENT_FIELDS = tuple(field.name for field in fields(Event))
_MAX_KEYS = 500  # in one statement
_TRACKER_STATE: TypeAdapter[TrackerState] = TypeAdapter(TrackerState)


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The stored properties of an event that retention depends on."""

    id: str
    camera: str
    last_at: float
    """End of the event, or its start while it is active; Unix seconds UTC."""
    active: bool
    label: Label | None
    has_clip: bool


class EventStore:
    """Events and scores of all cameras; a context manager."""

    def __init__(self, where: Path | sa.URL, *, read_only: bool = False) -> None:
        """Prepare to open.

        Args:
            where: File of SQLite, or URL as from `store_url`.
            read_only: For every process but the sink; readers and the writer do not block each
                other.
        """
        url = sa.URL.create("sqlite", database=str(where)) if isinstance(where, Path) else where
        self._database = Database(url, read_only=read_only)

    @classmethod
    def for_reading(cls, url: str | None, data_folder: Path) -> Self:
        """The store of a configuration, for any process but the sink.

        Args:
            url: `store.url` of the configuration.
            data_folder: Data folder of the run.
        """
        return cls(store_url(url, data_folder), read_only=True)

    def __enter__(self) -> Self:
        """Create or migrate the database; for reading, only check its schema.

        Raises:
            StoreUnreachableError: the server does not answer.
            StoreError: it cannot be used, is not a database, or has another version.
        """
        self._database.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._database.close()

    def save(
        self,
        events: Iterable[Event],
        trackers: Mapping[str, TrackerState],
        scores: Iterable[ScoreBucket] = (),
    ) -> None:
        """Insert or update events, tracker states and scores in one transaction.

        Raises:
            StoreError: they cannot be written, such as on a full disk.
        """
        with self._database.begin() as connection:
            upsert(connection, EVENTS, map(asdict, events))
            upsert(
                connection,
                TRACKERS,
                (
                    {"camera": camera, "state": _TRACKER_STATE.dump_json(state).decode()}
                    for camera, state in trackers.items()
                ),
            )
            add_to_history(connection, scores)

    def annotate(
        self, event_id: str, annotation: Annotation, now: float | None = None
    ) -> StoredEvent | None:
        """Store the annotation of a person; returns the event, or None: there is no such event.

        Args:
            event_id: Id of the event.
            annotation: The changes.
            now: Unix seconds UTC; None: the current time.

        Raises:
            StoreError: it cannot be written.
        """
        columns = annotation.columns(time.time() if now is None else now)
        if columns:
            with self._database.begin() as connection:
                connection.execute(sa.update(EVENTS).where(EVENTS.c.id == event_id).values(columns))
        return self.event(event_id)

    def set_clips(self, event_ids: Collection[str], has_clip: bool) -> None:
        """Store whether events have clips.

        Raises:
            StoreError: it cannot be written.
        """
        self._for_each(
            event_ids, lambda ids: sa.update(EVENTS).where(ids).values(has_clip=has_clip)
        )

    def delete_events(self, event_ids: Collection[str]) -> None:
        """Delete events; not their files.

        Raises:
            StoreError: it cannot be written.
        """
        self._for_each(event_ids, sa.delete(EVENTS).where)

    def prune_scores(self, now: float) -> int:
        """Delete scores older than their storage time; returns the number of buckets.

        Args:
            now: Unix seconds UTC.

        Raises:
            StoreError: it cannot be written.
        """
        with self._database.begin() as connection:
            return prune_history(connection, now)

    def reclaim_space(self, max_pages: int = 1000) -> None:
        """Return space that deletions left empty to the file system, at most so many pages.

        Raises:
            StoreError: it cannot be written.
        """
        self._database.reclaim_space(max_pages)

    def events(self, camera: str | None = None) -> list[Event]:
        """Stored events in the order of their start; None: of all cameras.

        Raises:
            StoreError: they cannot be read.
        """
        query = sa.select(EVENTS).order_by(EVENTS.c.started_at, EVENTS.c.id)
        if camera is not None:
            query = query.where(EVENTS.c.camera == camera)
        return [_event(row) for row in self._database.read(query)]

    def event(self, event_id: str) -> StoredEvent | None:
        """One event; None: there is none.

        Raises:
            StoreError: it cannot be read.
        """
        rows = self._database.read(sa.select(EVENTS).where(EVENTS.c.id == event_id))
        return _stored(rows[0]) if rows else None

    def find(self, query: EventQuery) -> EventPage:
        """A page of events, newest first.

        Raises:
            ValueError: the limit or the cursor is out of range.
            StoreError: they cannot be read.
        """
        found = [_stored(row) for row in self._database.read(query.select())]
        page = tuple(found[: query.limit])
        return EventPage(page, cursor_after(page[-1].event) if len(found) > len(page) else None)

    def facts(self) -> list[EventFacts]:
        """The properties of each event that retention depends on, in no particular order.

        Raises:
            StoreError: they cannot be read.
        """
        column = EVENTS.c
        query = sa.select(
            column.id,
            column.camera,
            sa.func.coalesce(column.ended_at, column.started_at).label("last_at"),
            column.ended_at.is_(None).label("active"),
            column.label,
            column.has_clip,
        )
        return [EventFacts(**row) for row in self._database.read(query)]

    def scores(
        self,
        camera: str,
        begin: float,
        end: float,
        resolution_seconds: Resolution,
        limit: int = MAX_POINTS,
    ) -> list[ScorePoint]:
        """Score history of a camera, oldest first; buckets without a frame are missing.

        Args:
            camera: Name in the configuration.
            begin: Unix seconds UTC.
            end: Not included.
            resolution_seconds: 1: stored for a day; 60: stored for 30 days.
            limit: Maximum number of points, 1 … 10000; continue from the last `begins_at` + 1.

        Raises:
            ValueError: the limit is out of range.
            StoreError: they cannot be read.
        """
        if not 1 <= limit <= MAX_POINTS:
            raise ValueError(f"limit: want 1 to {MAX_POINTS}, got {limit}")
        query = history_query(camera, begin, end, resolution_seconds, limit)
        return [point_of(row) for row in self._database.read(query)]

    def tracker(self, camera: str) -> TrackerState | None:
        """Stored state of a camera's tracker; None: there is none that this version can read.

        Raises:
            StoreError: it cannot be read.
        """
        rows = self._database.read(sa.select(TRACKERS).where(TRACKERS.c.camera == camera))
        try:
            return _TRACKER_STATE.validate_json(rows[0]["state"]) if rows else None
        except ValidationError:
            return None

    def _for_each(self, event_ids: Collection[str], statement: Any) -> None:
        ids = list(event_ids)
        with self._database.begin() as connection:
            for begin in range(0, len(ids), _MAX_KEYS):
                some = EVENTS.c.id.in_(ids[begin : begin + _MAX_KEYS])
                connection.execute(statement(some))


def _event(row: Mapping[str, Any]) -> Event:
    return Event(**{name: row[name] for name in _EVENT_FIELDS})


def _stored(row: Mapping[str, Any]) -> StoredEvent:
    return StoredEvent(
        _event(row), row["acknowledged_at"], row["label"], row["note"], bool(row["has_clip"])
    )
