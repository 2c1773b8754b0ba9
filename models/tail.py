"""The tail of normal energies: exceedance rate of a level (ours, after SPOT).

Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017: excesses over a
high base follow a generalised Pareto distribution, whatever the distribution of the energies; it
gives levels whose return period is longer than the observation. SPOT counts single values; ours
counts exceedance clusters, since one walker gives many high values in a row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

SECONDS_A_DAY = 86_400.0
_MOST_PEAKS = 400
_LONGEST_SECONDS = SECONDS_A_DAY
"""Normal time after which clusters are dropped, so that a raised threshold goes down again."""
_UPPER_HALF_FROM = 40
"""Number of clusters from which only the upper half counts."""
_CLUSTER_GAP_SECONDS = 1.0
"""Exceedances closer than this are one cluster."""

# Prior for a short observation, weighted as that many clusters: an exponential tail, between
# bounded and unbounded tails.
_PRIOR_SHAPE = 0.0
_PRIOR_SHAPE_WEIGHT = 25.0
_PRIOR_MEAN_WEIGHT = 5.0
_SHAPE_RANGE = (-0.4, 0.3)


@dataclass(frozen=True, slots=True)
class Tail:
    """Highest energies of the exceedance clusters above a base, in normal time."""

    base: float
    """Energy above which a cluster lies."""
    excesses: tuple[float, ...]
    """Excess of each cluster's highest energy over the base, > 0, newest last, at most 400."""
    seconds: float
    """Normal time observed, > 0."""
    prior_mean: float
    """Prior of the mean excess, > 0."""

    def level(self, per_day: float) -> float:
        """The energy that normal frames exceed so many times a day; above the base.

        Where activity has grown since the base was chosen, nearly all energies are above the base,
        and the mean excess does not describe a tail: extrapolated it gives a level that is never
        reached. So with many clusters only the upper half of them counts, above their median.

        Args:
            per_day: > 0.
        """
        upper = self._upper_half()
        count = len(upper.excesses)
        clusters_a_day = (count + 1.0) / upper.seconds * SECONDS_A_DAY
        rarity = max(1.0, clusters_a_day / per_day)
        mean = (sum(upper.excesses) + _PRIOR_MEAN_WEIGHT * upper.prior_mean) / (
            count + _PRIOR_MEAN_WEIGHT
        )
        shape = upper.shape
        scale = mean * (1.0 - shape)  # the mean of the distribution is scale / (1 − shape)
        if abs(shape) < 1e-6:
            return upper.base + scale * math.log(rarity)
        return upper.base + scale / shape * (math.pow(rarity, shape) - 1.0)

    def _upper_half(self) -> "Tail":
        if len(self.excesses) < _UPPER_HALF_FROM:
            return self
        ordered = sorted(self.excesses)
        middle, *above = ordered[len(ordered) // 2 :]
        excesses = tuple(excess - middle for excess in above)
        return replace(self, base=self.base + middle, excesses=excesses)

    @property
    def shape(self) -> float:
        """Shape γ of the Pareto distribution: below 0 the tail is bounded, above 0 it is heavy.

        Estimated by probability-weighted moments (Hosking & Wallis 1987), shrunk towards a prior.
        """
        count = len(self.excesses)
        if count < 2 or max(self.excesses) <= 0:
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
        """The tail after that much more normal time without a cluster.

        Of more than a day the oldest time is dropped, and its share of the clusters.
        """
        total = self.seconds + seconds
        if total <= _LONGEST_SECONDS:
            return replace(self, seconds=total)
        kept = round(len(self.excesses) * _LONGEST_SECONDS / total)
        excesses = self.excesses[len(self.excesses) - kept :]
        return replace(self, excesses=excesses, seconds=_LONGEST_SECONDS)

    def with_peak(self, excess: float) -> "Tail":
        """The tail with one more cluster; drops the oldest beyond 400, with its time."""
        excesses, seconds = (*self.excesses, excess), self.seconds
        if len(excesses) > _MOST_PEAKS:
            excesses, seconds = excesses[1:], seconds * _MOST_PEAKS / (_MOST_PEAKS + 1)
        return replace(self, excesses=excesses, seconds=seconds)


class ExceedanceClusters:
    """Finds clusters of energies above a base in a stream."""

    def __init__(
        self, base: float, gap_seconds: float = _CLUSTER_GAP_SECONDS, least_seconds: float = 0.0
    ) -> None:
        """Start without a cluster.

        Args:
            base: Energy above which a cluster continues.
            gap_seconds: Exceedances closer than this are one cluster.
            least_seconds: Shorter clusters are ignored.
        """
        self._base = base
        self._gap_seconds = gap_seconds
        self._least_seconds = least_seconds
        self._peak: float | None = None
        self._high_seconds = self._low_seconds = 0.0
        self._discarded = False

    def push(self, energy: float, step_seconds: float) -> float | None:
        """Take the next energy.

        Args:
            energy: Any.
            step_seconds: Since the one before, >= 0.

        Returns:
            The excess of a cluster that ends here; None: none ends.
        """
        if energy > self._base:
            if self._peak is not None and self._low_seconds == 0.0:
                self._high_seconds += step_seconds
            self._peak = energy if self._peak is None else max(self._peak, energy)
            self._low_seconds = 0.0
            return None
        self._low_seconds += step_seconds
        if self._peak is None or self._low_seconds < self._gap_seconds:
            return None
        return self.flush()

    def discard(self) -> None:
        """Discard the current cluster, including its remaining energies: it is not normal."""
        self._discarded = True

    def flush(self) -> float | None:
        """End the current cluster and return its excess; None: there is none."""
        counts = not self._discarded and self._high_seconds >= self._least_seconds
        excess = self._peak - self._base if self._peak is not None and counts else None
        self._peak, self._discarded, self._high_seconds = None, False, 0.0
        return excess


def tail_of(energies: Sequence[float], step_seconds: float, base: float, prior_mean: float) -> Tail:
    """The tail of a series of normal energies.

    Args:
        energies: In the order of time, at least one.
        step_seconds: Between two of them, > 0.
        base: See `Tail`.
        prior_mean: See `Tail`.
    """
    counter = ExceedanceClusters(base)
    found = [counter.push(energy, step_seconds) for energy in energies]
    found.append(counter.flush())
    tail = Tail(base, (), len(energies) * step_seconds, prior_mean)
    for excess in found:
        if excess is not None:
            tail = tail.with_peak(excess)
    return tail
