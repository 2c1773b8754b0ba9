"""Results of attaching a camera and of changing its view. Pure; times are Unix seconds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from benchmarks.chaos.checks import ObservedEvent
from pipeline.events.score_record import ScoreRecord

LEAST_RATE_RATIO = 0.9
"""Least rate of a camera that was already scored, as a share of its rate before."""
_JUDGED = ("calibrating", "ready")

SeenScore = tuple[float, ScoreRecord]
"""Time at which a score was read from the log, and the score."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Scores a second of the camera that was already scored, and its longest gap."""

    before: float
    during: float
    after: float
    gap_seconds: float
    """Longest time between two scored frames, during and after."""

    @property
    def holds(self) -> bool:
        """Whether its rate stayed the same."""
        return min(self.during, self.after) >= LEAST_RATE_RATIO * self.before


@dataclass(frozen=True, slots=True)
class Attached:
    """One camera that was attached; seconds from the request."""

    way: str
    first_frame: float
    """To the arrival of its first frame."""
    adapting: float | None
    """To the state `adapting` in the API; None where it had a stored scene."""
    first_score: float
    """To the first score in the log."""
    watching: float
    """To the state `watching` in the API."""
    ready: float | None
    """To the first score after the calibration; None where it was not waited for."""
    rates: Rates


@dataclass(frozen=True, slots=True)
class Restarted:
    """One restart of the service; seconds from the start of the process."""

    scores: Mapping[str, float | None]
    """Time to each camera's first score; None: no score in time."""
    resumed: Mapping[str, int]
    """Scenes taken from the disk, by camera."""
    made: Mapping[str, int]
    """Scenes built again, by camera."""

    @property
    def kept(self) -> bool:
        """Whether all cameras resumed their stored scenes."""
        return (
            all(seconds is not None for seconds in self.scores.values())
            and set(self.resumed.values()) == {1}
            and not any(self.made.values())
        )


@dataclass(frozen=True, slots=True)
class BeforeStale:
    """The frames between a change of the view and the first stale one."""

    frames: int
    suppressed: int
    """Number of these whose scores could not alert, as the light had changed."""
    highest: float | None
    """Highest score; an event starts at 1."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """Reaction of a camera to another view."""

    scenes: str
    """The view that it was adapted to, and the one shown at the end."""
    kind: str
    """The change, as the service shall report it."""
    answer: str
    """Its setting `adapt.on_view_change`."""
    reported: Mapping[str, int]
    """Number of changes of each kind that the service counted."""
    scenes_made: int
    """Scenes built in the same time."""
    stale_seconds: float | None
    """From the change to the first stale frame; None: there was none."""
    before: BeforeStale
    """The frames before it."""
    judged_seconds: float | None
    """From there, or from the return of the known view, to the next frame that is scored."""
    events: Sequence[int] = field(default=(0, 0, 0))
    """Events that began before the first stale frame, from there to the first scored one, and after
    it."""

    @property
    def right(self) -> bool:
        """Whether it was reported once, as the right kind, and raised no alert afterwards."""
        return (
            self.stale_seconds is not None
            and self.judged_seconds is not None
            and {kind: count for kind, count in self.reported.items() if count} == {self.kind: 1}
            and self.scenes_made == (self.kind == "moved")
            and self.events[1] == 0
        )


def first(
    seen: Iterable[SeenScore], camera: str, since: float, wanted: Callable[[ScoreRecord], bool]
) -> SeenScore | None:
    """The first score of a camera that is wanted, of frames captured at `since` or later."""
    for at, record in seen:
        if record.camera == camera and record.captured_at >= since and wanted(record):
            return at, record
    return None


def is_judged(record: ScoreRecord) -> bool:
    """Whether the score of a frame could raise an alert."""
    return record.score is not None and record.state in _JUDGED


def rates(
    records: Iterable[ScoreRecord],
    begins_at: float,
    asked_at: float,
    scored_at: float,
    ends_at: float,
) -> Rates:
    """Rates of a camera while another one is attached.

    Args:
        records: Its own, in order.
        begins_at: Start of the undisturbed time, which ends at `asked_at`.
        asked_at: The other one was attached.
        scored_at: The other one had its first score.
        ends_at: Later than that.
    """
    times = [record.captured_at for record in records if record.score is not None]
    before, during, after = (
        sum(begin <= one < end for one in times) / (end - begin)
        for begin, end in pairwise((begins_at, asked_at, scored_at, ends_at))
    )
    marks = [asked_at, *(one for one in times if asked_at < one < ends_at), ends_at]
    gap = max(later - one for one, later in pairwise(marks))
    return Rates(before, during, after, gap)


def before_stale(records: Iterable[ScoreRecord], changed_at: float) -> BeforeStale:
    """Summarise the frames of a camera from a change of its view to the first stale one."""
    frames = 0
    suppressed = 0
    highest: float | None = None
    for record in records:
        if record.captured_at < changed_at:
            continue
        if record.state == "stale":
            break
        frames += 1
        suppressed += record.state == "suppressed"
        if record.score is not None:
            highest = record.score if highest is None else max(highest, record.score)
    return BeforeStale(frames, suppressed, highest)


def events_of(events: Iterable[ObservedEvent], camera: str, *marks: float) -> tuple[int, ...]:
    """Numbers of events of a camera that began between these times, including suppressed ones."""
    began = [one.started_at for one in events if one.camera == camera]
    return tuple(sum(begin <= one < end for one in began) for begin, end in pairwise(marks))


def spread(values: Iterable[float | None], digits: int = 1) -> str:
    """Median, lowest and highest, for people."""
    found = sorted(one for one in values if one is not None)
    if not found:
        return "–"
    middle = f"{median(found):.{digits}f}"
    if len(found) == 1:
        return middle
    return f"{middle} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})"
