"""The first minute of a scene: what is kept of it, for a wider scene to be made of when it is over.

A few seconds of support show less of a place than a minute does: who comes along later is new to
the scene, and the threshold that lets all of that pass is blind. Pure: no model, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models import AdaptedScene
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from models.scene_model import Observation

STEP_SECONDS = 0.5
"""Stream time between two moments that are kept: 160 kB each, 19 MB a minute."""
LEAST_SECONDS = 20.0
"""A shorter minute shows little more than a support, and has too few moments to calibrate by."""
_MOST_MOMENTS = 240
"""Of a longer one every second moment is kept."""
_LONGEST_STEP_SECONDS = 1.0
_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole step by less


@dataclass(slots=True, eq=False)
class FirstMinute:
    """Moments of one scene since its adaptation, whatever they look like.

    What of them is normal is judged when the minute is over, by all of them (`widening`).
    """

    wanted_seconds: float
    """How long it is."""
    seconds: list[float] = field(default_factory=list)
    """When each moment was, rising, from 0; over gaps and connections time stands still."""
    moments: list[Observation] = field(default_factory=list)
    """What the network saw, a clip each, float16 on the CPU."""
    _step_seconds: float = STEP_SECONDS
    _now_seconds: float = 0.0
    _last_seconds: float | None = None

    @property
    def over(self) -> bool:
        """Whether all of it has gone by."""
        return self._now_seconds >= self.wanted_seconds - _ROUNDING_SECONDS

    @property
    def step_seconds(self) -> float:
        """Between two moments: half a second, longer for a slow camera or a long minute."""
        if len(self.seconds) < 2:
            return self._step_seconds
        return (self.seconds[-1] - self.seconds[0]) / (len(self.seconds) - 1)

    def interrupted(self) -> None:
        """What comes next has nothing to do with what was: another connection, or a held view."""
        self._last_seconds = None

    def see(self, pts_seconds: float, glimpse: Callable[[], Observation]) -> None:
        """Take the next frame.

        Args:
            pts_seconds: Its time in the stream.
            glimpse: Gives what the network saw; called if it is to be kept.
        """
        step = 0.0 if self._last_seconds is None else pts_seconds - self._last_seconds
        self._last_seconds = pts_seconds
        self._now_seconds += min(max(step, 0.0), _LONGEST_STEP_SECONDS)
        least = self._step_seconds - _ROUNDING_SECONDS
        if self.seconds and self._now_seconds - self.seconds[-1] < least:
            return
        self.seconds.append(self._now_seconds)
        self.moments.append(glimpse())
        if len(self.moments) > _MOST_MOMENTS:
            self.seconds, self.moments = self.seconds[::2], self.moments[::2]
            self._step_seconds = self.step_seconds


@dataclass(frozen=True, slots=True, eq=False)
class Widening:
    """What a wider scene is made of."""

    support: npt.NDArray[np.uint8]
    """Candidates of the first support, uint8 (c, T, H, W, 3); none for a kept scene."""
    support_seconds: tuple[float, ...]
    """When they were taken, rising."""
    minute: FirstMinute
    size_hw: tuple[int, int]
    """Of the clips, in pixels."""
    wanted: int
    """Number of support clips of the wider scene."""
    calibrator: CalibratorSettings


@dataclass(frozen=True, slots=True, eq=False)
class Widened:
    """A wider scene, with its calibration."""

    scene: AdaptedScene
    calibration: Calibration
    """Final."""
    seconds: tuple[float, ...]
    """Of the moments that it was calibrated by."""
    energies: tuple[float, ...]
    """Theirs, in this scene."""
    step_seconds: float
    """Between two of them, where none is left out."""
