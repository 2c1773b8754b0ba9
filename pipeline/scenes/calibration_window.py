"""The calibration window of a scene: its features are stored, for a refit at its end.

A few seconds of support show less of a place than a minute does: people who come along later are
new to the scene, and a threshold that tolerates all of them is blind. No model, no clock.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median

from models.scene_model import Observation

STEP_SECONDS = 0.5
"""Stream time between two stored samples: 160 kB each, 19 MB a minute."""
CANDIDATE_STEP_SECONDS = 1.0
"""Least stream time between two samples that may become support of a refit."""
LEAST_SECONDS = 20.0
"""A shorter window shows little more than a support, and has too few samples to calibrate."""
MAX_SAMPLES = 240
"""Of a window with more samples every second one is dropped."""
_LONGEST_STEP_SECONDS = 1.0
_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole step by less


@dataclass(slots=True, eq=False)
class CalibrationWindow:
    """Samples of one scene since its adaptation, or of normal life before the next adaptation.

    Which samples are normal is decided at the end of the window, from all of them (`refit_scene`).
    """

    wanted_seconds: float
    """Length of the window."""
    seconds: list[float] = field(default_factory=list)
    """Time of each sample from the start of the window, increasing; gaps and pauses between
    connections do not count."""
    features: list[Observation] = field(default_factory=list)
    """Features of a clip per sample, float16 on the CPU."""
    unusual: list[tuple[float, float]] = field(default_factory=list)
    """Begin and end of each time in which the scene in use scored frames as unusual."""
    unusual_seconds: float = 0.0
    """Total length of these."""
    _step_seconds: float = STEP_SECONDS
    _now_seconds: float = 0.0
    _last_seconds: float | None = None
    _was_usual: bool = True

    @property
    def over(self) -> bool:
        """Whether its time has passed."""
        return self._now_seconds >= self.wanted_seconds - _ROUNDING_SECONDS

    @property
    def now_seconds(self) -> float:
        """How much of its time has passed."""
        return self._now_seconds

    @property
    def step_seconds(self) -> float:
        """Between two samples: half a second, longer for a slow camera or a long window."""
        if len(self.seconds) < 2:
            return self._step_seconds
        return median(later - earlier for earlier, later in pairwise(self.seconds))

    @property
    def every(self) -> int:
        """One sample out of this many may become support of a refit."""
        return _every(self.step_seconds)

    def interrupted(self) -> None:
        """Break the time base: a new connection follows, or frames that are not judged."""
        self._last_seconds = None

    def discard_last(self, seconds: float) -> None:
        """Remove the last seconds: they belong to the event that began then."""
        self._now_seconds = max(0.0, self._now_seconds - seconds)
        while self.seconds and self.seconds[-1] >= self._now_seconds:
            self.seconds.pop()
            self.features.pop()

    def add(
        self,
        pts_seconds: float,
        cached_features: Callable[[], Observation] | None,
        usual: bool = True,
    ) -> None:
        """Add the next frame.

        Args:
            pts_seconds: Its time in the stream.
            cached_features: Returns the features of the clip; called only if they are stored.
                None: the frame is not usable, and only its time counts.
            usual: Whether the scene in use scores it as normal.
        """
        step = 0.0 if self._last_seconds is None else pts_seconds - self._last_seconds
        self._last_seconds = pts_seconds
        step = min(max(step, 0.0), _LONGEST_STEP_SECONDS)
        self._now_seconds += step
        if not usual:
            self._note_unusual(step)
        self._was_usual = usual
        least = self._step_seconds - _ROUNDING_SECONDS
        early = bool(self.seconds) and self._now_seconds - self.seconds[-1] < least
        if early or cached_features is None:
            return
        self.seconds.append(self._now_seconds)
        self.features.append(cached_features())
        if len(self.features) > MAX_SAMPLES:
            self.seconds, self.features = self.seconds[::2], self.features[::2]
            self._step_seconds = self.step_seconds

    def _note_unusual(self, step: float) -> None:
        self.unusual_seconds += step
        begin = self._now_seconds if self._was_usual else self.unusual.pop()[0]
        self.unusual.append((begin, self._now_seconds))


def max_candidates(seconds: float) -> int:
    """Most samples of a window of this length that may become support of a refit."""
    step = STEP_SECONDS
    while seconds / step + 1 > MAX_SAMPLES:
        step *= 2
    return int(seconds / (step * _every(step)) + _ROUNDING_SECONDS) + 1


def _every(step_seconds: float) -> int:
    return max(1, round(CANDIDATE_STEP_SECONDS / step_seconds))


@dataclass(frozen=True, slots=True)
class LearningProgress:
    """When the calibration of a camera ends, and how much data its threshold is based on."""

    trusted: bool
    """Whether its scene is calibrated: only then its events are sent as alerts."""
    trusted_in_seconds: float
    """Normal stream time until then, estimated; 0 once it is trusted."""
    normal_seconds: float
    """Normal time that was scored in this scene."""
    wanted_seconds: float
    """Normal time that the wanted rate of false alarms takes to observe: one a day takes a day.
    Until then the threshold is extrapolated."""

    @property
    def enough(self) -> bool:
        """Whether the threshold is no longer extrapolated."""
        return self.normal_seconds >= self.wanted_seconds

    def as_json(self) -> dict[str, float | bool]:
        """Plain data for messages, in whole seconds."""
        data = {name: value if isinstance(value, bool) else float(round(value))
                for name, value in asdict(self).items()}  # fmt: skip
        return {**data, "enough": self.enough}
