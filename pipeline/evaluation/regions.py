"""Anomalous regions of masks, laid on the grid of the anomaly maps, and their tracks.

A region is a connected component of a mask. Where a data set has no tracks, as those here, a track
is a connected component of the mask as a volume: regions of consecutive frames that share a pixel
belong together. Two objects that touch are one region, and objects that meet are one track, so that
there are fewer tracks than objects.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.datasets.layout import Mask

Labels = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int32]

_CONNECTIVITY = 8  # pixels that touch at a corner belong together


@dataclass(frozen=True, slots=True, eq=False)
class FrameRegions:
    """The anomalous regions of one frame."""

    pixels: Counts
    """Number of pixels of each region in each cell of the anomaly map, (regions, h, w)."""
    tracks: tuple[int, ...]
    """Track of each region, counted from 0 in its clip."""
    cell_pixels: Counts
    """Number of mask pixels in each cell, (h, w); shared by the frames of a clip."""


def components(picture: npt.NDArray[np.bool_]) -> tuple[Labels, int]:
    """Label the connected components of a mask.

    Returns:
        (H, W) with 0 outside and 1 … n inside, and n.
    """
    count, labels = cv2.connectedComponents(
        picture.astype(np.uint8), connectivity=_CONNECTIVITY, ltype=cv2.CV_32S
    )
    return np.asarray(labels, dtype=np.int32), count - 1


def clip_regions(masks: Iterable[Mask], map_hw: tuple[int, int]) -> list[FrameRegions]:
    """Regions and tracks of a clip; one mask is in memory at a time.

    Args:
        masks: (H, W), one a frame, in order, of one size.
        map_hw: Size of the anomaly maps.
    """
    by_frame: list[Counts] = []
    firsts: list[int] = []
    links: list[tuple[int, int]] = []
    cells: npt.NDArray[np.int64] | None = None
    earlier: Labels | None = None
    first = total = 0
    for mask in masks:
        if cells is None:
            cells = cells_of(mask.shape, map_hw)
        labels, count = components(mask)
        if earlier is not None:
            links += [
                (first + before - 1, total + now - 1) for before, now in _sharing(earlier, labels)
            ]
        first, total = total, total + count
        firsts.append(first)
        by_frame.append(_pixels_in_cells(labels, count, cells, map_hw))
        earlier = labels
    if cells is None:
        return []
    cell_pixels = _pixels_in_cells(np.ones_like(cells, dtype=np.int32), 1, cells, map_hw)[0]
    tracks = _joined(total, links)
    return [
        FrameRegions(pixels, tuple(tracks[start : start + len(pixels)]), cell_pixels)
        for start, pixels in zip(firsts, by_frame, strict=True)
    ]


def cells_of(size_hw: tuple[int, ...], map_hw: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The cell of the map, row by row from 0, that each pixel of a mask lies in, (H, W)."""
    rows, columns = (
        np.arange(pixels) * cells // pixels for pixels, cells in zip(size_hw, map_hw, strict=True)
    )
    return np.asarray(rows[:, None] * map_hw[1] + columns[None, :], dtype=np.int64)


def _pixels_in_cells(
    labels: Labels, count: int, cells: npt.NDArray[np.int64], map_hw: tuple[int, int]
) -> Counts:
    """Number of pixels of each region in each cell, (regions, h, w)."""
    size = map_hw[0] * map_hw[1]
    inside = labels > 0
    places = (labels[inside] - 1) * size + cells[inside]
    return np.bincount(places, minlength=count * size).astype(np.int32).reshape(count, *map_hw)


def _sharing(earlier: Labels, later: Labels) -> list[tuple[int, int]]:
    """Pairs of regions of two frames that have a pixel in common."""
    both = (earlier > 0) & (later > 0)
    pairs = set(zip(earlier[both].tolist(), later[both].tolist(), strict=True))
    return sorted(pairs)


def _joined(count: int, links: list[tuple[int, int]]) -> list[int]:
    """Connected component of each of `count` regions under the links."""
    if not count:
        return []
    ends = np.array(links, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return [int(group) for group in connected_components(graph, directed=False)[1]]
