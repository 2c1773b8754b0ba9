"""Statistics of a whole frame that show whether its camera was moved or covered.

They are independent of what happens in the scene: grey levels and edge strengths of a few hundred
areas. They are cheap to compute, to compare and to store.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BLOCKS_HW = (6, 8)
"""Areas that are compared one by one."""
_CELLS = 10
"""Cells of a block on each side, in the map of edges."""
_HALF_HW = (120, 160)
EDGES_HW = (BLOCKS_HW[0] * _CELLS, BLOCKS_HW[1] * _CELLS)
"""Cells of the map of edges."""
AREAS_HW = (12, 16)
"""Areas of the maps of luma and chroma."""
_TEXTURED = 0.5
"""Least standard deviation of the edges in a textured block, in grey levels."""
_VISIBLE = 0.2
"""Least such deviation above camera noise: still reached at a tenth of the light."""
_VISIBLE_RATIO = 0.03
_SAME_CORRELATION = 0.6
"""Correlation above which two blocks show the same. Street scenes shifted sideways by a fifth keep
at most a quarter of their blocks; with half of the frame hidden four tenths remain."""
_DEFOCUS_CELLS = 1.5
"""Spread of a blur of some 6 pixels in 320, in cells of the map of edges."""
_MIN_BLOCKS = 12
"""With fewer textured blocks, moving objects would outweigh the static scene."""
_STRONG_QUANTILE = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class PictureStatistics:
    """Statistics of one frame."""

    luma: Floats
    """Grey levels of 12×16 areas, 0..255."""
    chroma: Floats
    """Distance of the colours from grey in the same areas, 0..255; 0 for a camera in infrared."""
    contrast: float
    """Standard deviation of the grey levels, 0..128."""
    sharpness: float
    """Strength of the strongest edges, relative to the contrast; independent of the light."""
    edges: Floats
    """Mean strength of the edges in 60×80 cells, in grey levels a pixel."""


@dataclass(frozen=True, slots=True)
class ViewSimilarity:
    """Similarity of the views of two frames."""

    same: float
    """Part 0..1 of the blocks visible in both frames that match."""
    visible: float
    """Part 0..1 of the textured blocks of the first frame that are visible in both."""
    reliable: bool
    """False: the first frame has too few textured blocks for a comparison."""


def measure(pixels: Pixels) -> PictureStatistics:
    """Compute the statistics of a frame.

    Args:
        pixels: uint8 (H, W, 3), RGB, of any size.
    """
    height, width = _HALF_HW
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(grey.std())
    strength = _edge_strength(grey)
    strong = float(np.quantile(strength, _STRONG_QUANTILE))
    return PictureStatistics(
        luma=_shrunk(grey, AREAS_HW),
        chroma=_shrunk(np.abs(small - grey[..., None]).mean(-1), AREAS_HW),
        contrast=contrast,
        sharpness=strong / max(contrast, 1.0),
        edges=_shrunk(_edge_strength(_softened(grey)), EDGES_HW),
    )


def view_similarity(edges: Floats, other: Floats) -> ViewSimilarity:
    """Compare two views by the positions of their edges, which depend little on the light.

    Args:
        edges: Of the reference view, as `PictureStatistics.edges`; may be a mean of several.
        other: Of the frame.
    """
    reference, current = _blocks(edges), _blocks(other)
    reference_std, current_std = reference.std(-1), current.std(-1)
    textured = reference_std > _TEXTURED
    visible = textured & (current_std > np.maximum(_VISIBLE_RATIO * reference_std, _VISIBLE))
    centred = (
        reference - reference.mean(-1, keepdims=True),
        current - current.mean(-1, keepdims=True),
    )
    covariance = (centred[0] * centred[1]).mean(-1)
    same = visible & (covariance > _SAME_CORRELATION * reference_std * current_std)
    return ViewSimilarity(
        same=float(same.sum() / max(1, visible.sum())),
        visible=float(visible.sum() / max(1, textured.sum())),
        reliable=bool(textured.sum() >= _MIN_BLOCKS),
    )


def out_of_focus(edges: Floats) -> Floats:
    """Approximate the edges of a view when it is out of focus.

    Args:
        edges: As `PictureStatistics.edges`; may be a mean of several.
    """
    return np.asarray(cv2.GaussianBlur(edges, (0, 0), _DEFOCUS_CELLS), np.float32)


def median_step(values: Floats, others: Floats) -> float:
    """Return the change of the whole frame in `PictureStatistics.luma` or `.chroma`.

    The median over all areas: a change of less than half of them has no effect.
    """
    return float(np.median(others - values))


def _softened(grey: Floats) -> Floats:
    """Smooth away most of the noise, which has edges too."""
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)


def _edge_strength(grey: Floats) -> Floats:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125)
    along = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, along), np.float32)


def _shrunk(values: Floats, size_hw: tuple[int, int]) -> Floats:
    shrunk = cv2.resize(values, size_hw[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)


def _blocks(edges: Floats) -> Floats:
    rows, columns = BLOCKS_HW
    split = edges.reshape(rows, _CELLS, columns, _CELLS).transpose(0, 2, 1, 3)
    return split.reshape(rows * columns, _CELLS * _CELLS)
