"""The event state machine of a camera: from scores to events.

    idle ──score ≥ enter──► pending ──up for min_duration──► active ◄──score ≥ enter──┐
      ▲                        │                               └──score < exit──► fading
      ├──────score < exit──────┘                                                     │
      └───────────────────── low for longer than merge_gap ──────────────────────────┘

A place (a zone, or the whole frame) is *up* from a score of `enter` until its score is below
`exit`. On a camera with zones each zone has its own score: an event continues while any zone is up,
and lists the zones that were up for at least their minimum duration.

No I/O, no clock. Time is stream time: within a connection it advances with `pts_seconds`, so that a
file that is read fast makes the same events as in real time; from one connection to the next it
advances with `captured_at`, so that the time for which a camera was disconnected counts. The wall
clock of a frame is only recorded.

While a scene is calibrated its threshold is provisional: an exceedance is recorded as an event that
is suppressed by "calibrating". Such an event ends with the calibration; a place that is still up
then begins another event, on the final threshold.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.events.event import ChangeKind, Event, EventChange, Suppression
from pipeline.events.event_settings import EventSettings, ZoneSettings, is_active
from pipeline.events.score_record import ScoreRecord
from pipeline.transport.messages import SceneState

Phase = Literal["idle", "pending", "active", "fading"]
_SCORED_STATES: tuple[SceneState, ...] = ("calibrating", "ready")
_WHOLE = ""
"""Name of the whole frame among the places; no zone has an empty name."""


@dataclass(frozen=True, slots=True)
class TrackerState:
    """Complete state of a tracker; plain data, so that it can be stored and restored."""

    phase: Phase = "idle"
    event: Event | None = None
    """While not idle."""
    last_up_seconds: float = 0.0
    """Stream time of the last frame that was up."""
    last_up_at: float = 0.0
    """Wall clock of that frame."""
    began_seconds: float = 0.0
    """Stream time of the event's first frame."""
    cool_until_seconds: float | None = None
    """End of the cool-down in stream time; None before the first event."""
    now_seconds: float = 0.0
    """Stream time, counted from the first frame of the camera."""
    last: ScoreRecord | None = None
    """The newest frame."""
    up_since: Mapping[str, float] = field(default_factory=dict)
    """Stream time since which zones are up, or the whole frame under the empty name."""


class EventTracker:
    """The event state machine of one camera."""

    def __init__(self, settings: EventSettings, state: TrackerState | None = None) -> None:
        self._settings = settings
        self._state = state or TrackerState()

    @property
    def state(self) -> TrackerState:
        """State to store; a new tracker continues from it."""
        return self._state

    @property
    def active(self) -> Event | None:
        """The current event, if its beginning was reported."""
        return self._state.event if self._state.phase in ("active", "fading") else None

    @property
    def candidate(self) -> Event | None:
        """The current event, reported or still pending."""
        return self._state.event

    def update(self, record: ScoreRecord) -> Sequence[EventChange]:
        """Process the next frame in the order (connection, index)."""
        self._advance(record)
        changes = self._end_if_quiet() + self._end_if_calibrated(record)
        up = {
            place: score
            for place, score in self._scores(record).items()
            if self._is_up(place, score)
        }
        since, now = self._state.up_since, self._state.now_seconds
        self._state = replace(self._state, up_since={place: since.get(place, now) for place in up})
        if up:
            changes += self._rise(record, max(up.values()))
        elif self._state.phase == "pending":
            self._state = replace(self._state, phase="idle", event=None)
        elif self._state.phase == "active":
            self._state = replace(self._state, phase="fading")
        return changes

    def finish(self) -> Sequence[EventChange]:
        """End the current event, as no more frames are expected for a long time."""
        return self._end()

    def _advance(self, record: ScoreRecord) -> None:
        last = self._state.last
        if last is None:
            step = 0.0
        elif last.connection == record.connection:
            step = record.pts_seconds - last.pts_seconds
        else:
            step = record.captured_at - last.captured_at
        now = self._state.now_seconds + max(0.0, step)
        self._state = replace(self._state, now_seconds=now, last=record)

    def _scores(self, record: ScoreRecord) -> dict[str, float]:
        """Scores that count in a frame, by place."""
        if record.score is None or record.state not in _SCORED_STATES:
            return {}
        scores = {zone: s for zone, s in record.zones.items() if zone in self._settings.zones}
        # Scores that were logged before zones were configured count for the whole frame.
        if not scores or not self._settings.only_zones:
            scores[_WHOLE] = record.score
        return scores

    def _rule(self, place: str) -> ZoneSettings | EventSettings:
        return self._settings.zones.get(place, self._settings)

    def _is_up(self, place: str, score: float) -> bool:
        # A place that is no longer up must reach `enter` again: noise around `exit` is no event.
        rule = self._rule(place)
        return score >= (rule.exit if place in self._state.up_since else rule.enter)

    def _lasting(self) -> Collection[str]:
        """Places that have been up for their minimum duration, in the order of their start."""
        since, now = self._state.up_since, self._state.now_seconds
        lasting = [p for p in since if now - since[p] >= self._rule(p).min_duration_seconds]
        return sorted(lasting, key=since.__getitem__)

    def _end_if_quiet(self) -> list[EventChange]:
        quiet = self._state.now_seconds - self._state.last_up_seconds
        return self._end() if quiet > self._settings.merge_gap_seconds else []

    def _end_if_calibrated(self, record: ScoreRecord) -> list[EventChange]:
        event = self._state.event
        is_provisional = event is not None and event.suppressed_by == "calibrating"
        return self._end() if is_provisional and record.state == "ready" else []

    def _end(self) -> list[EventChange]:
        state, event = self._state, self.active
        if event is None:
            self._state = replace(state, phase="idle", event=None, up_since={})
            return []
        event = replace(event, ended_at=state.last_up_at)
        # A suppressed event does not extend a cool-down: a restless scene would never alert again.
        cool_until = state.cool_until_seconds
        if not event.suppressed:
            cool_until = state.last_up_seconds + self._settings.cooldown_seconds
        self._state = replace(
            state, phase="idle", event=None, cool_until_seconds=cool_until, up_since={}
        )
        return [EventChange("end", event)]

    def _rise(self, record: ScoreRecord, score: float) -> list[EventChange]:
        state = self._state
        if state.event is None:
            state = replace(
                state,
                phase="pending",
                event=self._begin(record, score),
                began_seconds=state.now_seconds,
            )
        assert state.event is not None
        lasting = self._lasting()
        reached = tuple(p for p in lasting if p != _WHOLE and p not in state.event.zones)
        event = replace(
            state.event,
            duration_seconds=state.now_seconds - state.began_seconds,
            frames=state.event.frames + 1,
            zones=state.event.zones + reached,
        )
        is_peak = score > event.peak_score
        if is_peak:
            event = replace(
                event,
                peak_score=score,
                peak_at=record.captured_at,
                peak_connection=record.connection,
                peak_index=record.index,
                terms=record.terms,
            )
        is_released = event.suppressed_by == "schedule" and self._suppression(record) is None
        if is_released:
            event = replace(event, suppressed=False, suppressed_by=None)
        was_pending = state.phase == "pending"
        self._state = replace(
            state,
            phase="pending" if was_pending and not lasting else "active",
            event=event,
            last_up_seconds=state.now_seconds,
            last_up_at=record.captured_at,
        )
        if was_pending:
            kind: ChangeKind = "suppressed" if event.suppressed else "new"
            return [EventChange(kind, event)] if lasting else []
        if is_released:
            return [EventChange("released", event)]
        return [EventChange("update", event)] if is_peak or reached else []

    def _suppression(self, record: ScoreRecord) -> Suppression | None:
        """Why an event is suppressed at a frame; None: it is not."""
        if record.state == "calibrating" and not self._settings.notify_while_calibrating:
            return "calibrating"
        schedule, cool_until = self._settings.schedule, self._state.cool_until_seconds
        if schedule is not None and not is_active(schedule, record.captured_at):
            return "schedule"
        is_cooling_down = cool_until is not None and self._state.now_seconds < cool_until
        return "cooldown" if is_cooling_down else None

    def _begin(self, record: ScoreRecord, score: float) -> Event:
        suppression = self._suppression(record)
        return Event(
            id=f"{record.camera}-{record.connection}-{record.index}",
            camera=record.camera,
            connection=record.connection,
            first_index=record.index,
            started_at=record.captured_at,
            started_pts_seconds=record.pts_seconds,
            ended_at=None,
            duration_seconds=0.0,
            peak_score=score,
            peak_at=record.captured_at,
            peak_connection=record.connection,
            peak_index=record.index,
            state=record.state,
            suppressed=suppression is not None,
            frames=0,
            suppressed_by=suppression,
            terms=record.terms,
        )
