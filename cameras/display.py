"""From the decoder's own format to pixels as they are to be shown: upright, and of the right shape.

A stream may say that its pictures are to be turned or mirrored (display matrix), and that its
pixels are not square (sample aspect ratio).
"""

import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer

_MOST_STRETCHED = 4
"""A sample aspect ratio beyond it, or beyond its inverse, is a mistake."""
_LEAST_CHANGE = 0.01
"""Shapes that differ by less are not worth a resampling."""
_MATRIX = struct.Struct("=9i")
_UPRIGHT = False, 1, 1


def shown_pixels(frame: av.VideoFrame, aspect: Fraction | None) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB, contiguous; about 8 ms for a picture of 1080 lines.

    Args:
        frame: As decoded; may carry a display matrix.
        aspect: Width of a pixel divided by its height; None or 0: not known, so 1.
    """
    height, width = _square_hw(frame, aspect)
    transposed, rows, columns = _turn(frame)
    if (height, width) != (frame.height, frame.width):
        frame = frame.reformat(width, height, format="rgb24")
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[::rows, ::columns])


def shown_hw(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Height and width that `shown_pixels` gives."""
    height, width = _square_hw(frame, aspect)
    return (width, height) if _turn(frame)[0] else (height, width)


def display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """The display matrix by which `shown_pixels` turns a picture; None: it is upright."""
    return None if _turn(frame) == _UPRIGHT else _matrix(frame)


def _square_hw(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels; only ever larger, so that nothing is lost."""
    height, width = frame.height, frame.width
    ratio = float(aspect or 1)
    if not 1 / _MOST_STRETCHED <= ratio <= _MOST_STRETCHED or abs(ratio - 1) < _LEAST_CHANGE:
        return height, width
    return (height, round(width * ratio)) if ratio > 1 else (round(height / ratio), width)


def _turn(frame: av.VideoFrame) -> tuple[bool, int, int]:
    """Whether rows become columns, then the steps (1 or -1) through new rows and columns.

    The matrix takes a point (x, y) to (a·x + c·y, b·x + d·y). One that is no turn by quarters comes
    of damage.
    """
    matrix = _matrix(frame)
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d, *_ = matrix
    if max(abs(b), abs(c)) < _LEAST_CHANGE * min(abs(a), abs(d)):
        return False, -1 if d < 0 else 1, -1 if a < 0 else 1
    if max(abs(a), abs(d)) < _LEAST_CHANGE * min(abs(b), abs(c)):
        return True, -1 if b < 0 else 1, -1 if c < 0 else 1
    return _UPRIGHT


def _matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer) or matrix.buffer_size < _MATRIX.size:
        return None
    return _MATRIX.unpack_from(memoryview(matrix))
