"""Separation of planted anomalies from normal clips at other times, and false alarms a day.

Pure functions of scores. High = anomalous throughout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from pipeline.evaluation.alarms import SECONDS_PER_DAY, false_alarms, normal_seconds
from pipeline.evaluation.roc import Labels, Values

RECALL = 0.9
MERGE_GAP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Scores of one normal video, frame by frame."""

    values: Values
    """(frames,)."""
    pts_seconds: Values
    """Rising, (frames,)."""
    counted: Labels
    """False where the clip of a frame shares frames with a support clip, (frames,)."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawScores:
    """Scores of one detector on one draw of one scene."""

    normal: Values
    """Scores of normal clips, (normal,)."""
    planted: Values
    """Scores of planted clips at other times, (planted,)."""
    recordings: tuple[Recording, ...]
    """The scene's normal video; empty where only AUROC is wanted."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one detector in one scene."""

    aurocs: tuple[float, ...]
    """Frame AUROC of each draw, 0 … 1."""
    false_alarms_per_day: float | None
    """Runs of normal frames at or above the threshold at which each draw finds 90 % of its planted
    clips; runs closer than 5 s are one; None without normal video."""
    share_above: float | None
    """Share of the normal frames at or above it, which shows long runs."""
    normal_seconds: float
    """Duration of the normal video, over all draws."""
    quiet_recall: float
    """Share of the planted clips above all normal clips and video: found without a single false
    alarm, as any rate below one in that much video requires."""

    @property
    def auroc(self) -> float:
        """Mean over the draws."""
        return mean(self.aurocs)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the draws; None for a single one."""
        return stdev(self.aurocs) if len(self.aurocs) > 1 else None


def ranks(planted: Values, normal: Values) -> Values:
    """For each planted clip the share of normal ones below it; equal ones count half.

    Their mean is the AUROC, so that the mean over the clips of one kind is the AUROC of that kind.

    Args:
        planted: (planted,).
        normal: (normal,), at least one.

    Returns:
        (planted,), in [0, 1].

    Raises:
        ValueError: there is no normal clip, or a value is not a number.
    """
    if not normal.size:
        raise ValueError("ranks: want at least 1 normal clip, got 0")
    if np.isnan(planted).any() or np.isnan(normal).any():
        raise ValueError("ranks: want numbers, got NaN")
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, planted, side="left")
    up_to = np.searchsorted(ordered, planted, side="right")
    return np.asarray((below + up_to) / (2.0 * normal.size), dtype=np.float64)


def threshold_at(planted: Values, recall: float = RECALL) -> float:
    """The highest threshold with at least that recall of the planted clips.

    Args:
        planted: (planted,), at least one.
        recall: In (0, 1].
    """
    wanted = int(np.ceil(recall * planted.size - 1e-9))
    return float(np.sort(planted)[::-1][wanted - 1])


def figures(draws: Sequence[DrawScores]) -> Figures:
    """Figures of one detector in one scene.

    Args:
        draws: At least one.

    Raises:
        ValueError: a draw has no normal clip or no planted one, or a value is not a number.
    """
    alarms, above, frames, seconds = 0, 0, 0, 0.0
    quiet = []
    for draw in draws:
        if not draw.planted.size:
            raise ValueError("figures: want at least 1 planted clip, got 0")
        threshold = threshold_at(draw.planted)
        normal = [draw.normal, *(one.values[one.counted] for one in draw.recordings)]
        highest = max((float(one.max()) for one in normal if one.size), default=-np.inf)
        quiet.append(float(np.mean(draw.planted > highest)))
        for recording in draw.recordings:
            left_out = ~recording.counted
            reached = recording.values >= threshold
            times = recording.pts_seconds
            alarms += false_alarms(reached, left_out, times, MERGE_GAP_SECONDS)
            above += int(np.count_nonzero(reached & recording.counted))
            frames += int(np.count_nonzero(recording.counted))
            seconds += normal_seconds([left_out], [times])
    return Figures(
        aurocs=tuple(float(ranks(draw.planted, draw.normal).mean()) for draw in draws),
        false_alarms_per_day=alarms / seconds * SECONDS_PER_DAY if seconds else None,
        share_above=above / frames if frames else None,
        normal_seconds=seconds,
        quiet_recall=mean(quiet),
    )


@dataclass(frozen=True, slots=True)
class KindFigure:
    """One kind of anomaly, over all scenes and draws."""

    auroc: float
    """Against the normal clips of each anomaly's own scene and draw."""
    planted: int
    """Number of anomalies."""


def by_kind(
    draws: Sequence[DrawScores], kinds: Sequence[Sequence[str]]
) -> Mapping[str, KindFigure]:
    """AUROC of each kind of anomaly, in the order of the names.

    Args:
        draws: Of one detector, of any scenes.
        kinds: For each draw the kind of each planted clip.
    """
    found: dict[str, list[float]] = {}
    for draw, names in zip(draws, kinds, strict=True):
        for name, rank in zip(names, ranks(draw.planted, draw.normal), strict=True):
            found.setdefault(name, []).append(float(rank))
    return {name: KindFigure(mean(found[name]), len(found[name])) for name in sorted(found)}
