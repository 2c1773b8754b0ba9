"""Score the same few frames in several scenes, to find the one that matches. Pure functions."""

from collections.abc import Sequence

import numpy as np

from models.calibration import Calibration

_NEAR = 0.4
_FAR_BELOW = -1.0
"""Range of the typical score in a scene that matches: 0 is its own normal. Synthetic streets in
their own light stay within 0.3, and false alarms begin at half the threshold
(docs/experiments/illumination.md). Far below, the scene does not match either: its threshold
is out of reach."""
_SAMPLES = 9


class CandidateEvaluation:
    """Collects energies at intervals of stream time, so that a single frame does not decide."""

    def __init__(self, calibrations: Sequence[Calibration], seconds: float) -> None:
        """Start the evaluation.

        Args:
            calibrations: Map the energies of each scene to scores.
            seconds: Stream time over which the frames are taken.
        """
        self._calibrations = calibrations
        self._interval_seconds = seconds / _SAMPLES
        self._last_seconds: float | None = None
        self._energies: list[Sequence[float]] = []

    def is_due(self, pts_seconds: float) -> bool:
        """Whether the frame at this time is to be scored."""
        last = self._last_seconds
        return last is None or not 0 <= pts_seconds - last < self._interval_seconds

    def add(self, pts_seconds: float, energies: Sequence[float]) -> None:
        """Add the energies of a frame, one per scene."""
        self._last_seconds = pts_seconds
        self._energies.append(energies)

    @property
    def done(self) -> bool:
        """Whether enough frames were scored."""
        return len(self._energies) >= _SAMPLES or not self._calibrations

    @property
    def scores(self) -> list[float]:
        """Score of the median energy in each scene, by its calibration; after the first frame."""
        return [
            calibration.score(float(np.median(energies)))
            for calibration, energies in zip(
                self._calibrations, zip(*self._energies, strict=True), strict=True
            )
        ]


def matches(score: float) -> bool:
    """Whether a scene with this typical score matches the view."""
    return _FAR_BELOW < score < _NEAR


def best_match(scores: Sequence[float]) -> int | None:
    """Index of the scene whose score is nearest to 0, its own normal; None where none matches."""
    matching = [place for place, score in enumerate(scores) if matches(score)]
    return min(matching, key=lambda place: abs(scores[place]), default=None)
