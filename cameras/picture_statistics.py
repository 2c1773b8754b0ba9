"""Small numbers about a whole picture, from which one sees that its camera was moved or covered.

Of what happens in the scene they know nothing: a few grey levels of a few hundred areas, and how
strong the edges are in each. That is little to compute, to compare and to keep.
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
"""Least standard deviation of the edges in a block that is known by them, in grey levels."""
_VISIBLE = 0.2
"""Least such deviation above the noise of a camera: a tenth of the light is enough for it."""
_VISIBLE_RATIO = 0.03
_ALIKE = 0.6
"""Correlation from which two blocks show the same. Street scenes moved sideways by a fifth keep at
most a quarter of their blocks, with half of the picture hidden four tenths are left."""
_OUT_OF_FOCUS_CELLS = 1.5
"""Spread of a blur of some 6 pixels in 320, in cells of the map of edges."""
_LEAST_BLOCKS = 12
"""With fewer blocks that are known by their edges, what moves would count more than what stays."""
_STRONG_QUANTILE = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class PictureStatistics:
    """One picture as a whole."""

    luma: Floats
    """Grey levels of 12×16 areas, 0..255."""
    chroma: Floats
    """Distance of the colours from grey in the same areas, 0..255; 0 for a camera in infrared."""
    contrast: float
    """Standard deviation of the grey levels, 0..128."""
    sharpness: float
    """Strength of the strongest edges, relative to the contrast; light does not change it."""
    edges: Floats
    """Mean strength of the edges in 60×80 cells, in grey levels a pixel."""


@dataclass(frozen=True, slots=True)
class ViewSimilarity:
    """How far two pictures show the same view."""

    same: float
    """Part 0..1 of the areas with something to see in both, that show the same in both."""
    seen: float
    """Part 0..1 of the areas with something to see in the first, that show anything in both."""
    known: bool
    """False: there is too little to see in the first, and nothing can be said."""


def measure(pixels: Pixels) -> PictureStatistics:
    """Look at a picture as a whole.

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


def likeness(edges: Floats, other: Floats) -> ViewSimilarity:
    """Compare two views by where their edges are; light and shade change little about that.

    Args:
        edges: Of the view that is known, as `PictureStatistics.edges`; may be a mean of several.
        other: Of the picture.
    """
    known, seen = _blocks(edges), _blocks(other)
    known_size, seen_size = known.std(-1), seen.std(-1)
    textured = known_size > _TEXTURED
    visible = textured & (seen_size > np.maximum(_VISIBLE_RATIO * known_size, _VISIBLE))
    centred = known - known.mean(-1, keepdims=True), seen - seen.mean(-1, keepdims=True)
    product = (centred[0] * centred[1]).mean(-1)
    alike = visible & (product > _ALIKE * known_size * seen_size)
    return ViewSimilarity(
        same=float(alike.sum() / max(1, visible.sum())),
        seen=float(visible.sum() / max(1, textured.sum())),
        known=bool(textured.sum() >= _LEAST_BLOCKS),
    )


def out_of_focus(edges: Floats) -> Floats:
    """About where the edges of a view are when it is out of focus.

    Args:
        edges: As `PictureStatistics.edges`; may be a mean of several.
    """
    return np.asarray(cv2.GaussianBlur(edges, (0, 0), _OUT_OF_FOCUS_CELLS), np.float32)


def median_step(values: Floats, others: Floats) -> float:
    """How much the picture as a whole has changed, as in `PictureStatistics.luma` or `.chroma`.

    The median over all areas: what covers less than half of them changes nothing.
    """
    return float(np.median(others - values))


def _softened(grey: Floats) -> Floats:
    """Without most of the noise, which has edges too."""
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
