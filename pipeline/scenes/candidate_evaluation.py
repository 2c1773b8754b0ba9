"""Several scenes on the same few frames: which of them is at home in what is seen? Pure."""

from collections.abc import Sequence

import numpy as np

from models.calibration import Calibration

_NEAR = 0.4
_FAR_BELOW = -1.0
"""Scores between which the typical frame of a scene that fits lies: 0 is its own normal. Made
streets in their own light stay within 0.3, and false alarms begin at half the threshold
(experiments.md). Far below, the scene is not at home either: its threshold is out of reach."""
_LOOKS = 9


class CandidateEvaluation:
    """Collects energies, some time apart, so that one moment does not decide; stream time."""

    def __init__(self, calibrations: Sequence[Calibration], seconds: float) -> None:
        """Begin.

        Args:
            calibrations: How the energies of each scene are read.
            seconds: How long to look.
        """
        self._calibrations = calibrations
        self._interval_seconds = seconds / _LOOKS
        self._last_seconds: float | None = None
        self._energies: list[Sequence[float]] = []

    def is_due(self, pts_seconds: float) -> bool:
        """Whether the frame of that time is to be looked at."""
        last = self._last_seconds
        return last is None or not 0 <= pts_seconds - last < self._interval_seconds

    def add(self, pts_seconds: float, energies: Sequence[float]) -> None:
        """Take what each scene says of a frame."""
        self._last_seconds = pts_seconds
        self._energies.append(energies)

    @property
    def done(self) -> bool:
        """Whether enough was seen."""
        return len(self._energies) >= _LOOKS or not self._calibrations

    @property
    def scores(self) -> list[float]:
        """Score of the median energy of each scene, by its own normal; once something was seen."""
        return [
            calibration.score(float(np.median(energies)))
            for calibration, energies in zip(
                self._calibrations, zip(*self._energies, strict=True), strict=True
            )
        ]


def fits(score: float) -> bool:
    """Whether a scene with this typical score is at home."""
    return _FAR_BELOW < score < _NEAR


def best_of(scores: Sequence[float]) -> int | None:
    """Place of the scene that is nearest to its own normal; None where none fits."""
    fitting = [place for place, score in enumerate(scores) if fits(score)]
    return min(fitting, key=lambda place: abs(scores[place]), default=None)
