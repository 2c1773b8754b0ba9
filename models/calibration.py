"""From energies to an anomaly score: 0 is the median of normal, 1 the threshold (ours).

The threshold is estimated in steps. `provisional` uses only the leave-one-out energies of a few
support clips and is deliberately high; `update_provisional` corrects it during the calibration
window; `refine` uses the whole window and takes from the tail of its energies the level that normal
frames exceed at the target rate of false alarms; `learn` updates it with every further exceedance
that raised no alarm.

A level whose return period is longer than the observation is extrapolated: the threshold is set
above it by a margin that shrinks as the observation grows. Exceedances that raised alarms are not
part of the tail; but when there were more alarms than the target, the threshold rises to the
highest of the surplus alarms, at most to twice its height, until they are old enough for the rate
to meet the target again. One update raises the threshold by a quarter at most, and lowers it
slowly.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from models.tail import SECONDS_A_DAY, Tail, tail_of

MAD_TO_DEVIATION = 1.4826
"""Ratio of σ to the median absolute deviation of a normal distribution."""
_PROVISIONAL_SPREADS = 6.0
_SUPPORT_PRIOR_WEIGHT = 5.0
_LEAST_SAMPLES = 20
_BASE_QUANTILE = 0.9
_MEAN_EXCESS_SPREADS = 0.5
"""Mean excess of a normal distribution above its 0.9 quantile, in standard deviations."""
_LEAST_SPREADS = 2.5
"""Least distance of the threshold from the median, in spreads."""
_CAUTION = 0.03
"""Margin above the level, as a share of its distance from the median, for each factor e by which
the target interval between two alarms is longer than the observation (benchmarks/first_day.py)."""
_MOST_RISE = 1.25
"""Largest ratio by which one update raises the threshold's distance from the median."""
_FIRST_SECONDS, _FIRST_FALL, _SLOW_FALL = 3600.0, 0.9, 0.97
"""In the first hour one update lowers the threshold to nine tenths at most, later by 3 % in a 24th
of the target interval between two alarms: activity may differ from one hour to the next."""
_MOST_ALARM_RISE = 2.0
"""Largest ratio by which alarms raise the threshold above the level from the tail."""
_ABOVE_ALARM = 1.02
_ALARM_INTERVALS = 3.0
"""Age up to which an alarm counts, in target intervals between two alarms."""
_LEAST_ALARMS = 3
"""Number of alarms that is never too many: several events may follow a quiet hour within a
minute."""
_MOST_ALARMS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mapping from energies of one scene to scores."""

    median: float
    """Energy with the score 0."""
    threshold: float
    """Energy with the score 1; above the median."""
    spread: float
    """Robust standard deviation of normal energies."""
    samples: int
    """Number of energies it was estimated from."""
    final: bool
    """False: estimated from the support alone, conservative."""
    tail: Tail | None = None
    """Tail that the threshold is taken from; None where it comes from the support."""
    normal_seconds: float = 0.0
    """Normal time observed since the adaptation; the support does not count."""
    learnt_seconds: float = 0.0
    """Value of `normal_seconds` at the last update of the threshold."""
    alarms: tuple[tuple[float, float], ...] = ()
    """The newest 100 alarms: normal time at the alarm in seconds, and its highest energy."""
    alarms_per_day: float | None = None
    """Target rate of false alarms that the threshold was set for; None: it was set for none."""

    def __post_init__(self) -> None:
        """Check the values.

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
            standardised terms, so that about the number of terms is a good value.

    Returns:
        A conservative calibration, not final.
    """
    middle = median(support_energies) if support_energies else 0.0
    own = robust_spread(support_energies, middle)
    count = len(support_energies)
    spread = _shrunk_spread(own, count, prior_spread)
    highest = max(support_energies, default=middle)
    threshold = max(middle + _PROVISIONAL_SPREADS * spread, highest + 2.0 * spread)
    return Calibration(middle, threshold, spread, count, final=False)


def update_provisional(
    first: Calibration, energies: Sequence[float], seconds: float
) -> Calibration:
    """The first calibration, corrected by the energies since.

    Clips of a few seconds resemble each other more than they resemble the next minute, so that the
    leave-one-out energies are too low and vary too little. Median and spread move towards those of
    the energies since; the threshold is never below the first.

    Args:
        first: Calibration from the support.
        energies: Normal energies since the adaptation; at least one.
        seconds: Stream time of these energies; about one of them a second is independent of the
            others.

    Returns:
        A conservative calibration, not final.
    """
    own_middle = median(energies)
    weight = seconds / (seconds + _SUPPORT_PRIOR_WEIGHT)
    middle = first.median + weight * (own_middle - first.median)
    spread = _shrunk_spread(robust_spread(energies, own_middle), seconds, first.spread)
    threshold = max(first.threshold, middle + _PROVISIONAL_SPREADS * spread)
    return replace(first, median=middle, spread=spread, threshold=threshold)


def refine(
    first: Calibration, energies: Sequence[float], step_seconds: float, alarms_per_day: float
) -> Calibration:
    """Calibration at the end of the calibration window.

    Args:
        first: Calibration from the support; energies above its threshold are left out, as they may
            be anomalies.
        energies: Energies since the adaptation, in the order of time.
        step_seconds: Typical time between two of them.
        alarms_per_day: Target rate of false alarms.

    Returns:
        A final calibration; `first`, marked final, where fewer than 20 energies are usable.
    """
    normal = [energy for energy in energies if energy < first.threshold]
    if len(normal) < _LEAST_SAMPLES:
        return replace(first, final=True)
    middle = median(normal)
    spread = max(robust_spread(normal, middle), 0.25 * first.spread)
    base = sorted(normal)[int(_BASE_QUANTILE * len(normal))]
    tail = tail_of(normal, step_seconds, base, _MEAN_EXCESS_SPREADS * spread)
    seconds = tail.seconds
    threshold = _threshold(middle, spread, tail, alarms_per_day, seconds)
    return Calibration(
        middle,
        threshold,
        spread,
        len(normal),
        final=True,
        tail=tail,
        normal_seconds=seconds,
        learnt_seconds=seconds,
        alarms_per_day=alarms_per_day,
    )


def learn(calibration: Calibration, alarms_per_day: float) -> Calibration:
    """Update the threshold from the current tail; it rises by a quarter at most.

    Args:
        calibration: With the tail and the normal time it was estimated from.
        alarms_per_day: Target rate of false alarms.

    Raises:
        ValueError: the calibration has no tail.
    """
    middle, seconds = calibration.median, calibration.normal_seconds
    reach = _reach(calibration, alarms_per_day)
    before = calibration.threshold - middle
    steps = 24.0 * (seconds - calibration.learnt_seconds) / wanted_seconds(alarms_per_day)
    least = _SLOW_FALL**steps
    if calibration.learnt_seconds < _FIRST_SECONDS:
        least = min(least, _FIRST_FALL)
    reach = min(max(reach, least * before), _MOST_RISE * before)
    return replace(
        calibration,
        threshold=middle + reach,
        learnt_seconds=seconds,
        alarms_per_day=alarms_per_day,
    )


def for_target(calibration: Calibration, alarms_per_day: float) -> Calibration:
    """The calibration for a target rate: converted at once if it is for another one.

    Args:
        calibration: One without a tail, or without a target rate, is returned as it is.
        alarms_per_day: Target rate of false alarms.
    """
    if calibration.tail is None or calibration.alarms_per_day in (None, alarms_per_day):
        return calibration
    return replace(
        calibration,
        threshold=calibration.median + _reach(calibration, alarms_per_day),
        learnt_seconds=calibration.normal_seconds,
        alarms_per_day=alarms_per_day,
    )


def score_at_rate(calibration: Calibration, alarms_per_day: float) -> float:
    """The score, in units of this calibration, that would be 1 at another target rate.

    Args:
        calibration: With a tail.
        alarms_per_day: The other target rate of false alarms.

    Raises:
        ValueError: the calibration has no tail.
    """
    return calibration.score(calibration.median + _reach(calibration, alarms_per_day))


def with_alarm(calibration: Calibration, height: float) -> Calibration:
    """The calibration after one more alarm; `height`: its highest energy."""
    alarms = (*calibration.alarms, (calibration.normal_seconds, height))[-_MOST_ALARMS:]
    return replace(calibration, alarms=alarms)


def wanted_seconds(alarms_per_day: float) -> float:
    """Target interval between two false alarms, in seconds of normal time."""
    return SECONDS_A_DAY / alarms_per_day


def calibration_from_json(data: Mapping[str, Any]) -> Calibration:
    """Read a calibration that was written as JSON of its `dataclasses.asdict`.

    Raises:
        TypeError, ValueError: the data is no calibration.
    """
    tail = data.get("tail")
    if tail is not None:
        tail = Tail(**{**tail, "excesses": tuple(map(float, tail["excesses"]))})
    alarms = tuple((float(at), float(height)) for at, height in data.get("alarms", ()))
    return Calibration(**{**data, "tail": tail, "alarms": alarms})


def _threshold(
    middle: float, spread: float, tail: Tail, alarms_per_day: float, normal_seconds: float
) -> float:
    level = max(tail.level(alarms_per_day), middle + _LEAST_SPREADS * spread)
    unseen = max(1.0, wanted_seconds(alarms_per_day) / normal_seconds)
    return middle + (1.0 + _CAUTION * math.log(unseen)) * (level - middle)


def _reach(calibration: Calibration, alarms_per_day: float) -> float:
    """Distance of the threshold from the median that the tail and the alarms give."""
    middle, tail, seconds = calibration.median, calibration.tail, calibration.normal_seconds
    if tail is None:
        raise ValueError("want a calibration with a tail, got one of the support alone")
    reach = _threshold(middle, calibration.spread, tail, alarms_per_day, seconds) - middle
    needed = _above_alarms(calibration, alarms_per_day) - middle
    return max(reach, min(needed, _MOST_ALARM_RISE * reach))


def _above_alarms(calibration: Calibration, alarms_per_day: float) -> float:
    """Energy exceeded at the target rate in the last three intervals; −∞: no surplus alarms."""
    recent, allowed = _recent_alarms(calibration, alarms_per_day)
    if len(recent) <= allowed:
        return -math.inf
    return calibration.median + _ABOVE_ALARM * (recent[allowed] - calibration.median)


def too_many_alarms(calibration: Calibration, alarms_per_day: float) -> bool:
    """Whether alarms exceed the target so far that the threshold must be updated at once."""
    recent, allowed = _recent_alarms(calibration, alarms_per_day)
    return len(recent) > allowed + 1


def _recent_alarms(calibration: Calibration, alarms_per_day: float) -> tuple[list[float], int]:
    """Energies of the alarms of the last three intervals, highest first, and the target number."""
    interval = wanted_seconds(alarms_per_day)
    watched = min(calibration.normal_seconds, _ALARM_INTERVALS * interval)
    since = calibration.normal_seconds - watched
    recent = sorted((height for at, height in calibration.alarms if at >= since), reverse=True)
    return recent, max(_LEAST_ALARMS, int(watched / interval))


def _shrunk_spread(own: float, samples: float, prior: float) -> float:
    """Spread of that many independent samples, shrunk towards a prior spread."""
    return math.sqrt(
        (samples * own**2 + _SUPPORT_PRIOR_WEIGHT * prior**2) / (samples + _SUPPORT_PRIOR_WEIGHT)
    )


def robust_spread(values: Sequence[float], middle: float) -> float:
    """Median absolute deviation times 1.4826: equals σ for a normal distribution.

    Args:
        values: Any number; none gives 0.
        middle: Their median.
    """
    if not values:
        return 0.0
    return MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
