"""Sampling rate, size and masks: the steps between a decoded frame and a camera's `Frame`."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Polygon = Sequence[tuple[float, float]]

_EARLY_RATIO = 0.3


class Sampler:
    """Reduces the frames of one connection to a steady rate."""

    def __init__(self, frames_per_second: float) -> None:
        """Start with the next frame.

        Args:
            frames_per_second: Wanted rate, > 0; every frame of a slower stream is accepted.

        Raises:
            ValueError: the rate is not above 0.
        """
        if not frames_per_second > 0:
            raise ValueError(f"sampling rate: want > 0 frames per second, got {frames_per_second}")
        self._interval_seconds = 1.0 / frames_per_second
        self._due_seconds: float | None = None

    def accept(self, pts_seconds: float) -> bool:
        """Decide whether to accept the next frame.

        Frames are due on a fixed grid, so that the average rate is exact although 25 a second are
        not a multiple of 10. A frame may arrive 0.3 of an interval early: at equal rates, jitter
        must not drop every other frame.

        Args:
            pts_seconds: Stream time, strictly increasing.
        """
        interval = self._interval_seconds
        if self._due_seconds is None:
            self._due_seconds = pts_seconds
        if pts_seconds < self._due_seconds - _EARLY_RATIO * interval:
            return False
        self._due_seconds += interval
        if self._due_seconds <= pts_seconds:  # after a gap the grid restarts
            self._due_seconds = pts_seconds + interval
        return True


def resize(pixels: Pixels, size_hw: tuple[int, int], for_display: bool = False) -> Pixels:
    """Resize to a fixed size without keeping the aspect ratio; equal sizes pass unchanged.

    Args:
        pixels: uint8 (H, W, 3).
        size_hw: Wanted height and width.
        for_display: Use area means only where they look better, for a reduction of the height by
            half or more: they take five times as long.

    Returns:
        uint8 (h, w, 3): area means for reduction, else linear interpolation.
    """
    height, width = size_hw
    if pixels.shape[:2] == (height, width):
        return pixels
    if for_display:
        area = 2 * height <= pixels.shape[0]
    else:
        area = pixels.shape[0] > height or pixels.shape[1] > width
    interpolation = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(pixels, (width, height), interpolation=interpolation), dtype=np.uint8
    )


def paint_masks(pixels: Pixels, polygons: Sequence[Polygon]) -> Pixels:
    """Paint areas black, so that their content is neither shown nor scored.

    Args:
        pixels: uint8 (H, W, 3); not modified.
        polygons: Corners (x, y), both 0 … 1 from the upper left corner of the frame.

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
