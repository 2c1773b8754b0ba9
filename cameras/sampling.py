"""Rate, size and masks: what happens to a picture between its source and its frame."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Polygon = Sequence[tuple[float, float]]

_EARLY_RATIO = 0.3


class Sampler:
    """Thins the pictures of one connection out to a steady rate."""

    def __init__(self, frames_per_second: float) -> None:
        """Start with the next picture.

        Args:
            frames_per_second: Wanted rate, > 0; a slower stream passes whole.

        Raises:
            ValueError: the rate is not above 0.
        """
        if not frames_per_second > 0:
            raise ValueError(f"sampling rate: want > 0 frames per second, got {frames_per_second}")
        self._interval_seconds = 1.0 / frames_per_second
        self._due_seconds: float | None = None

    def accept(self, pts_seconds: float) -> bool:
        """Decide on the next picture.

        Pictures are due on a grid, so that the rate holds on average although 25 a second do not
        divide into 10. One may come 0.3 of an interval early: at equal rates, jitter must
        not cost every other picture.

        Args:
            pts_seconds: Stream time, strictly increasing.
        """
        interval = self._interval_seconds
        if self._due_seconds is None:
            self._due_seconds = pts_seconds
        if pts_seconds < self._due_seconds - _EARLY_RATIO * interval:
            return False
        self._due_seconds += interval
        if self._due_seconds <= pts_seconds:  # after a gap the grid starts anew
            self._due_seconds = pts_seconds + interval
        return True


def fit(pixels: Pixels, size_hw: tuple[int, int]) -> Pixels:
    """Resize to a fixed size, whatever the shape was; equal sizes pass unchanged.

    Args:
        pixels: uint8 (H, W, 3).
        size_hw: Wanted height and width.

    Returns:
        uint8 (h, w, 3): area means where it shrinks, linear interpolation where it grows.
    """
    height, width = size_hw
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = pixels.shape[0] > height or pixels.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.uint8)


def paint_masks(pixels: Pixels, polygons: Sequence[Polygon]) -> Pixels:
    """Paint areas black, so that nothing in them can be seen or scored.

    Args:
        pixels: uint8 (H, W, 3); left as it is.
        polygons: Corners (x, y), both 0 … 1 from the upper left corner of the picture.

    Returns:
        A painted copy; `pixels` itself where there are no polygons.
    """
    if not polygons:
        return pixels
    painted = pixels.copy()
    last_xy = np.array([pixels.shape[1] - 1, pixels.shape[0] - 1])
    corners = [np.rint(np.asarray(polygon) * last_xy).astype(np.int32) for polygon in polygons]
    for polygon in corners:  # one by one: together, overlapping polygons would cancel out
        cv2.fillPoly(painted, [polygon], (0, 0, 0))
    return painted
