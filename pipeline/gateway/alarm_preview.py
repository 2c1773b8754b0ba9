"""The events that other thresholds would have raised: the event rules on the score history. Pure.

The history has the highest score of each second, so that this is an estimate: how long a score was
high within a second is not known, and half a second is assumed. Zones are not considered: the score
of the whole picture counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.storage.score_history import ScorePoint
from pipeline.transport.messages import UNJUDGED

RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 144.0, 500.0, 1440.0)
"""Target rates of false alarms a day to choose from."""
_MOST_ALARMS = 500
_HIGH_SECONDS = 0.5
_LEAST_WATCHED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An event that would have been notified."""

    begins_at: float
    ends_at: float
    peak: float


@dataclass(frozen=True, slots=True)
class Level:
    """One threshold with its alarms."""

    threshold: float
    alarms: tuple[Alarm, ...]
    """The newest 500."""
    count: int
    per_day: float | None
    """None: the observed time is too short."""


def levels(
    points: Sequence[ScorePoint], settings: EventSettings, enters: Iterable[float]
) -> list[Level]:
    """Try thresholds.

    Args:
        points: The score history by seconds, oldest first.
        settings: Of the camera; `exit` keeps its ratio to the threshold.
        enters: Thresholds.
    """
    watched = watched_seconds(points)
    tried = sorted(set(enters))
    if not tried:
        return []
    seconds = _seconds(points, tried[0] * settings.exit / settings.enter)
    found = []
    for enter in tried:
        alarms = _alarms(seconds, enter, settings)
        per_day = len(alarms) * 86_400 / watched if watched >= _LEAST_WATCHED_SECONDS else None
        found.append(Level(enter, tuple(alarms[-_MOST_ALARMS:]), len(alarms), per_day))
    return found


def watched_seconds(points: Iterable[ScorePoint]) -> float:
    """Seconds with a score that could raise an alarm."""
    return float(sum(one.highest is not None and one.state not in UNJUDGED for one in points))


@dataclass(frozen=True, slots=True)
class _Second:
    """One second of the history."""

    point: ScorePoint
    follows: bool
    """Whether it follows the previous second of the list without a gap."""
    last: bool
    """Whether the next second has no score."""


def _seconds(points: Sequence[ScorePoint], least: float) -> list[_Second]:
    """Seconds with a score of at least `least`, and the seconds after them."""
    found: list[_Second] = []
    before: ScorePoint | None = None
    for n, point in enumerate(points):
        follows = before is not None and before.begins_at + 1 == point.begins_at
        was_high = follows and before is not None and _reaches(before, least)
        if was_high or _reaches(point, least):
            last = n + 1 == len(points) or points[n + 1].begins_at > point.begins_at + 1
            found.append(_Second(point, follows, last))
        before = point
    return found


def _reaches(point: ScorePoint, score: float) -> bool:
    return point.highest is not None and point.highest >= score


def _alarms(seconds: Sequence[_Second], enter: float, settings: EventSettings) -> list[Alarm]:
    leave = enter * settings.exit / settings.enter
    rule = replace(
        settings,
        enter=enter,
        exit=leave,
        min_duration_seconds=settings.min_duration_seconds,
        zones={},
    )
    tracker, alarms = EventTracker(rule), []
    for sample in _samples(seconds, leave):
        alarms += [one.event for one in tracker.update(sample) if one.kind == "end"]
    alarms += [one.event for one in tracker.finish()]
    return [
        Alarm(one.started_at, one.ended_at or one.started_at, one.peak_score)
        for one in alarms
        if not one.suppressed
    ]


def _samples(seconds: Sequence[_Second], leave: float) -> Iterator[ScoreRecord]:
    """High seconds and the seconds after them; the others have no effect."""
    before_was_high = False
    for second in seconds:
        high = _reaches(second.point, leave)
        if high or (before_was_high and second.follows):
            yield _sample(second.point, 0.0)
        if high:
            yield _sample(second.point, _HIGH_SECONDS)
            if second.last:
                yield replace(_sample(second.point, 1.0), score=None)
        before_was_high = high


def _sample(point: ScorePoint, later: float) -> ScoreRecord:
    at = point.begins_at + later
    return ScoreRecord("", 0, 0, at, at, point.highest, point.state)
