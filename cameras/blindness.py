"""Detect cameras whose frames arrive but show nothing. Pure: the clock is passed in.

Three cases are distinguished. The frames are black, or of one constant colour. Or they are frozen:
the encoder continues, but the sensor or its driver hangs.

Frozen means identical bit by bit. A sensor has noise, so two frames of a still scene that were
encoded independently always differ. Frames between two key frames may be identical: without motion
an encoder repeats the previous frame, often for ten seconds and more. So key frames are compared
with key frames, and each frame of Motion JPEG is one; only a stream without key frames for long is
judged by its other frames.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cameras.picture_statistics import Pixels
from cameras.sampling import Polygon, paint_masks, resize

Blindness = Literal["frozen", "black", "constant"]

_INTERVAL_SECONDS = 0.9
_MIN_KEYFRAMES = 3
_WITHOUT_KEYFRAMES_RATIO = 30.0
_SMALL_HW = (120, 160)
_CELL = 10
_CELLS_HW = (_SMALL_HW[0] // _CELL, _SMALL_HW[1] // _CELL)
_BLANK_RATIO = 0.9
"""Part of the frame that must be blank, so that an overlay of date and name is tolerated."""
_BLANK_LEVELS = 3.0
"""Largest difference from the median of all cells, and largest deviation within one, in levels."""
_BLACK_BELOW = 24.0
_MOVED_LEVELS = 4.0
"""Change of the mean of a cell, in grey levels, that no encoder causes in a still frame."""


@dataclass(slots=True)
class _Unchanged:
    """The latest distinct frame, and since when it has been repeated."""

    digest: bytes
    since: float
    cells: npt.NDArray[np.float32]
    count: int = 1


class BlindnessDetector:
    """Checks one frame a second of one camera."""

    def __init__(self, after_seconds: float, masks: Sequence[Polygon] = ()) -> None:
        """Start before the first frame.

        Args:
            after_seconds: For how long frames must be blank or frozen; 0: off.
            masks: Ignored areas, such as a clock that continues in a frozen frame.
        """
        self._after_seconds = after_seconds
        self._masks = masks
        self._counts = _unmasked_cells(masks)
        self._checked_at = self._key_checked_at = -float("inf")
        self._blank: tuple[Blindness, float] | None = None
        self._key: _Unchanged | None = None
        self._any: _Unchanged | None = None
        self._reason: Blindness | None = None

    @property
    def reason(self) -> Blindness | None:
        """Why the frames show nothing; None: they have visible content."""
        return self._reason

    def is_due(self, now: float, keyframe: bool) -> bool:
        """Whether to check the next frame.

        Args:
            now: Monotonic seconds.
            keyframe: Whether it was encoded independently of all others.
        """
        last = self._key_checked_at if keyframe else self._checked_at
        return self._after_seconds > 0 and now - last >= _INTERVAL_SECONDS

    def update(self, now: float, pixels: Pixels, keyframe: bool) -> None:
        """Check a frame.

        Args:
            now: Monotonic seconds.
            pixels: uint8 (H, W, 3), RGB, as decoded.
            keyframe: Whether it was encoded independently of all others.
        """
        self._checked_at = now
        grey = cv2.cvtColor(resize(pixels, _SMALL_HW), cv2.COLOR_RGB2GRAY).astype(np.float32)
        cells = grey.reshape(_CELLS_HW[0], _CELL, _CELLS_HW[1], _CELL)
        means = np.asarray(cells.mean((1, 3)), np.float32)
        blank = _blank(means[self._counts], cells.std((1, 3))[self._counts])
        if blank is None:
            self._blank = None
        elif self._blank is None or self._blank[0] != blank:
            self._blank = blank, now
        masked = np.ascontiguousarray(paint_masks(pixels, self._masks))
        digest = hashlib.blake2b(masked.data, digest_size=16).digest()
        if keyframe:
            self._key_checked_at = now
            self._key = _tracked(self._key, digest, now, means)
        elif self._key is not None and np.abs(means - self._key.cells).max() > _MOVED_LEVELS:
            self._key = None
        self._any = _tracked(self._any, digest, now, means)
        self._reason = self._decide(now)

    def _decide(self, now: float) -> Blindness | None:
        after = self._after_seconds
        if self._blank is not None and now - self._blank[1] >= after:
            return self._blank[0]
        key, last = self._key, self._any
        if key is not None and key.count >= _MIN_KEYFRAMES and now - key.since >= after:
            return "frozen"
        long = last is not None and now - last.since >= _WITHOUT_KEYFRAMES_RATIO * after
        return "frozen" if long else None


def _tracked(
    last: _Unchanged | None, digest: bytes, now: float, cells: npt.NDArray[np.float32]
) -> _Unchanged:
    if last is None or last.digest != digest:
        return _Unchanged(digest, now, cells)
    last.count += 1
    return last


def _blank(means: npt.NDArray[np.float32], spreads: npt.NDArray[np.float32]) -> Blindness | None:
    """Classify cells without content; None: there is content."""
    if not means.size:
        return None
    level = float(np.median(means))
    empty = (np.abs(means - level) <= _BLANK_LEVELS) & (spreads <= _BLANK_LEVELS)
    if empty.mean() < _BLANK_RATIO:
        return None
    return "black" if level < _BLACK_BELOW else "constant"


def _unmasked_cells(masks: Sequence[Polygon]) -> npt.NDArray[np.bool_]:
    white = np.full((*_SMALL_HW, 3), 255, np.uint8)
    shown = paint_masks(white, masks)[..., 0].reshape(_CELLS_HW[0], _CELL, _CELLS_HW[1], _CELL)
    return np.asarray(shown.min((1, 3)) > 0)
