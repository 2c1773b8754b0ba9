"""The clip buffer of a camera: the clip that ends at its newest frame.

Clips are sampled by time, never by index, so that the motion in the clips of a camera that drops
frames has the speed that the model was trained for. No clip spans a discontinuity
(`discontinuities.py`).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.scoring.discontinuities import DiscontinuityDetector, Mark

Pixels = npt.NDArray[np.uint8]

_TOLERANCE = 0.25
"""Part of the interval: time stamps are rounded, and a frame that is 10 ms late still counts."""


@dataclass(frozen=True, slots=True, eq=False)
class _BufferedFrame:
    pts_seconds: float
    pixels: Pixels


class ClipBuffer:
    """Keeps as many frames of one connection as the next clip can reach back to."""

    def __init__(
        self, length: int, interval_seconds: float, detector: DiscontinuityDetector | None = None
    ) -> None:
        """Start empty.

        Args:
            length: Frames T of a clip.
            interval_seconds: Wanted time between the frames of a clip.
            detector: Finds where a frame does not continue the one before it, so that no clip
                spans the two; None: every frame does.

        Raises:
            ValueError: no frame in a clip, or an interval that is not positive.
        """
        if length < 1:
            raise ValueError(f"clip length: want >= 1 frame, got {length}")
        if interval_seconds <= 0:
            raise ValueError(f"clip interval: want > 0 s, got {interval_seconds}")
        self._length = length
        self._interval_seconds = interval_seconds
        self._past: deque[_BufferedFrame] = deque()
        self._detector = detector
        self._mark: Mark = "follows"
        self._ages: tuple[float, ...] = ()

    @property
    def ages(self) -> tuple[float, ...]:
        """By how many seconds each frame of the newest clip is older than its newest, oldest first.

        Cameras do not have the rate of the clips, and lose frames: a movement from one frame to the
        next gives a speed only with the time between them.
        """
        return self._ages

    @property
    def cut(self) -> bool:
        """Whether the newest frame, or the one before it, does not continue the frames before."""
        return self._mark in ("cut", "gap")

    @property
    def depth(self) -> int:
        """Number of frames in the buffer."""
        return len(self._past)

    @property
    def length(self) -> int:
        """Frames T of a clip."""
        return self._length

    @property
    def reach_seconds(self) -> float:
        """How far a clip reaches back from its newest frame."""
        return (self._length - 1) * self._interval_seconds

    @property
    def full(self) -> bool:
        """Whether the newest clip has no repeated frame and no possible discontinuity."""
        return bool(self._past) and self.past == self._length - 1 and self._mark != "doubtful"

    @property
    def past(self) -> int:
        """Number of frames of the newest clip, but for its newest, that are not repeated ones."""
        if not self._past:
            return 0
        earliest = self._past[0].pts_seconds
        return sum(earliest <= self._wanted(back) for back in range(1, self._length))

    def reset(self) -> None:
        """Remove all frames: another connection begins, with another time base."""
        self._past.clear()
        self._mark = "follows"
        if self._detector is not None:
            self._detector.connected()

    def push(self, pts_seconds: float, pixels: Pixels) -> Pixels:
        """Add the newest frame; the clip that ends at it.

        For k = T-1 … 0 the clip holds the newest frame that is at least k intervals old, give or
        take a quarter of an interval; where there is none, the earliest frame is repeated.

        Args:
            pts_seconds: Later than the frame before.
            pixels: uint8 (H, W, 3), of the size of the frame before; kept, must not be changed.

        Returns:
            uint8 (T, H, W, 3), oldest first.

        Raises:
            ValueError: the time is not later, or the size changed; the frame is not added.
        """
        if self._past:
            newest = self._past[-1]
            if pts_seconds <= newest.pts_seconds:
                raise ValueError(
                    f"frame at {pts_seconds:.6f} s: want one after {newest.pts_seconds:.6f} s"
                )
            if pixels.shape != newest.pixels.shape:
                raise ValueError(
                    f"frame at {pts_seconds:.6f} s: want pixels of shape {newest.pixels.shape} "
                    f"as before, got {pixels.shape}"
                )
        if self._detector is not None:
            self._mark = self._detector.see(pts_seconds, pixels)
            for _ in range(len(self._past) - (self._mark == "cut") if self.cut else 0):
                self._past.popleft()
        self._past.append(_BufferedFrame(pts_seconds, pixels))
        oldest_wanted = self._wanted(self._length - 1)
        while len(self._past) > 1 and self._past[1].pts_seconds <= oldest_wanted:
            self._past.popleft()
        return self._clip()

    def _wanted(self, intervals_back: int) -> float:
        return self._past[-1].pts_seconds - (intervals_back - _TOLERANCE) * self._interval_seconds

    def _clip(self) -> Pixels:
        chosen: list[_BufferedFrame] = []
        frames = iter(self._past)
        current, following = next(frames), next(frames, None)
        for intervals_back in range(self._length - 1, -1, -1):
            wanted = self._wanted(intervals_back)
            while following is not None and following.pts_seconds <= wanted:
                current, following = following, next(frames, None)
            chosen.append(current)
        newest = self._past[-1].pts_seconds
        self._ages = tuple(newest - frame.pts_seconds for frame in chosen)
        return np.stack([frame.pixels for frame in chosen])
