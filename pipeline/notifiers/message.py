"""The message about an event: the same JSON for MQTT and webhooks, described in docs/sinks.md."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter

from pipeline.events.event import Event, EventChange
from pipeline.notifiers.outbox_message import Kind, OutboxMessage
from pipeline.transport.messages import SceneState

VERSION: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One change of one event; times in Unix seconds UTC, and the same as ISO 8601."""

    version: Literal[1]
    """Version of this schema: fields may be added to a version, but not changed or removed."""
    key: str
    """`id:type:revision`; the same for every repetition of this message."""
    type: Kind
    id: str
    """Id of the event."""
    camera: str
    revision: int
    """Number of frames that were up so far: a message with a lower one is older."""
    started_at: float
    started_at_iso: str
    ended_at: float | None
    """None while the event is active."""
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
    """File of the same frame with the anomaly map drawn over it."""
    snapshot_url: str | None
    """Address of that picture in the REST API: a path, or with `api.public_url` an address that
    needs no token for some days; None: there is none, or the API is not served."""
    heatmap_url: str | None
    zones: tuple[str, ...] = ()
    """Zones that the event has reached so far, in that order; empty on a camera without zones."""
    terms: dict[str, float] = field(default_factory=dict)
    """What each term of the energy adds to the score of the peak, by its name: motion, residual,
    still."""
    before: "FrigateEvent | None" = None
    """The event in the previous message; the same as `after` if there was none."""
    after: "FrigateEvent | None" = None
    """The event now, in the format of Frigate."""


@dataclass(frozen=True, slots=True)
class FrigateEvent:
    """An event in the format of Frigate's messages; times in Unix seconds UTC."""

    id: str
    camera: str
    label: Literal["anomaly"]
    start_time: float
    end_time: float | None
    frame_time: float
    """Time of the frame at the peak."""
    top_score: float
    """Highest score; 1 is the threshold, and it may be higher."""
    score: float
    """The same as `top_score`."""
    false_positive: bool
    """Always false: no message is sent before an event has reached its minimum duration."""
    active: bool
    current_zones: tuple[str, ...]
    entered_zones: tuple[str, ...]
    has_snapshot: bool


_MESSAGE: TypeAdapter[EventMessage] = TypeAdapter(EventMessage)


def event_message(
    change: EventChange,
    snapshot: str | None,
    heatmap: str | None,
    *,
    api: bool,
    link: Callable[[str], str] = str,
    before: FrigateEvent | None = None,
) -> EventMessage | None:
    """The message about a change; None for suppressed events, which are not sent.

    Args:
        change: From the tracker.
        snapshot: File relative to the data folder; None: there is none yet.
        heatmap: As `snapshot`.
        api: Whether the REST API is served.
        link: Converts a path in the REST API to an address.
        before: `after` of the previous message about the same event.
    """
    event = change.event
    if event.suppressed or change.kind == "suppressed":
        return None
    # For the receivers an event that began outside of the schedule is new now.
    kind = "new" if change.kind == "released" else change.kind
    url = f"/api/v1/events/{event.id}"
    after = _frigate_event(event, has_snapshot=snapshot is not None)
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
        snapshot_url=link(f"{url}/snapshot.jpg") if api and snapshot else None,
        heatmap_url=link(f"{url}/heatmap.jpg") if api and heatmap else None,
        zones=event.zones,
        terms=dict(event.terms),
        before=before or after,
        after=after,
    )


def _frigate_event(event: Event, *, has_snapshot: bool) -> FrigateEvent:
    return FrigateEvent(
        id=event.id,
        camera=event.camera,
        label="anomaly",
        start_time=event.started_at,
        end_time=event.ended_at,
        frame_time=event.peak_at,
        top_score=event.peak_score,
        score=event.peak_score,
        false_positive=False,
        active=event.ended_at is None,
        current_zones=() if event.ended_at is not None else event.zones,
        entered_zones=event.zones,
        has_snapshot=has_snapshot,
    )


def message_for(sink: str, message: EventMessage, now: float) -> OutboxMessage:
    """The outbox message for a sink; `now` in Unix seconds."""
    body = _MESSAGE.dump_json(message).decode()
    return OutboxMessage(sink, message.key, message.id, message.type, message.revision, body, now)


def read_message(body: str) -> EventMessage:
    """Read what `message_for` wrote.

    Raises:
        pydantic.ValidationError: the text is not such a message.
    """
    return _MESSAGE.validate_json(body)


def iso_time(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds, such as "2026-11-23T19:03:13.120Z"."""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
