"""From energies to a score that people can read: 0 is the median of normal, 1 the threshold (ours).

The threshold comes in steps. `provisional` has only the leave-one-out energies of a few support
clips and is deliberately high; `firmer` corrects it while the scene's first normal minute goes by;
`refine` has seen that minute, and asks the tail of its energies for the level that normal life
passes as often as people allow; `learn` goes on with every further passage that raised no alarm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from models.tail import Tail, tail_of

_PROVISIONAL_SPREADS = 6.0
_SUPPORT_PRIOR_WEIGHT = 5.0
_LEAST_SAMPLES = 20
_BASE_QUANTILE = 0.9
_MEAN_EXCESS_SPREADS = 0.5
"""Mean excess of a normal law's passages above its 0.9 quantile, in standard deviations."""
_LEAST_SPREADS = 2.5
"""No threshold is nearer to the median, however tame the minute was."""


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
    tail: Tail | None = None
    """What the threshold comes from; None where it comes from the support."""

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
    spread = _leaning(own, count, prior_spread)
    highest = max(support_energies, default=middle)
    threshold = max(middle + _PROVISIONAL_SPREADS * spread, highest + 2.0 * spread)
    return Calibration(middle, threshold, spread, count, final=False)


def firmer(first: Calibration, energies: Sequence[float], seconds: float) -> Calibration:
    """The first calibration, corrected by what was seen since.

    Clips of a few seconds resemble each other more than they resemble the next minute, so that the
    leave-one-out energies are too low and too much alike. Median and spread move to those of the
    energies since; the threshold is never below the first.

    Args:
        first: What the support gave.
        energies: Normal energies since the adaptation; at least one.
        seconds: Time in which they came; about one of them a second is independent of the others.

    Returns:
        A conservative calibration, not final.
    """
    own_middle = median(energies)
    weight = seconds / (seconds + _SUPPORT_PRIOR_WEIGHT)
    middle = first.median + weight * (own_middle - first.median)
    spread = _leaning(_robust_spread(energies, own_middle), seconds, first.spread)
    threshold = max(first.threshold, middle + _PROVISIONAL_SPREADS * spread)
    return replace(first, median=middle, spread=spread, threshold=threshold)


def refine(
    first: Calibration, energies: Sequence[float], step_seconds: float, alarms_per_day: float
) -> Calibration:
    """Calibration after the first normal minute.

    Args:
        first: What the support gave; energies above its threshold are left out, as they may be
            anomalies.
        energies: Energies since the adaptation, in the order of time.
        step_seconds: Typical time between two of them.
        alarms_per_day: How often normal life may pass the threshold.

    Returns:
        A final calibration; `first`, marked final, where fewer than 20 energies are usable.
    """
    normal = [energy for energy in energies if energy < first.threshold]
    if len(normal) < _LEAST_SAMPLES:
        return replace(first, final=True)
    middle = median(normal)
    spread = max(_robust_spread(normal, middle), 0.25 * first.spread)
    base = sorted(normal)[int(_BASE_QUANTILE * len(normal))]
    tail = tail_of(normal, step_seconds, base, _MEAN_EXCESS_SPREADS * spread)
    threshold = _threshold(middle, spread, tail, alarms_per_day)
    return Calibration(middle, threshold, spread, len(normal), final=True, tail=tail)


def learn(calibration: Calibration, tail: Tail, alarms_per_day: float) -> Calibration:
    """Calibration after some more normal life.

    Args:
        calibration: As it was.
        tail: As it is now.
        alarms_per_day: How often normal life may pass the threshold.
    """
    threshold = _threshold(calibration.median, calibration.spread, tail, alarms_per_day)
    return replace(calibration, threshold=threshold, tail=tail)


def calibration_from_json(data: Mapping[str, Any]) -> Calibration:
    """Read what `dataclasses.asdict` made of a calibration, and JSON of that.

    Raises:
        TypeError, ValueError: it is something else.
    """
    tail = data.get("tail")
    if tail is not None:
        tail = Tail(**{**tail, "excesses": tuple(map(float, tail["excesses"]))})
    return Calibration(**{**data, "tail": tail})


def _threshold(middle: float, spread: float, tail: Tail, alarms_per_day: float) -> float:
    return max(tail.level(alarms_per_day), middle + _LEAST_SPREADS * spread)


def _leaning(own: float, samples: float, prior: float) -> float:
    """A spread seen in so many independent samples, leaning on one that was expected."""
    return math.sqrt(
        (samples * own**2 + _SUPPORT_PRIOR_WEIGHT * prior**2) / (samples + _SUPPORT_PRIOR_WEIGHT)
    )


def _robust_spread(energies: Sequence[float], middle: float) -> float:
    """1.4826 times the median absolute deviation: the standard deviation of a normal law."""
    if not energies:
        return 0.0
    return 1.4826 * median(abs(energy - middle) for energy in energies)
