"""Queries for stored events, and the annotations that a person may add to them."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, StringConstraints

from pipeline.events.event import Event
from pipeline.storage.schema import EVENTS, MAX_NOTE_CHARACTERS

Label = Literal["normal", "anomaly"]
MAX_EVENTS = 1000
"""Maximum on one page."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its annotations."""

    event: Event
    acknowledged_at: float | None
    """When a person acknowledged the event, Unix seconds UTC; None: not acknowledged."""
    label: Label | None
    """Label given by a person."""
    note: str | None
    """Free text written by a person."""
    has_clip: bool
    """Whether there is a video clip of the event."""


class Annotation(BaseModel):
    """Changes of a person to an event; fields that are not set are unchanged."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    acknowledged: bool = False
    """Whether a person has acknowledged the event."""
    label: Label | None = None
    """Label of the event; null: none."""
    note: Annotated[str, StringConstraints(max_length=MAX_NOTE_CHARACTERS)] | None = None
    """Free text; null: none."""

    def columns(self, now: float) -> dict[str, object]:
        """Values to write, by column.

        Args:
            now: Unix seconds UTC.
        """
        columns: dict[str, object] = {
            name: getattr(self, name) for name in ("label", "note") if name in self.model_fields_set
        }
        if "acknowledged" in self.model_fields_set:
            columns["acknowledged_at"] = now if self.acknowledged else None
        return columns


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filter for events, newest first; None: any value."""

    camera: str | None = None
    zone: str | None = None
    """Zone that the event has reached."""
    begin: float | None = None
    """Started at this time or later, Unix seconds UTC."""
    end: float | None = None
    """Started before this time, Unix seconds UTC."""
    active: bool | None = None
    """Whether the event is still active."""
    suppressed: bool | None = None
    """Whether its notifications were suppressed."""
    label: Literal["normal", "anomaly", "none"] | None = None
    """"none": without a label."""
    acknowledged: bool | None = None
    has_clip: bool | None = None
    limit: int = 50
    """Maximum number of events on the page, 1 … 1000."""
    cursor: str | None = None
    """`next_cursor` of the previous page; None: the first page."""

    def select(self) -> sa.Select[Any]:
        """The SQL query, for one event more than the page holds.

        Raises:
            ValueError: the limit is out of range, or the cursor is invalid.
        """
        if not 1 <= self.limit <= MAX_EVENTS:
            raise ValueError(f"limit: want 1 to {MAX_EVENTS}, got {self.limit}")
        column = EVENTS.c
        query = sa.select(EVENTS).order_by(column.started_at.desc(), column.id.desc())
        if self.camera is not None:
            query = query.where(column.camera == self.camera)
        if self.zone is not None:
            # Not LIKE, in which "_" is a wildcard, and which ignores case in SQLite.
            names = sa.type_coerce(column.zones, sa.Text)
            query = query.where(sa.func.replace(names, f'"{self.zone}"', "") != names)
        if self.begin is not None:
            query = query.where(column.started_at >= self.begin)
        if self.end is not None:
            query = query.where(column.started_at < self.end)
        if self.active is not None:
            query = query.where(column.ended_at.is_(None) == self.active)
        if self.acknowledged is not None:
            query = query.where(column.acknowledged_at.is_not(None) == self.acknowledged)
        if self.suppressed is not None:
            query = query.where(column.suppressed == self.suppressed)
        if self.has_clip is not None:
            query = query.where(column.has_clip == self.has_clip)
        if self.label is not None:
            is_it = column.label.is_(None) if self.label == "none" else column.label == self.label
            query = query.where(is_it)
        if self.cursor is not None:
            last = sa.tuple_(*map(sa.literal, _read_cursor(self.cursor)))
            query = query.where(sa.tuple_(column.started_at, column.id) < last)
        return query.limit(self.limit + 1)


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of the events of a query, newest first."""

    events: tuple[StoredEvent, ...]
    next_cursor: str | None
    """Cursor of the next page; None: this is the last page."""


def cursor_after(event: Event) -> str:
    """The cursor that continues after an event."""
    text = json.dumps([event.started_at, event.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        started_at, event_id = json.loads(text)
        if not isinstance(event_id, str):
            raise TypeError
        return float(started_at), event_id
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise ValueError(f"cursor: want one from an earlier page, got {cursor!r:.60}") from None
