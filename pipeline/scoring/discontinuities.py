"""Where the pictures of one connection do not follow each other: a cut, a jump, a gap. Pure.

A camera that shows a recording in a loop jumps at its seam, an encoder that lost data jumps, and so
does the exposure. What lies on both sides of a seam is not motion. So a seam is treated as the
beginning of another connection: no clip reaches over it.

From one picture to the next much more changes there than in any step of the second before, and
then no more: what moves goes on moving. So a picture is doubtful at first, and the one after it
says whether it was a seam. A movement that begins costs the score of one frame; a seam those of the
clips that would reach over it, and at most once in five seconds.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
_Grey = npt.NDArray[np.float32]
Mark = Literal["follows", "doubtful", "seam", "gap"]
"""A picture follows the one before; may not; the doubtful one before it began anew; it does itself,
after a time that nobody saw."""

_SIZE_HW, _AREAS_HW = (120, 160), (12, 16)
_CHANGED_LEVELS, _AREA_LEVELS = 12.0, 1.5
"""Differences in grey levels, above the noise of a camera in the dark and of a whole area."""
_LEAST_CHANGED, _LEAST_AREAS = 0.01, 0.6
"""Parts of the picture; below them nothing is a seam."""
_LEAST_RATIO = 2.0
"""To the largest change of the second before. Of 40 recordings of 33 real scenes, at 10 frames a
second, 21 jump so far where they begin again (in the others as much moves anyway, or the two ends
are alike); while they go on 14 of 10,179 pictures are taken for a seam, a light that is switched on
among them. With 1.5 it is 23 and 27, with 3 it is 13 and 7 (benchmarks/discontinuities.py)."""
_OVER_RATIO = 0.5
"""Of what a seam changes beyond the life before it so much at most is left in the step after it."""
_WINDOW_SECONDS = 1.0
_LEAST_STEPS = 3
_AGAIN_SECONDS = 5.0
_GAP_SECONDS, _GAP_RATIO = 1.0, 3.0
"""Time without a picture after which what comes does not follow; and of the step before it."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What changed from one picture to the next."""

    at_seconds: float
    changed: float
    """Part of the picture that changed at all."""
    areas: float
    """Part of its areas that became brighter or darker."""


class DiscontinuityDetector:
    """Finds the seams in the pictures of one camera."""

    def __init__(self) -> None:
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
        """Look at the next picture.

        Args:
            pts_seconds: Its time in the stream, later than the one before.
            pixels: uint8 (H, W, 3), RGB.

        Returns:
            How it follows the one before.
        """
        now, before = _small(pixels), self._last
        seconds, last = pts_seconds - self._last_seconds, self._last_step
        self._last, self._last_seconds, self._last_step = now, pts_seconds, seconds
        if before is None:
            self._last_step = 0.0
            return "follows"
        if last > 0 and seconds > max(_GAP_SECONDS, _GAP_RATIO * last):
            self._past.clear()
            self._doubtful = None
            return "gap"
        step = _Step(
            pts_seconds,
            float((np.abs(now - before) > _CHANGED_LEVELS).mean()),
            float((np.abs(_areas(now) - _areas(before)) > _AREA_LEVELS).mean()),
        )
        if self._doubtful is not None:
            doubtful, self._doubtful = self._doubtful, None
            self._past.append(step)
            if self._is_over(doubtful, step):
                self._rest_until = pts_seconds + _AGAIN_SECONDS
                return "seam"
            self._past.append(doubtful)
            return "follows"
        while self._past and self._past[0].at_seconds < pts_seconds - _WINDOW_SECONDS - seconds:
            self._past.popleft()
        if self._jumps(step):
            self._doubtful = step
            return "doubtful"
        self._past.append(step)
        return "follows"

    def _jumps(self, step: _Step) -> bool:
        if len(self._past) < _LEAST_STEPS or step.at_seconds < self._rest_until:
            return False
        self._calm = calm = _Step(
            step.at_seconds,
            max(one.changed for one in self._past),
            max(one.areas for one in self._past),
        )
        self._by_changed = step.changed >= max(_LEAST_CHANGED, _LEAST_RATIO * calm.changed)
        self._by_areas = step.areas >= max(_LEAST_AREAS, _LEAST_RATIO * calm.areas)
        return self._by_changed or self._by_areas

    def _is_over(self, doubtful: _Step, step: _Step) -> bool:
        """Whether what made a picture doubtful has stopped in the step after it."""
        calm = self._calm
        changed = step.changed - calm.changed > _OVER_RATIO * (doubtful.changed - calm.changed)
        areas = step.areas - calm.areas > _OVER_RATIO * (doubtful.areas - calm.areas)
        return not ((self._by_changed and changed) or (self._by_areas and areas))


def _small(pixels: Pixels) -> _Grey:
    height, width = _SIZE_HW
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)


def _areas(grey: _Grey) -> _Grey:
    return np.asarray(cv2.resize(grey, _AREAS_HW[::-1], interpolation=cv2.INTER_AREA), np.float32)
