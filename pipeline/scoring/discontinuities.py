"""Finds where the frames of one connection do not continue each other: a cut, a jump, a gap. Pure.

A camera that shows a recording in a loop cuts at the end of the recording, an encoder that lost
data jumps, and so does the exposure. What differs across such a discontinuity is not motion: it is
treated as the beginning of another connection, and no clip spans it.

A cut changes much more than any step of the second before it, and then the change is over, while a
moving object goes on moving. So a frame is doubtful at first, and the frame after it decides. The
start of a movement costs the score of one frame; a cut costs the scores of the clips that would
span it, at most once in five seconds.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
_Grey = npt.NDArray[np.float32]
Mark = Literal["follows", "doubtful", "cut", "gap"]
"""How a frame follows the one before it: it continues it; it may not; the frame before it, which
was doubtful, did not; it does not itself, after a time without a frame."""

_SIZE_HW, _AREAS_HW = (120, 160), (12, 16)


@dataclass(frozen=True, slots=True)
class DiscontinuityThresholds:
    """When a frame does not continue the one before it."""

    changed_levels: float = 12.0
    """Difference of a pixel in grey levels, above the noise of a camera in the dark."""
    area_levels: float = 1.5
    """Difference of the mean of an area in grey levels, above its noise."""
    least_changed: float = 0.01
    """Least part of the pixels that a cut changes."""
    least_areas: float = 0.6
    """Least part of the areas that a cut changes."""
    least_ratio: float = 2.0
    """Least ratio to the largest change of the second before. Of 40 recordings of 33 real scenes,
    at 10 frames a second, 21 jump so far where they are looped (in the others as much moves anyway,
    or the two ends are alike); elsewhere 14 of 10,179 frames are taken for a cut, a light that is
    switched on among them. With 1.5 it is 23 and 27, with 3 it is 13 and 7
    (benchmarks/discontinuities.py)."""
    over_ratio: float = 0.5
    """Most that is left in the step after a cut, as part of what the cut changes beyond the second
    before."""
    window_seconds: float = 1.0
    """How far back changes are compared."""
    least_steps: int = 3
    """With fewer steps in this time no frame is doubtful."""
    again_seconds: float = 5.0
    """Time after a cut in which no frame is doubtful."""
    gap_seconds: float = 1.0
    """Time without a frame after which the next one does not continue the last."""
    gap_ratio: float = 3.0
    """And least ratio to the time between the two frames before."""


THRESHOLDS = DiscontinuityThresholds()


@dataclass(frozen=True, slots=True)
class _Step:
    """The change from one frame to the next."""

    at_seconds: float
    changed: float
    """Part of the pixels that changed."""
    areas: float
    """Part of the areas that became brighter or darker."""


class DiscontinuityDetector:
    """Finds the discontinuities in the frames of one camera."""

    def __init__(self, thresholds: DiscontinuityThresholds = THRESHOLDS) -> None:
        """Start before the first frame."""
        self._thresholds = thresholds
        self._last: _Grey | None = None
        self._last_seconds = self._last_step = 0.0
        self._past: deque[_Step] = deque()
        self._doubtful: _Step | None = None
        self._calm = _Step(0.0, 0.0, 0.0)
        self._by_changed = self._by_areas = False
        self._rest_until = -float("inf")

    def connected(self) -> None:
        """Another connection begins."""
        self._last = self._doubtful = None
        self._rest_until = -float("inf")
        self._past.clear()

    def see(self, pts_seconds: float, pixels: Pixels) -> Mark:
        """How the next frame follows the one before it.

        Args:
            pts_seconds: Its time in the stream, later than that of the frame before.
            pixels: uint8 (H, W, 3), RGB.
        """
        now, before, limits = _small(pixels), self._last, self._thresholds
        seconds, last = pts_seconds - self._last_seconds, self._last_step
        self._last, self._last_seconds, self._last_step = now, pts_seconds, seconds
        if before is None:
            self._last_step = 0.0
            return "follows"
        if last > 0 and seconds > max(limits.gap_seconds, limits.gap_ratio * last):
            self._past.clear()
            self._doubtful = None
            return "gap"
        step = _Step(
            pts_seconds,
            float((np.abs(now - before) > limits.changed_levels).mean()),
            float((np.abs(_areas(now) - _areas(before)) > limits.area_levels).mean()),
        )
        if self._doubtful is not None:
            doubtful, self._doubtful = self._doubtful, None
            self._past.append(step)
            if self._is_over(doubtful, step):
                self._rest_until = pts_seconds + limits.again_seconds
                return "cut"
            self._past.append(doubtful)
            return "follows"
        while (
            self._past and self._past[0].at_seconds < pts_seconds - limits.window_seconds - seconds
        ):
            self._past.popleft()
        if self._jumps(step):
            self._doubtful = step
            return "doubtful"
        self._past.append(step)
        return "follows"

    def _jumps(self, step: _Step) -> bool:
        limits = self._thresholds
        if len(self._past) < limits.least_steps or step.at_seconds < self._rest_until:
            return False
        self._calm = calm = _Step(
            step.at_seconds,
            max(one.changed for one in self._past),
            max(one.areas for one in self._past),
        )
        self._by_changed = step.changed >= max(
            limits.least_changed, limits.least_ratio * calm.changed
        )
        self._by_areas = step.areas >= max(limits.least_areas, limits.least_ratio * calm.areas)
        return self._by_changed or self._by_areas

    def _is_over(self, doubtful: _Step, step: _Step) -> bool:
        """Whether the change that made a frame doubtful is over in the step after it."""
        calm, over = self._calm, self._thresholds.over_ratio
        changed = step.changed - calm.changed > over * (doubtful.changed - calm.changed)
        areas = step.areas - calm.areas > over * (doubtful.areas - calm.areas)
        return not ((self._by_changed and changed) or (self._by_areas and areas))


def _small(pixels: Pixels) -> _Grey:
    height, width = _SIZE_HW
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)


def _areas(grey: _Grey) -> _Grey:
    return np.asarray(cv2.resize(grey, _AREAS_HW[::-1], interpolation=cv2.INTER_AREA), np.float32)
