"""What is told about an event: the same JSON for MQTT and webhooks. docs/sinks.md describes it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter

from pipeline.alerts.events import EventChange
from pipeline.alerts.outbox import Kind, Letter
from pipeline.transport.messages import SceneState

VERSION: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One change of one event; times in Unix seconds UTC, and the same as ISO 8601."""

    version: Literal[1]
    """Of this schema: fields may be added to a version, but not change or go."""
    key: str
    """`id:type:revision`; the same for every repetition of this message."""
    type: Kind
    id: str
    """Of the event."""
    camera: str
    revision: int
    """Frames that were up so far: what has a lower one is older."""
    started_at: float
    started_at_iso: str
    ended_at: float | None
    """None while the event goes on."""
    ended_at_iso: str | None
    duration_seconds: float
    peak_score: float
    """1 is the threshold."""
    peak_at: float
    peak_at_iso: str
    scene: SceneState
    """"calibrating" means a provisional threshold."""
    snapshot: str | None
    """File of the frame at the peak, relative to the data folder; None: there is none."""
    heatmap: str | None
    """File of the same with the anomaly map over it."""
    snapshot_url: str | None
    """Path of that picture in the REST API; None: there is none, or the API is not served."""
    heatmap_url: str | None
    zones: tuple[str, ...] = ()
    """Zones that it has reached so far, in that order; empty on a camera without zones."""


_MESSAGE: TypeAdapter[EventMessage] = TypeAdapter(EventMessage)


def event_message(
    change: EventChange, snapshot: str | None, heatmap: str | None, *, api: bool
) -> EventMessage | None:
    """The message about a change; None for suppressed events, of which nobody is told.

    Args:
        change: As the tracker made it.
        snapshot: File relative to the data folder; None: there is none yet.
        heatmap: Likewise.
        api: Whether the REST API is served.
    """
    event = change.event
    if event.suppressed or change.kind == "suppressed":
        return None
    # What began outside of the schedule is new to those who hear of it now.
    kind = "new" if change.kind == "told" else change.kind
    url = f"/api/v1/events/{event.id}"
    return EventMessage(
        version=VERSION,
        key=f"{event.id}:{kind}:{event.frames}",
        type=kind,
        id=event.id,
        camera=event.camera,
        revision=event.frames,
        started_at=event.started_at,
        started_at_iso=iso_time(event.started_at),
        ended_at=event.ended_at,
        ended_at_iso=None if event.ended_at is None else iso_time(event.ended_at),
        duration_seconds=event.duration_seconds,
        peak_score=event.peak_score,
        peak_at=event.peak_at,
        peak_at_iso=iso_time(event.peak_at),
        scene=event.state,
        snapshot=snapshot,
        heatmap=heatmap,
        snapshot_url=f"{url}/snapshot.jpg" if api and snapshot else None,
        heatmap_url=f"{url}/heatmap.jpg" if api and heatmap else None,
        zones=event.zones,
    )


def letter_to(sink: str, message: EventMessage, now: float) -> Letter:
    """A message as it waits for a sink; `now` in Unix seconds."""
    body = _MESSAGE.dump_json(message).decode()
    return Letter(sink, message.key, message.id, message.type, message.revision, body, now)


def read_message(body: str) -> EventMessage:
    """Read what `letter_to` wrote.

    Raises:
        pydantic.ValidationError: it is no such message.
    """
    return _MESSAGE.validate_json(body)


def iso_time(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds, such as "2026-11-23T19:03:13.120Z"."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
