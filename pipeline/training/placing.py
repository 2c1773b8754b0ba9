"""Placing cut-outs of people and vehicles over video at any size, position and velocity."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StationaryCutOut:
    """A moving object, cut out of its scene and shifted so that it stays in place."""

    pixels: Pictures
    """Grey in [0, 1], (T, h, w), oldest first."""
    alpha: Pictures
    """(T, h, w) in [0, 1]."""
    centre: tuple[float, float]
    """Row and column of its middle, the same in all frames."""
    height: int
    """Pixels, in the newest frame."""
    width: int
    """Pixels, in the newest frame."""
    foot: tuple[float, float]
    """Row and column of the middle of its lower edge, in the newest frame of its own scene; for a
    mirrored cut-out, valid within the mirrored part only."""
    velocity: tuple[float, float]
    """Pixels a frame, down and right, in its own scene."""

    def frozen(self) -> "StationaryCutOut":
        """The cut-out with its newest frame in every frame."""
        pixels, alpha = (np.repeat(one[-1:], len(one), 0) for one in (self.pixels, self.alpha))
        return replace(self, pixels=pixels, alpha=alpha)


@dataclass(frozen=True, slots=True, eq=False)
class CutOutPlacement:
    """Position, size and motion of a cut-out in a frame."""

    cut_out: StationaryCutOut
    foot: tuple[float, float]
    """Row and column of the middle of its lower edge, in the newest frame, to a fraction of a
    pixel."""
    height: float
    """Pixels."""
    velocity: tuple[float, float]
    """Pixels a frame, down and right."""
    gain: float = 1.0
    """Contrast around middle grey."""

    def sped_up(self, pace: float) -> "CutOutPlacement":
        """The placement with its velocity multiplied by `pace`."""
        down, right = self.velocity
        return replace(self, velocity=(pace * down, pace * right))


def lay_over(frames: Pictures, placement: CutOutPlacement) -> None:
    """Lay a cut-out over frames, to a fraction of a pixel.

    Args:
        frames: (T, H, W) in [0, 1], of as many frames as the cut-out; changed in place.
        placement: Mirrored where it moves against the direction it faces.
    """
    one, height = placement.cut_out, placement.height
    scale = height / one.height
    centre = one.centre
    mirrored = placement.velocity[1] != 0 and (placement.velocity[1] > 0) != (one.velocity[1] > 0)
    if mirrored:
        centre = (centre[0], one.pixels.shape[2] - 1 - centre[1])
    for number, frame in enumerate(frames):
        age = len(frames) - 1 - number
        row = placement.foot[0] - placement.velocity[0] * age - height / 2 - centre[0] * scale
        column = placement.foot[1] - placement.velocity[1] * age - centre[1] * scale
        top, left = int(np.floor(row)), int(np.floor(column))
        shift = shifted_by(row - top, column - left)
        pixels, alpha = (
            _scaled(plane[number][:, ::-1] if mirrored else plane[number], scale, shift, border)
            for plane, border in (
                (one.pixels, cv2.BORDER_REPLICATE),
                (one.alpha, cv2.BORDER_CONSTANT),
            )
        )
        rows = slice(max(0, top), max(0, top + len(alpha)))
        columns = slice(max(0, left), max(0, left + alpha.shape[1]))
        spot = frame[rows, columns]
        if not spot.size:
            continue
        inside = (
            slice(rows.start - top, rows.start - top + spot.shape[0]),
            slice(columns.start - left, columns.start - left + spot.shape[1]),
        )
        lit = ((pixels[inside] - 0.5) * placement.gain + 0.5).clip(0, 1)
        spot += alpha[inside] * (lit - spot)


def _scaled(
    plane: npt.NDArray[np.float32], scale: float, shift: npt.NDArray[np.float32], border: int
) -> npt.NDArray[np.float32]:
    width, height = (max(2, int(np.ceil(side * scale))) for side in reversed(plane.shape))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=way)
    moved = cv2.warpAffine(small, shift, (width + 1, height + 1), borderMode=border)
    return np.asarray(moved, dtype=np.float32)


def shifted_by(down: float, right: float) -> npt.NDArray[np.float32]:
    """Matrix of `cv2.warpAffine`, (2, 3), for a shift in pixels."""
    return np.array([[1, 0, right], [0, 1, down]], dtype=np.float32)
