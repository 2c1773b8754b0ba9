"""From energies to a score that people can read: 0 is the median of normal, 1 the threshold (ours).

The threshold comes in two steps. `provisional` has only the leave-one-out energies of a few support
clips and is deliberately high; `refine` has seen the scene's first normal minute.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_PROVISIONAL_SPREADS = 6.0
_REFINED_SPREADS = 4.0
_SUPPORT_PRIOR_WEIGHT = 5.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How energies of one scene are read."""

    median: float
    """Energy with the score 0."""
    threshold: float
    """Energy with the score 1; above the median."""
    spread: float
    """Robust standard deviation of normal energies."""
    samples: int
    """Number of energies behind it."""
    final: bool
    """False: from the support alone, conservative."""

    def __post_init__(self) -> None:
        """Refuse a scale that does not rise.

        Raises:
            ValueError: a value is not finite, or the threshold is not above the median.
        """
        if not all(map(math.isfinite, (self.median, self.threshold, self.spread))):
            raise ValueError(f"calibration: want finite values, got {self}")
        if self.threshold <= self.median:
            raise ValueError(
                f"calibration: want threshold > median, got {self.threshold} <= {self.median}"
            )

    def score(self, energy: float) -> float:
        """The anomaly score of an energy: unbounded, 0 = median of normal, 1 = threshold."""
        return (energy - self.median) / (self.threshold - self.median)


def provisional(support_energies: Sequence[float], prior_spread: float = 1.0) -> Calibration:
    """First calibration, from the support alone.

    Args:
        support_energies: Leave-one-out energies; may be empty (K = 1).
        prior_spread: Standard deviation of normal energies in scenes at large; energies are sums of
            standardised terms, so that about the number of terms is right.

    Returns:
        A conservative calibration, not final.
    """
    middle = median(support_energies) if support_energies else 0.0
    own = _robust_spread(support_energies, middle)
    count = len(support_energies)
    spread = math.sqrt(
        (count * own**2 + _SUPPORT_PRIOR_WEIGHT * prior_spread**2) / (count + _SUPPORT_PRIOR_WEIGHT)
    )
    highest = max(support_energies, default=middle)
    threshold = max(middle + _PROVISIONAL_SPREADS * spread, highest + 2.0 * spread)
    return Calibration(middle, threshold, spread, count, final=False)


def refine(first: Calibration, energies: Sequence[float]) -> Calibration:
    """Calibration after the first normal minute.

    Args:
        first: What the support gave; energies above its threshold are left out, as they may be
            anomalies.
        energies: Energies since the adaptation, in any order.

    Returns:
        A final calibration; `first`, marked final, where fewer than 20 energies are usable.
    """
    normal = sorted(energy for energy in energies if energy < first.threshold)
    if len(normal) < 20:
        return Calibration(first.median, first.threshold, first.spread, first.samples, final=True)
    middle = median(normal)
    spread = max(_robust_spread(normal, middle), 0.25 * first.spread)
    # An event wants the score to stay up for a while, so the highest single frame is high enough.
    threshold = max(middle + _REFINED_SPREADS * spread, normal[-1])
    return Calibration(middle, threshold, spread, len(normal), final=True)


def _robust_spread(energies: Sequence[float], middle: float) -> float:
    """1.4826 times the median absolute deviation: the standard deviation of a normal law."""
    if not energies:
        return 0.0
    return 1.4826 * median(abs(energy - middle) for energy in energies)
