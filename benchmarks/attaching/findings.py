"""What attaching a camera, and showing it another view, came to. Pure; times are Unix seconds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from benchmarks.chaos.checks import ObservedEvent
from pipeline.events.score_record import ScoreRecord

LEAST_RATE_RATIO = 0.9
"""Below this part of its rate before, a camera that was already watched suffered."""
_JUDGED = ("calibrating", "ready")

SeenScore = tuple[float, ScoreRecord]
"""When a score was seen in its log, and the score."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Scores a second of the camera that was there already, and its longest time without one."""

    before: float
    during: float
    after: float
    gap_seconds: float
    """Longest time between two scored frames, during and after."""

    @property
    def holds(self) -> bool:
        """Whether it went on as before."""
        return min(self.during, self.after) >= LEAST_RATE_RATIO * self.before


@dataclass(frozen=True, slots=True)
class Attached:
    """One camera that was attached; seconds from the request."""

    way: str
    first_frame: float
    """To the arrival of its first frame."""
    adapting: float | None
    """To the API saying that it collects; None where it had a kept scene."""
    first_score: float
    """To the first score in the log."""
    watching: float
    """To the API saying that it watches."""
    ready: float | None
    """To the first score after the calibration; None where nobody waited for it."""
    rates: Rates


@dataclass(frozen=True, slots=True)
class Restarted:
    """One restart of the service; seconds from the start of the process."""

    scores: Mapping[str, float | None]
    """To each camera's first score; None: there was none in time."""
    resumed: Mapping[str, int]
    """Scenes taken from the disk, by camera."""
    made: Mapping[str, int]
    """Scenes made anew, by camera."""

    @property
    def kept(self) -> bool:
        """Whether all cameras went on with what was kept."""
        return (
            all(seconds is not None for seconds in self.scores.values())
            and set(self.resumed.values()) == {1}
            and not any(self.made.values())
        )


@dataclass(frozen=True, slots=True)
class BeforeStale:
    """The frames between a change of the view and the first stale one."""

    frames: int
    held: int
    """Of these, such whose scores could alert nobody, as the light had changed."""
    highest: float | None
    """Score; from 1 on it is one of an event."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """What a camera made of being shown something else."""

    scenes: str
    """The view that it knew, and the one that it was turned to at last."""
    kind: str
    """What was done to it, and what that is to be called."""
    answer: str
    """What it was told to do: `adapt.on_view_change`."""
    told: Mapping[str, int]
    """How often the service counted each kind meanwhile."""
    scenes_made: int
    """Meanwhile."""
    stale_seconds: float | None
    """From the change to the first frame that is stale; None: there was none."""
    before: BeforeStale
    """What the frames before that were worth."""
    judged_seconds: float | None
    """From there, or from the return of the known view, to the first frame that is judged again."""
    events: Sequence[int] = field(default=(0, 0, 0))
    """That began before the first stale frame, from there to the first judged one, after it."""

    @property
    def right(self) -> bool:
        """Whether it was told once, as what it was, and nobody was alerted once it was."""
        return (
            self.stale_seconds is not None
            and self.judged_seconds is not None
            and {kind: count for kind, count in self.told.items() if count} == {self.kind: 1}
            and self.scenes_made == (self.kind == "moved")
            and self.events[1] == 0
        )


def first(
    seen: Iterable[SeenScore], camera: str, since: float, wanted: Callable[[ScoreRecord], bool]
) -> SeenScore | None:
    """The first score of a camera that is wanted, of the frames that came at `since` or later."""
    for at, record in seen:
        if record.camera == camera and record.captured_at >= since and wanted(record):
            return at, record
    return None


def is_judged(record: ScoreRecord) -> bool:
    """Whether a score of this could alert somebody."""
    return record.score is not None and record.state in _JUDGED


def rates(
    records: Iterable[ScoreRecord],
    begins_at: float,
    asked_at: float,
    scored_at: float,
    ends_at: float,
) -> Rates:
    """How a camera went on beside one that was attached.

    Args:
        records: Its own, in their order.
        begins_at: From here to `asked_at` nobody disturbed it.
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
    """Look at the frames of a camera after its view changed, to the first one that is stale."""
    frames = 0
    held = 0
    highest: float | None = None
    for record in records:
        if record.captured_at < changed_at:
            continue
        if record.state == "stale":
            break
        frames += 1
        held += record.state == "suppressed"
        if record.score is not None:
            highest = record.score if highest is None else max(highest, record.score)
    return BeforeStale(frames, held, highest)


def events_of(events: Iterable[ObservedEvent], camera: str, *marks: float) -> tuple[int, ...]:
    """How many events of a camera began between each two of these times, suppressed ones too."""
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
