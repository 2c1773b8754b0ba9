"""The tail of normal energies: which level is passed how often a day (ours, after SPOT).

Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017: what exceeds a
high base follows a generalised Pareto law, whatever the energies themselves follow; from it comes
the level that is passed once in a long time, longer than anybody has watched. Theirs counts single
values; ours counts passages, since one walker gives many high values in a row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

SECONDS_A_DAY = 86_400.0
_MOST_PEAKS = 400
_PASSAGE_GAP_SECONDS = 1.0
"""Passages closer than this are one."""

# What a short watch leans on, worth so many peaks: an exponential tail, the border between tails
# that end and tails that do not.
_PRIOR_SHAPE = 0.0
_PRIOR_SHAPE_WEIGHT = 25.0
_PRIOR_MEAN_WEIGHT = 5.0
_SHAPE_RANGE = (-0.4, 0.3)


@dataclass(frozen=True, slots=True)
class Tail:
    """Highest energies of passages above a base, in normal time."""

    base: float
    """Energy above which a passage counts."""
    excesses: tuple[float, ...]
    """By how much each passage exceeded the base, > 0, newest last, at most 400."""
    seconds: float
    """Normal time in which they came, > 0."""
    prior_mean: float
    """Mean excess to expect before there are any, > 0."""

    def level(self, per_day: float) -> float:
        """The energy that normal life passes so many times a day; above the base.

        Args:
            per_day: > 0.
        """
        count = len(self.excesses)
        passages_a_day = (count + 1.0) / self.seconds * SECONDS_A_DAY
        rarity = max(1.0, passages_a_day / per_day)
        mean = (sum(self.excesses) + _PRIOR_MEAN_WEIGHT * self.prior_mean) / (
            count + _PRIOR_MEAN_WEIGHT
        )
        shape = self.shape
        scale = mean * (1.0 - shape)  # a Pareto law's mean is scale / (1 − shape)
        if abs(shape) < 1e-6:
            return self.base + scale * math.log(rarity)
        return self.base + scale / shape * (math.pow(rarity, shape) - 1.0)

    @property
    def shape(self) -> float:
        """The Pareto law's shape γ: below 0 the tail ends, above 0 it is heavy.

        Estimated by probability-weighted moments (Hosking & Wallis 1987), leaning on a prior.
        """
        count = len(self.excesses)
        if count < 2:
            return _PRIOR_SHAPE
        ordered = sorted(self.excesses)
        first = sum(ordered) / count
        second = sum(x * (count - 1 - rank) for rank, x in enumerate(ordered))
        second /= count * (count - 1)
        own = 2.0 - first / max(first - 2.0 * second, 1e-9 * first)
        lowest, highest = _SHAPE_RANGE
        own = min(max(own, lowest), highest)
        return (count * own + _PRIOR_SHAPE_WEIGHT * _PRIOR_SHAPE) / (count + _PRIOR_SHAPE_WEIGHT)

    def after(self, seconds: float) -> "Tail":
        """The tail when so much more normal time has gone by without a passage."""
        return replace(self, seconds=self.seconds + seconds)

    def with_peak(self, excess: float) -> "Tail":
        """The tail with one more passage; the oldest is forgotten, and its share of the time."""
        excesses, seconds = (*self.excesses, excess), self.seconds
        if len(excesses) > _MOST_PEAKS:
            excesses, seconds = excesses[1:], seconds * _MOST_PEAKS / (_MOST_PEAKS + 1)
        return replace(self, excesses=excesses, seconds=seconds)


class PassageCounter:
    """Finds the passages above a base in a stream of energies."""

    def __init__(self, base: float) -> None:
        self._base = base
        self._peak: float | None = None
        self._low_seconds = 0.0
        self._forgotten = False

    def push(self, energy: float, step_seconds: float) -> float | None:
        """Take the next energy.

        Args:
            energy: Any.
            step_seconds: Since the one before, >= 0.

        Returns:
            The excess of a passage that is over now, if one is.
        """
        if energy > self._base:
            self._peak = energy if self._peak is None else max(self._peak, energy)
            self._low_seconds = 0.0
            return None
        self._low_seconds += step_seconds
        if self._peak is None or self._low_seconds < _PASSAGE_GAP_SECONDS:
            return None
        excess = None if self._forgotten else self._peak - self._base
        self._peak, self._forgotten = None, False
        return excess

    def forget(self) -> None:
        """Drop the passage that goes on, to its very end: it turned out not to be normal."""
        self._forgotten = True

    def flush(self) -> float | None:
        """The excess of the passage that goes on, if one does; it is over then."""
        excess = None if self._peak is None or self._forgotten else self._peak - self._base
        self._peak, self._forgotten = None, False
        return excess


def tail_of(energies: Sequence[float], step_seconds: float, base: float, prior_mean: float) -> Tail:
    """The tail of a stretch of normal life.

    Args:
        energies: In the order of time, at least one.
        step_seconds: Between two of them, > 0.
        base: See `Tail`.
        prior_mean: See `Tail`.
    """
    counter = PassageCounter(base)
    found = [counter.push(energy, step_seconds) for energy in energies]
    found.append(counter.flush())
    tail = Tail(base, (), len(energies) * step_seconds, prior_mean)
    for excess in found:
        if excess is not None:
            tail = tail.with_peak(excess)
    return tail
