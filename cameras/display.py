"""Convert decoded frames to RGB pixels as displayed: upright and with square pixels.

A stream may specify that its frames are rotated or mirrored (display matrix), and that its pixels
are not square (sample aspect ratio).
"""

import struct
import threading
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.video.reformatter import VideoReformatter

_MAX_ASPECT_RATIO = 4
"""A sample aspect ratio above it, or below its inverse, is ignored as invalid."""
_MIN_CHANGE = 0.01
"""Smaller relative differences need no resampling."""
_MATRIX = struct.Struct("=9i")
_UPRIGHT = False, 1, 1
_converters = threading.local()
"""Each thread keeps its converter: a frame's own one would be set up for every frame, with a thread
a core, and live as long as the frame."""


def shown_pixels(frame: av.VideoFrame, aspect: Fraction | None) -> npt.NDArray[np.uint8]:
    """Convert to uint8 (H, W, 3), RGB, contiguous; about 8 ms for a frame of 1080 lines.

    Args:
        frame: As decoded; may carry a display matrix.
        aspect: Width of a pixel divided by its height; None or 0: unknown, taken as 1.
    """
    height, width = _square_hw(frame, aspect)
    transposed, rows, columns = _rotation(frame)
    if not hasattr(_converters, "rgb"):
        _converters.rgb = VideoReformatter()
    converted = _converters.rgb.reformat(frame, width, height, format="rgb24", threads=1)
    pixels = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[::rows, ::columns])


def shown_hw(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Height and width of the result of `shown_pixels`."""
    height, width = _square_hw(frame, aspect)
    return (width, height) if _rotation(frame)[0] else (height, width)


def display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """The display matrix that `shown_pixels` applies to a frame; None: it is upright."""
    return None if _rotation(frame) == _UPRIGHT else _matrix(frame)


def _square_hw(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels; never smaller, so that no detail is lost."""
    height, width = frame.height, frame.width
    ratio = float(aspect or 1)
    if not 1 / _MAX_ASPECT_RATIO <= ratio <= _MAX_ASPECT_RATIO or abs(ratio - 1) < _MIN_CHANGE:
        return height, width
    return (height, round(width * ratio)) if ratio > 1 else (round(height / ratio), width)


def _rotation(frame: av.VideoFrame) -> tuple[bool, int, int]:
    """Whether rows become columns, then the steps (1 or -1) through the new rows and columns.

    The matrix maps a point (x, y) to (a·x + c·y, b·x + d·y). A rotation that is no multiple of 90°
    is ignored as damaged.
    """
    matrix = _matrix(frame)
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d, *_ = matrix
    if max(abs(b), abs(c)) < _MIN_CHANGE * min(abs(a), abs(d)):
        return False, -1 if d < 0 else 1, -1 if a < 0 else 1
    if max(abs(a), abs(d)) < _MIN_CHANGE * min(abs(b), abs(c)):
        return True, -1 if b < 0 else 1, -1 if c < 0 else 1
    return _UPRIGHT


def _matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer) or matrix.buffer_size < _MATRIX.size:
        return None
    return _MATRIX.unpack_from(memoryview(matrix))
