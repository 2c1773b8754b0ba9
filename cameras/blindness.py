"""Does a camera whose pictures arrive still see anything? Pure: the clock is passed in.

Three ways of being blind are told apart. The picture is black, or all of one colour. Or it is
frozen: the encoder goes on, but the sensor or its driver hangs.

Frozen means the same bit by bit. A sensor has noise, so two pictures of a still scene that were
encoded independently of each other never are. Pictures between two key frames may well be: an
encoder that sees no motion says "as before", often for ten seconds and more. So key frames are
compared with key frames, and each picture of Motion JPEG is one; only a stream that shows none for
long is judged by its other pictures.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cameras.picture_statistics import Pixels
from cameras.sampling import Polygon, fit, paint_masks

Blindness = Literal["frozen", "black", "constant"]

_LOOK_SECONDS = 0.9
_LEAST_KEYFRAMES = 3
_WITHOUT_KEYFRAMES_RATIO = 30.0
_SMALL_HW = (120, 160)
_CELL = 10
_CELLS_HW = (_SMALL_HW[0] // _CELL, _SMALL_HW[1] // _CELL)
_BLANK_RATIO = 0.9
"""Part of the picture that must be blank: lines with date and name do not hide it."""
_BLANK_LEVELS = 3.0
"""Most difference from the median of all cells, and most deviation within one, in grey levels."""
_BLACK_BELOW = 24.0
_MOVED_LEVELS = 4.0
"""What no encoder adds to a picture that stays, in the mean of a cell."""


@dataclass(slots=True)
class _Unchanged:
    """A picture, and for how long there was no other one."""

    digest: bytes
    since: float
    cells: npt.NDArray[np.float32]
    count: int = 1


class BlindWatch:
    """Watches the pictures of one camera, one a second."""

    def __init__(self, after_seconds: float, masks: Sequence[Polygon] = ()) -> None:
        """Begin before the first picture.

        Args:
            after_seconds: For how long a picture must be blank or frozen; 0: nothing is watched.
            masks: Parts that are not looked at, such as a clock that goes on in a frozen picture.
        """
        self._after_seconds = after_seconds
        self._masks = masks
        self._counts = _unmasked_cells(masks)
        self._looked_at = self._key_looked_at = -float("inf")
        self._blank: tuple[Blindness, float] | None = None
        self._key: _Unchanged | None = None
        self._any: _Unchanged | None = None
        self._reason: Blindness | None = None

    @property
    def reason(self) -> Blindness | None:
        """Why the camera is blind; None: it sees something."""
        return self._reason

    def wants(self, now: float, keyframe: bool) -> bool:
        """Whether the next picture is to be looked at.

        Args:
            now: Monotonic seconds.
            keyframe: Whether it was encoded independently of all others.
        """
        last = self._key_looked_at if keyframe else self._looked_at
        return self._after_seconds > 0 and now - last >= _LOOK_SECONDS

    def look(self, now: float, pixels: Pixels, keyframe: bool) -> None:
        """Look at a picture.

        Args:
            now: Monotonic seconds.
            pixels: uint8 (H, W, 3), RGB, as it came.
            keyframe: Whether it was encoded independently of all others.
        """
        self._looked_at = now
        grey = cv2.cvtColor(fit(pixels, _SMALL_HW), cv2.COLOR_RGB2GRAY).astype(np.float32)
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
            self._key_looked_at = now
            self._key = _follow(self._key, digest, now, means)
        elif self._key is not None and np.abs(means - self._key.cells).max() > _MOVED_LEVELS:
            self._key = None
        self._any = _follow(self._any, digest, now, means)
        self._reason = self._decide(now)

    def _decide(self, now: float) -> Blindness | None:
        after = self._after_seconds
        if self._blank is not None and now - self._blank[1] >= after:
            return self._blank[0]
        key, last = self._key, self._any
        if key is not None and key.count >= _LEAST_KEYFRAMES and now - key.since >= after:
            return "frozen"
        long = last is not None and now - last.since >= _WITHOUT_KEYFRAMES_RATIO * after
        return "frozen" if long else None


def _follow(
    last: _Unchanged | None, digest: bytes, now: float, cells: npt.NDArray[np.float32]
) -> _Unchanged:
    if last is None or last.digest != digest:
        return _Unchanged(digest, now, cells)
    last.count += 1
    return last


def _blank(means: npt.NDArray[np.float32], spreads: npt.NDArray[np.float32]) -> Blindness | None:
    """Whether cells show nothing at all."""
    if not means.size:
        return None
    level = float(np.median(means))
    nothing = (np.abs(means - level) <= _BLANK_LEVELS) & (spreads <= _BLANK_LEVELS)
    if nothing.mean() < _BLANK_RATIO:
        return None
    return "black" if level < _BLACK_BELOW else "constant"


def _unmasked_cells(masks: Sequence[Polygon]) -> npt.NDArray[np.bool_]:
    white = np.full((*_SMALL_HW, 3), 255, np.uint8)
    shown = paint_masks(white, masks)[..., 0].reshape(_CELLS_HW[0], _CELL, _CELLS_HW[1], _CELL)
    return np.asarray(shown.min((1, 3)) > 0)
