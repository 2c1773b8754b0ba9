"""Locate an anomaly in the frame: from the anomaly map of a frame to a score for each zone.

The score of a zone is the score of the frame, times the strength of the anomaly inside the zone
relative to its strength in the whole frame. So an anomaly that is completely in a zone has the
score of the frame, by the same calibration; an anomaly elsewhere leaves nearly nothing; and of two
anomalies at the same time each has its own strength. A strength is the mean excess of the
strongest hundredth of the cells: an anomaly that is only partly in a zone counts nearly in full,
and a large zone is no more sensitive than a small one.

No I/O; a reader stores the smoothed strengths from frame to frame.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.config import Camera
from pipeline.events.drawing import Polygon
from pipeline.transport.messages import ScoreMessage

AnomalyMap = npt.NDArray[np.float32]
Cells = npt.NDArray[np.bool_]

_STRONGEST_SHARE = 0.01
_FAINT = 0.05
"""In units of the score. An excess this small does not locate the anomaly: what the map does not
show anywhere counts in every zone, as it may be in any of them."""
_MAX_VALUE = 1e6
_FINE = 16  # steps per cell, in each direction
_MIN_COVER = 0.5


class ZoneReader:
    """Computes the scores of one camera's zones, frame by frame."""

    def __init__(self, zones: Mapping[str, Polygon], smoothing_seconds: float) -> None:
        """Start without history.

        Args:
            zones: Corners by name.
            smoothing_seconds: Time constant of the exponential smoothing of the score; 0: none.
        """
        self._zones = zones
        self._smoothing_seconds = smoothing_seconds
        self._cells: list[Cells] = []
        self._strengths: npt.NDArray[np.float64] | None = None
        self._last: tuple[int, float] | None = None

    @classmethod
    def of(cls, camera: Camera) -> Self:
        """The reader for a camera's configuration."""
        zones = {name: zone.points for name, zone in camera.zones.items()}
        return cls(zones, camera.alert.smoothing)

    @property
    def polygons(self) -> Sequence[Polygon]:
        """Corners of all zones."""
        return tuple(self._zones.values())

    def read(self, message: ScoreMessage) -> dict[str, float]:
        """Compute the scores of the zones in the next frame of the camera.

        Returns:
            By name, none above the frame's; empty without zones, or if the frame has no score.
        """
        if not self._zones or message.score is None or message.anomaly_map is None:
            self._strengths = None
            return {}
        whole, *inside = self._smooth(message, self._measure(message.anomaly_map))
        shares = ((strength + _FAINT) / (whole + _FAINT) for strength in inside)
        score = message.score
        # A negative score is not scaled: a share of it would be nearer to 0.
        return {
            name: score * share if score > 0 else score
            for name, share in zip(self._zones, shares, strict=True)
        }

    def _measure(self, anomaly_map: AnomalyMap) -> npt.NDArray[np.float64]:
        size_hw = (anomaly_map.shape[0], anomaly_map.shape[1])
        if not self._cells or self._cells[0].shape != size_hw:
            self._cells = [cells_inside(polygon, size_hw) for polygon in self._zones.values()]
        return np.array([strength(anomaly_map, cells) for cells in (None, *self._cells)])

    def _smooth(
        self, message: ScoreMessage, strengths: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Smooth as the score is smoothed, so that share and score belong to the same frames."""
        before, last = self._strengths, self._last
        self._last = (message.connection, message.pts_seconds)
        if before is not None and last is not None and last[0] == message.connection:
            step = max(0.0, message.pts_seconds - last[1])
            constant = self._smoothing_seconds
            weight = 1.0 - math.exp(-step / constant) if constant > 0 else 1.0
            strengths = before + weight * (strengths - before)
        self._strengths = strengths
        return strengths


def cells_inside(polygon: Polygon, size_hw: tuple[int, int]) -> Cells:
    """Cells of a map of which half or more lies in a polygon; else the cells with most of it.

    Args:
        polygon: Corners (x, y), 0 … 1.
        size_hw: Of the map (h, w).

    Returns:
        (h, w), at least one of them true.
    """
    height, width = size_hw
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    corners = np.rint(np.asarray(polygon) * (fine.shape[1] - 1, fine.shape[0] - 1))
    cv2.fillPoly(fine, [corners.astype(np.int32)], 1)
    cover = fine.reshape(height, _FINE, width, _FINE).mean((1, 3))
    return np.asarray(cover >= min(_MIN_COVER, cover.max()))


def strength(anomaly_map: AnomalyMap, cells: Cells | None = None) -> float:
    """Strength of an anomaly: mean excess over normal of the strongest hundredth of the cells.

    Args:
        anomaly_map: (h, w) in units of the score; NaN and -inf count as 0, +inf as a million.
        cells: Cells that count, (h, w); None: all. The number of averaged cells is always a
            hundredth of the whole map.

    Returns:
        At least 0; for some cells never more than for all.
    """
    count = max(1, round(anomaly_map.size * _STRONGEST_SHARE))
    values = anomaly_map.ravel() if cells is None else anomaly_map[cells]
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=_MAX_VALUE, neginf=0.0)
    excess = np.clip(finite, 0.0, _MAX_VALUE)
    top = np.partition(excess, -count)[-count:] if excess.size > count else excess
    return float(top.sum()) / count
