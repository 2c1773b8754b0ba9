"""When scores become an event: the third of the three nouns, and the machine that makes it.

    idle ──score ≥ enter──► pending ──up for min_duration──► active ◄──score ≥ enter──┐
      ▲                        │                               └──score < exit──► fading
      ├──────score < exit──────┘                                                     │
      └───────────────────── low for longer than merge_gap ──────────────────────────┘

Pure. Time is stream time: within a connection it runs with `pts_seconds`, so that a file that is
read fast makes the same events as one in its own time; from one connection to the next it runs with
`captured_at`, so that the time for which a camera was away counts. The wall clock of a frame is
only recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.transport.messages import SceneState

Phase = Literal["idle", "pending", "active", "fading"]
ChangeKind = Literal["new", "suppressed", "update", "end"]
_JUDGED: tuple[SceneState, ...] = ("calibrating", "ready")


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When a score becomes an event; times in seconds of the stream."""

    enter: float = 1.0
    """Score at which an event begins."""
    exit: float = 0.7
    """Score below which it fades; at most `enter`."""
    min_duration_seconds: float = 0.5
    """How long the score must stay up before anybody is told."""
    merge_gap_seconds: float = 5.0
    """How long a low score does not yet end an event."""
    cooldown_seconds: float = 30.0
    """After an event that was told, for how long the next ones are suppressed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the machine sees of one scored frame."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    """Unix seconds UTC."""
    score: float | None
    state: SceneState


@dataclass(frozen=True, slots=True)
class Event:
    """One interval in which something did not belong into the scene of a camera."""

    id: str
    """Made of camera, connection and first index: a repetition of the scores gives it again."""
    camera: str
    connection: int
    """Connection of the first frame."""
    first_index: int
    started_at: float
    """Wall clock of the first frame, Unix seconds UTC."""
    started_pts_seconds: float
    """Stream time of the first frame within its connection."""
    ended_at: float | None
    """Wall clock of the last frame that was up; None while the event goes on."""
    duration_seconds: float
    """From the first to the last frame that was up, in stream time."""
    peak_score: float
    peak_at: float
    """Wall clock of the frame with the highest score."""
    peak_connection: int
    peak_index: int
    state: SceneState
    """Of the scene at the first frame; "calibrating" means a conservative threshold."""
    suppressed: bool
    """It began in the cool-down of another one: it is kept, but nobody is told."""
    frames: int
    """Number of frames that were up."""


@dataclass(frozen=True, slots=True)
class EventChange:
    """Something to tell: an event began (or would have), rose to a new peak, or ended."""

    kind: ChangeKind
    event: Event


@dataclass(frozen=True, slots=True)
class TrackerState:
    """All that a tracker remembers; plain data, so that it outlives the process."""

    phase: Phase = "idle"
    event: Event | None = None
    """While not idle."""
    last_up_seconds: float = 0.0
    """Stream time of the last frame that was up."""
    last_up_at: float = 0.0
    """Its wall clock."""
    began_seconds: float = 0.0
    """Stream time of the event's first frame."""
    cool_until_seconds: float | None = None
    """End of the cool-down in stream time; None before the first event."""
    now_seconds: float = 0.0
    """Stream time, counted from the first frame of all."""
    last: Sample | None = None
    """The newest frame."""


class EventTracker:
    """The machine of one camera."""

    def __init__(self, settings: EventSettings, state: TrackerState | None = None) -> None:
        self._settings = settings
        self._state = state or TrackerState()

    @property
    def state(self) -> TrackerState:
        """What to keep, to go on from here later."""
        return self._state

    @property
    def active(self) -> Event | None:
        """The event that goes on and is known to others."""
        return self._state.event if self._state.phase in ("active", "fading") else None

    @property
    def candidate(self) -> Event | None:
        """The event that goes on, or may become one."""
        return self._state.event

    def update(self, sample: Sample) -> Sequence[EventChange]:
        """Take the next frame in the order (connection, index)."""
        self._advance(sample)
        changes = self._end_if_quiet()
        score = sample.score if sample.state in _JUDGED else None
        if self._is_up(score):
            assert score is not None
            changes += self._rise(sample, score)
        elif self._state.phase == "pending":
            self._state = replace(self._state, phase="idle", event=None)
        elif self._state.phase == "active":
            self._state = replace(self._state, phase="fading")
        return changes

    def finish(self) -> Sequence[EventChange]:
        """End whatever goes on, for no more frames will come for a long time."""
        return self._end()

    def _advance(self, sample: Sample) -> None:
        last = self._state.last
        if last is None:
            step = 0.0
        elif last.connection == sample.connection:
            step = sample.pts_seconds - last.pts_seconds
        else:
            step = sample.captured_at - last.captured_at
        now = self._state.now_seconds + max(0.0, step)
        self._state = replace(self._state, now_seconds=now, last=sample)

    def _is_up(self, score: float | None) -> bool:
        if score is None:
            return False
        # A faded event must rise to `enter` again: noise around `exit` shall not keep it alive.
        is_high = self._state.phase in ("pending", "active")
        return score >= (self._settings.exit if is_high else self._settings.enter)

    def _end_if_quiet(self) -> list[EventChange]:
        quiet = self._state.now_seconds - self._state.last_up_seconds
        return self._end() if quiet > self._settings.merge_gap_seconds else []

    def _end(self) -> list[EventChange]:
        state, event = self._state, self.active
        if event is None:
            self._state = replace(state, phase="idle", event=None)
            return []
        event = replace(event, ended_at=state.last_up_at)
        # A suppressed event prolongs no cool-down, or a restless scene would never alert again.
        cool_until = state.cool_until_seconds
        if not event.suppressed:
            cool_until = state.last_up_seconds + self._settings.cooldown_seconds
        self._state = replace(state, phase="idle", event=None, cool_until_seconds=cool_until)
        return [EventChange("end", event)]

    def _rise(self, sample: Sample, score: float) -> list[EventChange]:
        state = self._state
        if state.event is None:
            state = replace(
                state,
                phase="pending",
                event=self._begin(sample, score),
                began_seconds=state.now_seconds,
            )
        assert state.event is not None
        event = replace(
            state.event,
            duration_seconds=state.now_seconds - state.began_seconds,
            frames=state.event.frames + 1,
        )
        is_peak = score > event.peak_score
        if is_peak:
            event = replace(
                event,
                peak_score=score,
                peak_at=sample.captured_at,
                peak_connection=sample.connection,
                peak_index=sample.index,
            )
        lasts = event.duration_seconds >= self._settings.min_duration_seconds
        is_new = state.phase == "pending" and lasts
        self._state = replace(
            state,
            phase="pending" if state.phase == "pending" and not lasts else "active",
            event=event,
            last_up_seconds=state.now_seconds,
            last_up_at=sample.captured_at,
        )
        if is_new:
            return [EventChange("suppressed" if event.suppressed else "new", event)]
        return [EventChange("update", event)] if is_peak and self.active else []

    def _begin(self, sample: Sample, score: float) -> Event:
        cool_until = self._state.cool_until_seconds
        return Event(
            id=f"{sample.camera}-{sample.connection}-{sample.index}",
            camera=sample.camera,
            connection=sample.connection,
            first_index=sample.index,
            started_at=sample.captured_at,
            started_pts_seconds=sample.pts_seconds,
            ended_at=None,
            duration_seconds=0.0,
            peak_score=score,
            peak_at=sample.captured_at,
            peak_connection=sample.connection,
            peak_index=sample.index,
            state=sample.state,
            suppressed=cool_until is not None and self._state.now_seconds < cool_until,
            frames=0,
        )
