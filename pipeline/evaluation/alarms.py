"""Alarm-level measures: missed events, false alarms a day, seconds until an event is detected.

An event is an interval of anomalous labels. It is found when a frame in it reaches the threshold. A
false alarm is a run of normal frames at or above the threshold; runs closer together than the merge
gap are one. A run that continues after its event counts too: a camera has no labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.roc import Labels, Values

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class AlarmOptions:
    """Definition of an alarm, and the operating point on the curve."""

    merge_gap_seconds: float = 5.0
    """As `alert.merge_gap` of a live camera."""
    event_recall: float = 0.9
    """Share of the events that must be found; not used if a rate of false alarms is given."""
    false_alarms_per_day: float | None = None
    """Highest rate of false alarms, >= 0; None: the threshold is chosen by the event recall."""

    def __post_init__(self) -> None:
        """Check the rate.

        Raises:
            ValueError: the rate is negative or not a number.
        """
        rate = self.false_alarms_per_day
        if rate is not None and not rate >= 0:
            raise ValueError(f"false alarms a camera-day: want a number >= 0, got {rate}")


@dataclass(frozen=True, slots=True)
class AlarmMetrics:
    """The alarm measures at the operating point of the options."""

    threshold: float
    """In the unit of the values."""
    event_recall: float
    """Share of the events found."""
    false_alarms_per_day: float
    """For each 24 h of normal video of one camera."""
    time_to_detect_seconds: float | None
    """Median over the events found, from the first anomalous frame to the first alarm; None where
    no event is found."""


@dataclass(frozen=True, slots=True, eq=False)
class AlarmCurve:
    """Event recall against false alarms at the relevant thresholds: the peaks of the events."""

    thresholds: Values
    """Falling, (points,)."""
    event_recall: Values
    """Share of the events found, rising, (points,)."""
    false_alarms_per_day: Values
    """(points,)."""


def alarm_curve(
    values: Sequence[Values],
    labels: Sequence[Labels],
    pts_seconds: Sequence[Values],
    merge_gap_seconds: float,
) -> AlarmCurve | None:
    """Event recall as a function of false alarms per camera-day.

    Args:
        values: For each clip, (frames,), high = anomalous.
        labels: For each clip, (frames,), True = anomalous.
        pts_seconds: For each clip, rising times of its frames, (frames,).
        merge_gap_seconds: Runs closer together than this are one alarm.

    Returns:
        None where there is no event, or no normal video.
    """
    seconds = normal_seconds(labels, pts_seconds)
    peaks = np.array(
        [
            clip_values[first : last + 1].max()
            for clip_values, clip_labels in zip(values, labels, strict=True)
            for first, last in intervals(clip_labels)
        ]
    )
    if not peaks.size or not seconds:
        return None
    thresholds = np.unique(peaks)[::-1]
    alarms = [
        sum(
            false_alarms(clip_values >= threshold, clip_labels, times, merge_gap_seconds)
            for clip_values, clip_labels, times in zip(values, labels, pts_seconds, strict=True)
        )
        for threshold in thresholds
    ]
    return AlarmCurve(
        thresholds,
        np.array([np.mean(peaks >= threshold) for threshold in thresholds]),
        np.array(alarms) * SECONDS_PER_DAY / seconds,
    )


def alarm_metrics(
    values: Sequence[Values],
    labels: Sequence[Labels],
    pts_seconds: Sequence[Values],
    options: AlarmOptions,
) -> AlarmMetrics | None:
    """Evaluate the curve at the wanted event recall or the wanted rate of false alarms.

    Args:
        values: For each clip, (frames,), high = anomalous.
        labels: For each clip, (frames,), True = anomalous.
        pts_seconds: For each clip, rising times of its frames, (frames,).
        options: Definition of an alarm and the operating point. A rate of false alarms gives the
            lowest threshold at a peak of an event down to which the rate is not exceeded; where
            even the highest peak exceeds it, the threshold is above all values and finds nothing.

    Returns:
        None where there is no event, or no normal video.
    """
    curve = alarm_curve(values, labels, pts_seconds, options.merge_gap_seconds)
    if curve is None:
        return None
    point = _point(curve, options)
    if point is None:
        above_all = np.nextafter(max(float(clip.max()) for clip in values), np.inf)
        return AlarmMetrics(float(above_all), 0.0, 0.0, None)
    threshold = float(curve.thresholds[point])
    delays = [
        delay
        for clip_values, clip_labels, times in zip(values, labels, pts_seconds, strict=True)
        for delay in detection_delays(clip_values >= threshold, clip_labels, times)
        if delay is not None
    ]
    return AlarmMetrics(
        threshold=threshold,
        event_recall=float(curve.event_recall[point]),
        false_alarms_per_day=float(curve.false_alarms_per_day[point]),
        time_to_detect_seconds=float(np.median(delays)),
    )


def _point(curve: AlarmCurve, options: AlarmOptions) -> int | None:
    """Index of the operating point; None: even the first point has too many false alarms."""
    if options.false_alarms_per_day is None:
        return int(np.argmax(curve.event_recall >= options.event_recall))
    # Fewer alarms at a lower threshold, because alarms merge there, do not count as better.
    rates = np.maximum.accumulate(curve.false_alarms_per_day)
    within = int(np.count_nonzero(rates <= options.false_alarms_per_day))
    return within - 1 if within else None


def false_alarms(
    above: Labels, labels: Labels, pts_seconds: Values, merge_gap_seconds: float
) -> int:
    """Number of false alarms in one clip; arguments as `false_alarm_spans`."""
    return len(false_alarm_spans(above, labels, pts_seconds, merge_gap_seconds))


def false_alarm_spans(
    above: Labels, labels: Labels, pts_seconds: Values, merge_gap_seconds: float
) -> list[tuple[int, int]]:
    """First and last frame of each false alarm in one clip.

    Args:
        above: Whether a frame reaches the threshold, (frames,).
        labels: True = anomalous, (frames,).
        pts_seconds: Rising times of the frames, (frames,).
        merge_gap_seconds: Runs closer together than this are one alarm; an event between two runs
            does not separate them.
    """
    spans: list[tuple[int, int]] = []
    for first, last in intervals(above & ~labels):
        if spans and pts_seconds[first] - pts_seconds[spans[-1][1]] < merge_gap_seconds:
            spans[-1] = spans[-1][0], last
        else:
            spans.append((first, last))
    return spans


def detection_delays(above: Labels, labels: Labels, pts_seconds: Values) -> list[float | None]:
    """For each event of a clip, seconds from its first frame to the first above the threshold.

    Args:
        above: Whether a frame reaches the threshold, (frames,).
        labels: True = anomalous, (frames,).
        pts_seconds: Rising times of the frames, (frames,).

    Returns:
        None for an event that is not found.
    """
    delays: list[float | None] = []
    for first, last in intervals(labels):
        found = np.flatnonzero(above[first : last + 1])
        delays.append(
            float(pts_seconds[first + found[0]] - pts_seconds[first]) if found.size else None
        )
    return delays


def normal_seconds(labels: Sequence[Labels], pts_seconds: Sequence[Values]) -> float:
    """Duration of normal video; a frame lasts until the next, the last one for the median interval.

    A clip of a single frame has no duration.
    """
    total = 0.0
    for clip_labels, times in zip(labels, pts_seconds, strict=True):
        if len(times) > 1:
            steps = np.diff(times)
            lasts = np.append(steps, np.median(steps))
            total += float(lasts[~clip_labels].sum())
    return total


def event_count(labels: Sequence[Labels]) -> int:
    """Number of events in all clips."""
    return sum(len(intervals(clip)) for clip in labels)


def intervals(labels: Labels) -> list[tuple[int, int]]:
    """First and last index of every run of anomalous frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels, [False]]).astype(np.int8)))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]
