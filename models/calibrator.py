"""Calibration of a stream of energies: smoothing, and an adaptive threshold (ours)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from models.calibration import (
    Calibration,
    for_target,
    learn,
    provisional,
    refine,
    score_at_rate,
    too_many_alarms,
    update_provisional,
    wanted_seconds,
    with_alarm,
)
from models.tail import ExceedanceClusters

_LONGEST_STEP_SECONDS = 1.0  # the rest of a longer gap was not observed, so it does not count
_LEAST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 60.0, 3600.0
_ALARM_GAP_SECONDS, _LEAST_ALARM_SECONDS = 5.0, 0.5
"""Gap below which two exceedances of the threshold are one alarm, and least duration of an
alarm."""
_FIRST_UPDATE = 10
"""Number of energies after which the provisional calibration is corrected for the first time."""
_UPDATE_GROWTH = 1.2
"""Growth of that number from one correction to the next: often at first, and cheap in a long
window."""
_NEARNESS_SHARE = 0.5
"""Share of the difference of the medians that is added, see `calibrate_afterwards`. Chosen on eight
synthetic streets at a target of 144 false alarms a day: 32 of 40 anomalies are found with one false
alarm; 31 with four without it, 28 with one if all of the difference is added."""
_LEAST_SPREAD = 1e-6
_ROUNDING_SECONDS = 1e-6  # rounding error of a sum of frame times is smaller


@dataclass(frozen=True, slots=True)
class CalibratorSettings:
    """How energies are turned into scores."""

    calibrate_seconds: float = 60.0
    """Normal stream time after which the threshold is refined; 0 keeps the provisional one."""
    smoothing_seconds: float = 0.4
    """Time constant of the exponential average that becomes the score; 0: none."""
    alarms_per_day: float = 1.0
    """Target rate of false alarms, > 0."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting, what was got and what is wanted.
        """
        if self.calibrate_seconds < 0:
            raise ValueError(f"calibrate_seconds: want >= 0, got {self.calibrate_seconds}")
        if self.smoothing_seconds < 0:
            raise ValueError(f"smoothing_seconds: want >= 0, got {self.smoothing_seconds}")
        if not self.alarms_per_day > 0:
            raise ValueError(f"alarms_per_day: want > 0, got {self.alarms_per_day}")


@dataclass(frozen=True, slots=True)
class CalibratedEnergy:
    """Score of one energy."""

    score: float
    """Of the smoothed energy: 0 = the median of normal, 1 = the threshold."""
    threshold: float
    """The smoothed energy at which the score is 1."""


class Calibrator:
    """Turns the energies of one camera into scores; time is that of the stream.

    While calibrating, only energies below the provisional threshold and their time count: an
    anomaly in the calibration window makes the window longer. These energies correct the
    provisional threshold as they arrive.
    """

    def __init__(
        self, settings: CalibratorSettings, calibration: Calibration, waiting: bool = False
    ) -> None:
        """Start from the support's calibration, or continue a final one.

        Args:
            settings: How energies are turned into scores.
            calibration: The initial calibration; one for another target rate is converted.
            waiting: Initial value of the attribute.
        """
        self.waiting = waiting
        """Whether a better calibration is pending: until this is set to False the calibration
        window continues, and the threshold stays conservative."""
        self._settings = settings
        interval = wanted_seconds(settings.alarms_per_day)
        self._wait_seconds = min(max(interval / 4.0, _LEAST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        calibration = for_target(calibration, settings.alarms_per_day)
        self._calibration = calibration
        self._last_seconds: float | None = None
        self._smoothed: float | None = None
        self._first = calibration
        self._normal: list[float] = []
        self._next_update_at = _FIRST_UPDATE
        self._steps: list[float] = []
        self._normal_seconds = 0.0
        self._done = calibration.final or settings.calibrate_seconds == 0
        self._counter = _counter(calibration)
        self._alarms = _alarm_counter(calibration)
        self._tail = calibration.tail
        self._unseen_seconds = 0.0
        self._watched_seconds = calibration.normal_seconds

    @property
    def calibration(self) -> Calibration:
        """The current calibration."""
        return self._calibration

    @property
    def snapshot(self) -> Calibration:
        """The current calibration with the tail and normal time observed since the last update."""
        tail = self._tail
        if not self._done or tail is None:
            return self._calibration
        return replace(
            self._calibration,
            tail=tail.after(self._unseen_seconds),
            normal_seconds=self._watched_seconds,
        )

    @property
    def done(self) -> bool:
        """Whether the calibration window is complete."""
        return self._done

    @property
    def normal_seconds(self) -> float:
        """Normal time so far."""
        return self._watched_seconds if self._done else self._normal_seconds

    def score_at_rate(self, alarms_per_day: float) -> float | None:
        """The present score that would be 1 at another target rate; None: not yet calibrated."""
        if not self._done or self._tail is None:
            return None
        return score_at_rate(self.snapshot, alarms_per_day)

    def connected(self) -> None:
        """Start a new connection, whose stream time is unrelated to that of the last one."""
        self._last_seconds = None
        self._smoothed = None

    def continue_from(self, before: "Calibrator") -> None:
        """Take over a connection from the calibrator of another scene.

        The exponential average continues at the same number of spreads from the median: otherwise
        the first frame in the new scene would weigh as much as half a second does later.
        """
        self._last_seconds = before._last_seconds
        if before._smoothed is not None:
            old, new = before._calibration, self._calibration
            above = (before._smoothed - old.median) / max(old.spread, _LEAST_SPREAD)
            self._smoothed = new.median + above * new.spread

    def read(self, pts_seconds: float, energy: float) -> CalibratedEnergy:
        """Score the next energy, and update the calibration if it is normal."""
        step = 0.0 if self._last_seconds is None else max(0.0, pts_seconds - self._last_seconds)
        self._last_seconds = pts_seconds
        smoothed = smooth(self._smoothed, energy, step, self._settings.smoothing_seconds)
        self._smoothed = smoothed
        calibration = self._calibration
        if not self._done:
            self._collect(smoothed, step)
        elif calibration.tail is not None:
            self._follow(smoothed, min(step, _LONGEST_STEP_SECONDS))
        return CalibratedEnergy(calibration.score(smoothed), calibration.threshold)

    def _collect(self, energy: float, step: float) -> None:
        if energy >= self._calibration.threshold:
            return
        self._normal.append(energy)
        if step > 0:
            self._steps.append(step)
        self._normal_seconds += min(step, _LONGEST_STEP_SECONDS)
        enough = self._settings.calibrate_seconds - _ROUNDING_SECONDS
        if self._normal_seconds >= enough and not self.waiting:
            typical = median(self._steps)
            alarms = self._settings.alarms_per_day
            self._calibration = refine(self._calibration, self._normal, typical, alarms)
            self._tail = self._calibration.tail
            self._watched_seconds = self._calibration.normal_seconds
            self._counter = _counter(self._calibration)
            self._alarms = _alarm_counter(self._calibration)
            self._normal.clear()
            self._steps.clear()
            self._done = True
        elif len(self._normal) >= self._next_update_at:
            self._next_update_at = math.ceil(_UPDATE_GROWTH * len(self._normal))
            self._calibration = update_provisional(self._first, self._normal, self._normal_seconds)

    def _follow(self, energy: float, step: float) -> None:
        """Add the next energy to the tail, count alarms, and update the threshold when it is due.

        An update is due when the observed time has doubled, or after a quarter of the target
        interval between two alarms, or after an hour: a few samples, which may be an anomaly just
        below the threshold, must not raise it out of reach.
        """
        tail, threshold = self._tail, self._calibration.threshold
        assert tail is not None
        assert self._counter is not None  # both are set together
        excess = self._counter.push(energy, step)
        alarm = self._alarms.push(energy, step)
        if energy >= threshold:
            self._counter.discard()
            return
        self._unseen_seconds += step
        self._watched_seconds += step
        if excess is not None:
            self._tail = tail.after(self._unseen_seconds).with_peak(excess)
            self._unseen_seconds = 0.0
        learnt = self._calibration.learnt_seconds
        is_due = self._watched_seconds - learnt >= min(learnt, self._wait_seconds)
        if is_due and alarm is None:
            alarm = self._alarms.flush()
        if alarm is not None:
            self._calibration = with_alarm(self.snapshot, threshold + alarm)
            is_due |= too_many_alarms(self._calibration, self._settings.alarms_per_day)
        if is_due:
            self._calibration = learn(self.snapshot, self._settings.alarms_per_day)
            self._alarms = _alarm_counter(self._calibration)


def smooth(before: float | None, energy: float, step_seconds: float, constant: float) -> float:
    """The next exponential average; `constant`: time constant in seconds, 0: no smoothing."""
    if before is None or constant == 0:
        return energy
    return before + (1.0 - math.exp(-step_seconds / constant)) * (energy - before)


def calibrate_afterwards(
    settings: CalibratorSettings,
    support_energies: Sequence[float],
    seconds: Sequence[float],
    energies: Sequence[float],
    step_seconds: float,
) -> Calibration | None:
    """Calibrate a scene on the recorded normal period that its support was taken from.

    These samples are closer to the support than later ones will be, so that their energies are too
    low: half of the difference by which their median is below that of the leave-one-out energies is
    added, if positive.

    Args:
        settings: How energies are turned into scores.
        support_energies: Of the scene; energies above the threshold they give do not count.
        seconds: Time of each energy, rising.
        energies: In this scene, of samples that are not in its support.
        step_seconds: Time between two samples, where none is left out.

    Returns:
        A final calibration with a tail; None: too few energies are usable.
    """
    if not energies:
        return None
    nearness = 0.0
    if support_energies:
        nearness = _NEARNESS_SHARE * max(0.0, median(support_energies) - median(energies))
    smoothed: list[float] = []
    average, last = None, None
    for time, energy in zip(seconds, energies, strict=True):
        step = step_seconds if last is None else time - last
        average = smooth(average, energy + nearness, step, settings.smoothing_seconds)
        last = time
        smoothed.append(average)
    first = provisional(support_energies)
    calibration = refine(first, smoothed, step_seconds, settings.alarms_per_day)
    return calibration if calibration.tail is not None else None


def _counter(calibration: Calibration) -> ExceedanceClusters | None:
    return None if calibration.tail is None else ExceedanceClusters(calibration.tail.base)


def _alarm_counter(calibration: Calibration) -> ExceedanceClusters:
    return ExceedanceClusters(calibration.threshold, _ALARM_GAP_SECONDS, _LEAST_ALARM_SECONDS)
