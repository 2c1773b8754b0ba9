"""Where in the picture an anomaly is: from the map of a frame to a score for each zone.

The score of a zone is that of the frame, times how strong the anomaly is inside of the zone beside
how strong it is anywhere. So what is wholly in a zone has the score of the frame, read by the same
calibration; what is elsewhere leaves next to nothing; and of two things at once each has its own
strength. A strength is the mean excess of the strongest hundredth of the cells: an anomaly that is
only partly in a zone counts nearly whole, and a large zone is no more sensitive than a small one.

Pure; a reader remembers the moments that the score is smoothed over.
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
"""In units of the score. An excess so small says nothing about the place: what the map shows
nowhere counts in every zone, as it may be there."""
_MOST = 1e6
_FINE = 16  # steps a cell, in each direction
_LEAST_COVER = 0.5


class ZoneReader:
    """Gives the scores of one camera's zones, frame by frame."""

    def __init__(self, zones: Mapping[str, Polygon], smoothing_seconds: float) -> None:
        """Begin without a past.

        Args:
            zones: Corners by name.
            smoothing_seconds: Time constant of the average that the score is of; 0: none.
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
        """Scores of the zones in the next frame of the camera.

        Returns:
            By name, none above the frame's; empty without zones, or where the frame has no score.
        """
        if not self._zones or message.score is None or message.anomaly_map is None:
            self._strengths = None
            return {}
        whole, *inside = self._smooth(message, self._measure(message.anomaly_map))
        shares = ((strength + _FAINT) / (whole + _FAINT) for strength in inside)
        score = message.score
        # A share of what is below the median of normal would be nearer to it.
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
        """As the score is smoothed: else the share of a frame would be applied to another's."""
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
    """Cells of a map that lie in a polygon by half or more; the nearest to that, if none does.

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
    return np.asarray(cover >= min(_LEAST_COVER, cover.max()))


def strength(anomaly_map: AnomalyMap, cells: Cells | None = None) -> float:
    """How strong an anomaly is: mean excess over normal of the strongest hundredth of the cells.

    Args:
        anomaly_map: (h, w) in units of the score; what is not finite counts as 0, or as a million.
        cells: Those that count, (h, w); None: all. As many are averaged as of the whole map.

    Returns:
        At least 0, and of some cells never more than of all.
    """
    count = max(1, round(anomaly_map.size * _STRONGEST_SHARE))
    values = anomaly_map.ravel() if cells is None else anomaly_map[cells]
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=_MOST, neginf=0.0)
    excess = np.clip(finite, 0.0, _MOST)
    top = np.partition(excess, -count)[-count:] if excess.size > count else excess
    return float(top.sum()) / count
