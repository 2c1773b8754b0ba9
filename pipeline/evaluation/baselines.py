"""Trivial detectors as baselines.

All are causal. On UCSD Ped2 time alone gives a frame AUROC of 74 %, and the strongest change
between two frames 92 %.
"""

import cv2
import numpy as np
import numpy.typing as npt

from models.baselines.baseline import INTERVAL_SECONDS
from models.baselines.difference import SIZE_HW, box_difference
from pipeline.scoring.clips import ClipBuffer

Pixels = npt.NDArray[np.uint8]


def constant(frame_count: int) -> npt.NDArray[np.float64]:
    """The same for every frame: the floor of every measure."""
    return np.zeros(frame_count)


def frame_index(frame_count: int) -> npt.NDArray[np.float64]:
    """Position in the clip: the part of a result that comes from anomalies late in clips."""
    return np.arange(frame_count, dtype=np.float64)


class FrameDifference:
    """Highest mean of |Iₜ − Iₜ₋₀.₁ₛ| over a box of 24 x 24 pixels, at 240 x 320, grey."""

    def __init__(self) -> None:
        self._past = ClipBuffer(length=2, interval_seconds=INTERVAL_SECONDS)

    def reset(self) -> None:
        """Start another clip."""
        self._past.reset()

    def push(self, pts_seconds: float, pixels: Pixels) -> float:
        """Take the next frame.

        Args:
            pts_seconds: Later than the frame before.
            pixels: uint8 (H, W, 3), RGB, of any size.

        Returns:
            In grey levels, 0 … 255; 0 for the first frame of a clip.
        """
        return float(self.push_for_map(pts_seconds, pixels).max())

    def push_for_map(self, pts_seconds: float, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Take the next frame, as `push`.

        Returns:
            The mean over the box around each pixel, (240, 320), in grey levels.
        """
        height, width = SIZE_HW
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        small = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA))
        earlier, newest = self._past.push(pts_seconds, small.astype(np.uint8))
        return box_difference(earlier, newest)
