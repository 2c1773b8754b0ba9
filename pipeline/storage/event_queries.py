"""What may be asked about stored events, and what a person may add to them."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, StringConstraints

from pipeline.events.event_tracker import Event
from pipeline.storage.schema import EVENTS, LONGEST_NOTE

Label = Literal["normal", "anomaly"]
MOST_EVENTS = 1000
"""On one page."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event, and what has become of it."""

    event: Event
    acknowledged_at: float | None
    """When a person said to have seen it, Unix seconds UTC; None: nobody yet."""
    label: Label | None
    """What a person takes it for."""
    note: str | None
    """What a person wrote beside it."""
    has_clip: bool
    """Whether there is a video clip of it."""


class Annotation(BaseModel):
    """What a person changes about an event; what is not set stays as it is."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    acknowledged: bool = False
    """Whether somebody has seen it."""
    label: Label | None = None
    """What it is taken for; null: nobody knows."""
    note: Annotated[str, StringConstraints(max_length=LONGEST_NOTE)] | None = None
    """Free text; null: none."""

    def columns(self, now: float) -> dict[str, object]:
        """What is to be written, by column.

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
    """Which events, newest first; None: of any kind."""

    camera: str | None = None
    zone: str | None = None
    """Which it has reached."""
    begin: float | None = None
    """Started at this time or later, Unix seconds UTC."""
    end: float | None = None
    """Started before this time, Unix seconds UTC."""
    active: bool | None = None
    """Whether it still goes on."""
    suppressed: bool | None = None
    """Whether nobody was told of it."""
    label: Literal["normal", "anomaly", "none"] | None = None
    """"none": without a label."""
    acknowledged: bool | None = None
    has_clip: bool | None = None
    limit: int = 50
    """Most events on the page, 1 … 1000."""
    cursor: str | None = None
    """Where an earlier page ended."""

    def select(self) -> sa.Select[Any]:
        """The query, for one event more than the page holds.

        Raises:
            ValueError: the limit is out of range, or the cursor is none of ours.
        """
        if not 1 <= self.limit <= MOST_EVENTS:
            raise ValueError(f"limit: want 1 to {MOST_EVENTS}, got {self.limit}")
        column = EVENTS.c
        query = sa.select(EVENTS).order_by(column.started_at.desc(), column.id.desc())
        if self.camera is not None:
            query = query.where(column.camera == self.camera)
        if self.zone is not None:
            # Not LIKE, for which "_" stands for anything, and in SQLite "a" for "A".
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
    """Some of the events that were asked for, newest first."""

    events: tuple[StoredEvent, ...]
    next_cursor: str | None
    """What to ask for the next page with; None: this is the last one."""


def cursor_after(event: Event) -> str:
    """The cursor of a page that ends with an event."""
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
