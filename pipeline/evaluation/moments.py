"""Missed events and false alarms of a test set, to be shown in the report.

Pure functions: chosen from the energies of one draw. The frames are decoded when they are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.alarms import false_alarm_spans, intervals
from pipeline.evaluation.localisation import Maps
from pipeline.evaluation.roc import Labels, Values

MOST_KEPT = 24
"""Missed events, and as many false alarms."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The frame with the highest energy of a missed event or of a false alarm."""

    clip: int
    """Index of the test clip."""
    first: int
    """First frame of the event or alarm."""
    last: int
    """Its last frame."""
    peak: int
    """The frame with the highest energy."""
    pts_seconds: float
    """Time of that frame."""
    energy: float
    """Of that frame."""
    parts: Values
    """Contribution of each term to the energy, (terms,)."""
    anomaly_map: Maps
    """(h, w), in the unit of the energy."""
    gradient: Maps | None = None
    """Pooled gradient heatmap, (h, w); None where it is not wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class FailureMoments:
    """Missed events and false alarms at one threshold, at most `MOST_KEPT` of each."""

    missed: list[Moment]
    """Lowest peak first."""
    missed_count: int
    """Number of all missed events."""
    false_alarms: list[Moment]
    """Highest peak first."""
    false_alarm_count: int
    """Number of all false alarms."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipCourse:
    """Results of one draw on one test clip, frame by frame."""

    values: Values
    """Energies, (frames,)."""
    labels: Labels
    """True = anomalous, (frames,)."""
    pts_seconds: Values
    """Rising, (frames,)."""
    parts: Values
    """(frames, terms)."""
    maps: Maps
    """(frames, h, w)."""
    gradients: Maps | None = None
    """Pooled gradient heatmaps, (frames, h, w); None where they are not wanted."""


def find_moments(
    clips: Sequence[ClipCourse], threshold: float, merge_gap_seconds: float
) -> FailureMoments:
    """Missed events and false alarms at a threshold.

    Args:
        clips: All test clips, of one draw.
        threshold: Energies at or above it are alarms.
        merge_gap_seconds: Runs closer together than this are one alarm.
    """
    missed: list[Moment] = []
    false: list[Moment] = []
    for number, clip in enumerate(clips):
        above = clip.values >= threshold
        for first, last in intervals(clip.labels):
            if not above[first : last + 1].any():
                missed.append(_moment(number, clip, first, last, clip.labels))
        for first, last in false_alarm_spans(
            above, clip.labels, clip.pts_seconds, merge_gap_seconds
        ):
            false.append(_moment(number, clip, first, last, ~clip.labels))
    missed.sort(key=lambda moment: moment.energy)
    false.sort(key=lambda moment: -moment.energy)
    return FailureMoments(missed[:MOST_KEPT], len(missed), false[:MOST_KEPT], len(false))


def _moment(number: int, clip: ClipCourse, first: int, last: int, counted: Labels) -> Moment:
    span = slice(first, last + 1)
    # Two alarms that merge across an event enclose frames that are not false.
    peak = first + int(np.where(counted[span], clip.values[span], -np.inf).argmax())
    return Moment(
        clip=number,
        first=first,
        last=last,
        peak=peak,
        pts_seconds=float(clip.pts_seconds[peak]),
        energy=float(clip.values[peak]),
        parts=clip.parts[peak],
        anomaly_map=clip.maps[peak].copy(),  # a view would keep all maps of the clip in memory
        gradient=None if clip.gradients is None else clip.gradients[peak].copy(),
    )
