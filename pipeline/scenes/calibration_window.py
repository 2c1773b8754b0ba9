"""A minute of a scene: what is kept of it, for a wider scene to be made of when it is over.

A few seconds of support show less of a place than a minute does: who comes along later is new to
the scene, and the threshold that lets all of that pass is blind. Pure: no model, no clock.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median

from models.scene_model import Observation

STEP_SECONDS = 0.5
"""Stream time between two moments that are kept: 160 kB each, 19 MB a minute."""
CANDIDATE_STEP_SECONDS = 1.0
"""Between two moments that may become part of a wider support, at least."""
LEAST_SECONDS = 20.0
"""A shorter minute shows little more than a support, and has too few moments to calibrate by."""
MOST_MOMENTS = 240
"""Of a longer one every second moment is kept."""
_LONGEST_STEP_SECONDS = 1.0
_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole step by less


@dataclass(slots=True, eq=False)
class CalibrationWindow:
    """Moments of one scene since its adaptation, or of usual life before the next one.

    What of them is normal is judged when the minute is over, by all of them (`widening`).
    """

    wanted_seconds: float
    """How long it is."""
    seconds: list[float] = field(default_factory=list)
    """When each moment was, rising, from 0; over gaps and connections time stands still."""
    moments: list[Observation] = field(default_factory=list)
    """What the network saw, a clip each, float16 on the CPU."""
    unusual: list[tuple[float, float]] = field(default_factory=list)
    """When the scene in use found something, from its first frame to its last."""
    unusual_seconds: float = 0.0
    """For how long, in all."""
    _step_seconds: float = STEP_SECONDS
    _now_seconds: float = 0.0
    _last_seconds: float | None = None
    _last_usual: bool = True

    @property
    def over(self) -> bool:
        """Whether all of it has gone by."""
        return self._now_seconds >= self.wanted_seconds - _ROUNDING_SECONDS

    @property
    def now_seconds(self) -> float:
        """How much of it has gone by."""
        return self._now_seconds

    @property
    def step_seconds(self) -> float:
        """Between two moments: half a second, longer for a slow camera or a long minute."""
        if len(self.seconds) < 2:
            return self._step_seconds
        return median(later - earlier for earlier, later in pairwise(self.seconds))

    @property
    def every(self) -> int:
        """Of so many moments one may become part of a wider support."""
        return _every(self.step_seconds)

    def interrupted(self) -> None:
        """What comes next has nothing to do with what was: another connection, or a held view."""
        self._last_seconds = None

    def take_back(self, seconds: float) -> None:
        """Forget the last of it: it belongs to what came then."""
        self._now_seconds = max(0.0, self._now_seconds - seconds)
        while self.seconds and self.seconds[-1] >= self._now_seconds:
            self.seconds.pop()
            self.moments.pop()

    def see(
        self,
        pts_seconds: float,
        cached_features: Callable[[], Observation] | None,
        usual: bool = True,
    ) -> None:
        """Take the next frame.

        Args:
            pts_seconds: Its time in the stream.
            cached_features: Gives the features of the clip; called if they are kept. None: the
                picture is not usable, and only its time counts.
            usual: Whether the scene in use finds nothing in it.
        """
        step = 0.0 if self._last_seconds is None else pts_seconds - self._last_seconds
        self._last_seconds = pts_seconds
        step = min(max(step, 0.0), _LONGEST_STEP_SECONDS)
        self._now_seconds += step
        if not usual:
            self._note_unusual(step)
        self._last_usual = usual
        least = self._step_seconds - _ROUNDING_SECONDS
        early = bool(self.seconds) and self._now_seconds - self.seconds[-1] < least
        if early or cached_features is None:
            return
        self.seconds.append(self._now_seconds)
        self.moments.append(cached_features())
        if len(self.moments) > MOST_MOMENTS:
            self.seconds, self.moments = self.seconds[::2], self.moments[::2]
            self._step_seconds = self.step_seconds

    def _note_unusual(self, step: float) -> None:
        self.unusual_seconds += step
        begin = self._now_seconds if self._last_usual else self.unusual.pop()[0]
        self.unusual.append((begin, self._now_seconds))


def candidates_of(seconds: float) -> int:
    """How many moments of so long a minute may become part of a wider support, at most."""
    step = STEP_SECONDS
    while seconds / step + 1 > MOST_MOMENTS:
        step *= 2
    return int(seconds / (step * _every(step)) + _ROUNDING_SECONDS) + 1


def _every(step_seconds: float) -> int:
    return max(1, round(CANDIDATE_STEP_SECONDS / step_seconds))


@dataclass(frozen=True, slots=True)
class LearningProgress:
    """When a camera will be trusted, and what its threshold rests on."""

    trusted: bool
    """Whether its scene is calibrated: only then people are notified of its events."""
    trusted_in_seconds: float
    """Normal stream time until then, as far as is known; 0 where it is."""
    normal_seconds: float
    """Normal time that was watched in this scene."""
    wanted_seconds: float
    """Normal time that shows how high life goes as rarely as alarms are asked for: one a day wants
    a day. Until then the threshold is extrapolated."""

    @property
    def enough(self) -> bool:
        """Whether the threshold is no longer extrapolated."""
        return self.normal_seconds >= self.wanted_seconds

    def as_json(self) -> dict[str, float | bool]:
        """Plain data for messages, in whole seconds."""
        data = {name: value if isinstance(value, bool) else float(round(value))
                for name, value in asdict(self).items()}  # fmt: skip
        return {**data, "enough": self.enough}
