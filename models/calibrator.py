"""Reading a stream of energies: smoothing, and the threshold that follows normal life (ours)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from models.calibration import (
    Calibration,
    learn,
    provisional,
    refine,
    too_many_alarms,
    update_provisional,
    wanted_seconds,
    with_alarm,
)
from models.tail import ExceedanceClusters

_LONGEST_STEP_SECONDS = 1.0  # a longer gap in the stream was not watched, so it is no normal time
_LEAST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 60.0, 3600.0
_ALARM_GAP_SECONDS, _LEAST_ALARM_SECONDS = 5.0, 0.5
"""What is above the threshold for so long is one alarm, and so is what is closer together."""
_FIRST_LOOK = 10
"""Energies after which the provisional calibration is corrected for the first time."""
_NEXT_LOOK = 1.2
"""And each time there are so many times as many: often at first, and cheap in a long one."""
_NEARNESS = 0.5
"""Chosen on eight made streets: of 40 anomalies 32 are found with one false alarm, of asked for 144
a day; 31 with four without it, 28 with one if all of the difference is added."""
_LEAST_SPREAD = 1e-6
_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole second by less


@dataclass(frozen=True, slots=True)
class CalibratorSettings:
    """How energies are read."""

    calibrate_seconds: float = 60.0
    """Normal stream time after which the threshold is refined; 0 keeps the provisional one."""
    smoothing_seconds: float = 0.4
    """Time constant of the exponential average that becomes the score; 0: none."""
    alarms_per_day: float = 1.0
    """How often normal life may pass the threshold, > 0."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

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
    """What one energy means."""

    score: float
    """Of the smoothed energy: 0 = the median of normal, 1 = the threshold."""
    threshold: float
    """The smoothed energy at which the score is 1."""


class Calibrator:
    """Turns the energies of one camera into scores; time is that of the stream.

    While calibrating only normal energies and their time count, that is, those below the
    provisional threshold: an anomaly in the first minute makes the minute longer. They correct that
    threshold as they come.
    """

    def __init__(
        self, settings: CalibratorSettings, calibration: Calibration, waiting: bool = False
    ) -> None:
        """Begin with the support's calibration, or go on with a final one.

        Args:
            settings: How energies are read.
            calibration: To begin with.
            waiting: See there.
        """
        self.waiting = waiting
        """Whether a better calibration may come: until this is set to False the first normal time
        goes on, and the threshold stays conservative."""
        self._settings = settings
        interval = wanted_seconds(settings.alarms_per_day)
        self._wait_seconds = min(max(interval / 4.0, _LEAST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        self._calibration = calibration
        self._last_seconds: float | None = None
        self._smoothed: float | None = None
        self._first = calibration
        self._normal: list[float] = []
        self._firmer_at = _FIRST_LOOK
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
        """How energies are read now."""
        return self._calibration

    @property
    def kept(self) -> Calibration:
        """The same with all that was watched since: who goes on with it has lost nothing."""
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
        """Whether the first normal time is over."""
        return self._done

    @property
    def normal_seconds(self) -> float:
        """Normal time so far."""
        return self._watched_seconds if self._done else self._normal_seconds

    def connected(self) -> None:
        """Another connection begins, whose time has nothing to do with the last one's."""
        self._last_seconds = None
        self._smoothed = None

    def follow(self, before: "Calibrator") -> None:
        """Go on in the middle of a connection that another one read, in another scene.

        Its average goes on, as many spreads from the median as it was: else the first frame in the
        new scene would count as much as half a second does later.
        """
        self._last_seconds = before._last_seconds
        if before._smoothed is not None:
            old, new = before._calibration, self._calibration
            above = (before._smoothed - old.median) / max(old.spread, _LEAST_SPREAD)
            self._smoothed = new.median + above * new.spread

    def read(self, pts_seconds: float, energy: float) -> CalibratedEnergy:
        """Read the next energy, and learn from it if it is normal."""
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
        elif len(self._normal) >= self._firmer_at:
            self._firmer_at = math.ceil(_NEXT_LOOK * len(self._normal))
            self._calibration = update_provisional(self._first, self._normal, self._normal_seconds)

    def _follow(self, energy: float, step: float) -> None:
        """Normal life goes on: passages refine the threshold, those that raised alarms are counted.

        It moves only when as much time again has gone by, or a quarter of the time in which an
        alarm is asked for, or an hour: what happens in a few moments, and may be an anomaly that
        just missed it, shall not lift it out of reach.
        """
        tail, threshold = self._tail, self._calibration.threshold
        assert tail is not None
        assert self._counter is not None  # both come together
        excess = self._counter.push(energy, step)
        alarm = self._alarms.push(energy, step)
        if energy >= threshold:
            self._counter.forget()
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
            self._calibration = with_alarm(self.kept, threshold + alarm)
            is_due |= too_many_alarms(self._calibration, self._settings.alarms_per_day)
        if is_due:
            self._calibration = learn(self.kept, self._settings.alarms_per_day)
            self._alarms = _alarm_counter(self._calibration)


def smooth(before: float | None, energy: float, step_seconds: float, constant: float) -> float:
    """The exponential average after another energy; `constant`: its seconds, 0: none."""
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
    """Calibration of a scene by a stretch of normal life that is over, and that it was made of.

    Its moments lie nearer to the support than life will, so that their energies are too low: half
    of what their median is below that of the leave-one-out energies, if it is, is added.

    Args:
        settings: How its energies are read.
        support_energies: The scene's own; what is above their threshold does not count.
        seconds: When each energy was seen, rising.
        energies: In this scene, of moments that are not in its support.
        step_seconds: Between two of them, where none is left out.

    Returns:
        A final calibration with a tail; None: too few energies are usable.
    """
    if not energies:
        return None
    nearness = 0.0
    if support_energies:
        nearness = _NEARNESS * max(0.0, median(support_energies) - median(energies))
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
