"""Position of the synthetic camera, and its projection.

World coordinates are metres: x to the right, y away from the camera, z up; the camera stands above
the origin.
"""

from dataclasses import dataclass
from functools import cached_property
from math import atan, cos, sin, tan
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Viewpoint:
    """A pinhole camera without roll."""

    size_hw: tuple[int, int]
    height: float
    """Metres above the ground."""
    yaw: float
    """Radians to the right of the y axis."""
    pitch: float
    """Radians below the horizon."""
    focal: float
    """Focal length in pixels."""

    @cached_property
    def axes(self) -> Floats:
        """Rows: right, down and forward of the frame in world coordinates, (3, 3)."""
        forward = np.array(
            [sin(self.yaw) * cos(self.pitch), cos(self.yaw) * cos(self.pitch), -sin(self.pitch)]
        )
        right = np.array([cos(self.yaw), -sin(self.yaw), 0.0])
        return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)

    @cached_property
    def position(self) -> Floats:
        """World position of the lens, (3,)."""
        return np.array([0.0, 0.0, self.height], np.float32)

    @property
    def nearest(self) -> float:
        """The y at which the ground enters the frame, plus 0.4 m."""
        half_angle = atan(self.size_hw[0] / 2 / self.focal)
        return self.height / tan(self.pitch + half_angle) + 0.4

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project world points in front of the camera to pixels.

        Args:
            points: World coordinates, (N, 3).

        Returns:
            Pixel coordinates x, y, (N, 2), the centre of the first pixel at 0.5, and the depth in
            metres, (N,), bounded below by 0.1.
        """
        local = (points - self.position) @ self.axes.T
        depth = np.maximum(local[:, 2], 0.1)
        centre = np.array([self.size_hw[1] / 2, self.size_hw[0] / 2], np.float32)
        return local[:, :2] * (self.focal / depth[:, None]) + centre, depth

    def rays(self, oversampling: int) -> Floats:
        """Directions of the rays of all pixels, (H · oversampling, W · oversampling, 3)."""
        height, width = self.size_hw
        columns = (np.arange(width * oversampling, dtype=np.float32) + 0.5) / oversampling
        rows = (np.arange(height * oversampling, dtype=np.float32) + 0.5) / oversampling
        x = np.broadcast_to((columns - width / 2) / self.focal, (len(rows), len(columns)))
        y = np.broadcast_to(((rows - height / 2) / self.focal)[:, None], x.shape)
        return np.stack([x, y, np.ones_like(x)], axis=-1) @ self.axes

    def visible_range(self, y: float) -> tuple[float, float]:
        """Return the x at which the left and the right edge of the frame cross the ground at y."""
        width = self.size_hw[1]
        ends = []
        for column in (0.0, float(width)):
            # The edge of the frame is a plane through the lens: n · (p - lens) = 0 on the ground.
            edge = np.array([self.focal, 0.0, -(column - width / 2)], np.float32) @ self.axes
            ends.append(float((self.height * edge[2] - y * edge[1]) / edge[0]))
        return min(ends), max(ends)
