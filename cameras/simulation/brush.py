"""Draw a figure and its shadow as small antialiased patches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from cameras.simulation.shapes import Figure, Limb, Part, Plate, Wire
from cameras.simulation.surfaces import Colour
from cameras.simulation.viewpoint import Floats, Viewpoint

OVERSAMPLING = 3
AMBIENT = 0.70
"""Brightness of a face that is turned away from the sun."""
_SHIFT = 4
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 7, dtype=np.float32)

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A rectangular part of the frame to composite onto it."""

    box: Box
    """Rows and columns of the frame."""
    colours: Floats
    """Premultiplied by the opacity, 0..255, (h, w, 3)."""
    opacity: Floats
    """0..1, (h, w)."""
    depth: float
    """Distance of the figure's foot, metres."""
    foot: tuple[int, int]
    """Pixel of the figure's foot: row and column, inside the frame."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a figure stands and which way it faces."""

    x: float
    y: float
    heading: tuple[float, float] = (1.0, 0.0)
    """Unit vector of its forward direction in world coordinates."""

    def world(self, points: Floats) -> Floats:
        """Transform points (N, 3) from figure to world coordinates."""
        forward, left = self.heading, (-self.heading[1], self.heading[0])
        turn = np.array([[*forward, 0], [*left, 0], [0, 0, 1]], np.float32)
        moved: Floats = points @ turn + np.array([self.x, self.y, 0.0], np.float32)
        return moved


class Brush:
    """Draws figures for one viewpoint and one light."""

    def __init__(
        self,
        viewpoint: Viewpoint,
        sun: tuple[float, float, float],
        light: tuple[float, float, float],
    ) -> None:
        self._viewpoint = viewpoint
        self._sun = np.array(sun, np.float32)
        self._light = light

    def draw(self, figure: Figure, placement: Placement) -> Patch | None:
        """Draw a figure; None where it is outside of the frame."""
        toward_left = np.array([-placement.heading[1], placement.heading[0], 0.0])
        left_is_near = float(toward_left @ self._viewpoint.axes[2]) < 0
        far, near = (figure.right, figure.left) if left_is_near else (figure.left, figure.right)
        parts = self._visible((*far, *figure.centre, *near), placement)
        outlines = self._outlines(parts, placement, on_ground=False)
        box = self._box(outlines.points, margin=1)
        if box is None:
            return None
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        canvas = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING, 4), np.uint8)
        whole = _fixed_point(outlines.points, box, OVERSAMPLING)
        lit = _fixed_point(outlines.towards(float(np.sign(self._sun[0]))), box, OVERSAMPLING)
        for part, here, size in zip(parts, outlines.places, outlines.sizes, strict=True):
            if isinstance(part, Limb):
                cv2.fillConvexPoly(canvas, whole[here], self._lit(part.colour, 0.76), 8, _SHIFT)
                if size > 0.8:
                    cv2.fillConvexPoly(canvas, lit[here], self._lit(part.colour, 1.04), 8, _SHIFT)
            else:
                colour = self._lit(part.colour, 1.0)
                cv2.fillPoly(canvas, [whole[here]], colour, lineType=8, shift=_SHIFT)
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        foot, depth = self._viewpoint.project(
            np.array([[placement.x, placement.y, 0.0]], np.float32)
        )
        limits = np.array(self._viewpoint.size_hw) - 1
        row, column = np.clip(foot[0, ::-1], 0, limits).astype(int)
        return Patch(
            box=box,
            colours=small[..., :3].astype(np.float32),
            opacity=small[..., 3].astype(np.float32) / 255,
            depth=float(depth[0]),
            foot=(int(row), int(column)),
        )

    def shadow(self, figure: Figure, placement: Placement) -> tuple[Box, Floats] | None:
        """Return where a figure shades the ground, and how much, 0..1, (h, w)."""
        parts = (*figure.left, *figure.centre, *figure.right)
        outlines = self._outlines(parts, placement, on_ground=True)
        blur = max(3, round(0.9 * max(outlines.sizes)) | 1)
        box = self._box(outlines.points, margin=blur)
        if box is None:
            return None
        rows, columns = box
        canvas = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        whole = _fixed_point(outlines.points, box, 1)
        for part, here in zip(parts, outlines.places, strict=True):
            if isinstance(part, Wire):
                cv2.fillPoly(canvas, [whole[here]], (255.0,), lineType=8, shift=_SHIFT)
            else:
                cv2.fillConvexPoly(canvas, whole[here], (255.0,), 8, _SHIFT)
        soft = cv2.blur(canvas, (blur, blur))
        return box, soft.astype(np.float32) / 255

    def _visible(self, parts: tuple[Part, ...], placement: Placement) -> list[Part]:
        """Remove the plates that face away from the camera, and shade the others."""
        plates = [part for part in parts if isinstance(part, Plate)]
        if not plates:
            return list(parts)
        normals = self._rotated([plate.normal for plate in plates], placement)
        points = placement.world(np.array([plate.points[0] for plate in plates], np.float32))
        facing = np.einsum("ij,ij->i", normals, self._viewpoint.position - points) > 0
        hidden = {id(plate) for plate, visible in zip(plates, facing, strict=True) if not visible}
        brightness = AMBIENT + (1 - AMBIENT) * np.clip(normals @ self._sun, 0, 1) * 1.2
        shades = {id(plate): float(value) for plate, value in zip(plates, brightness, strict=True)}
        return [
            Plate(part.points, part.normal, _times(part.colour, shades[id(part)]))
            if isinstance(part, Plate)
            else part
            for part in parts
            if id(part) not in hidden
        ]

    def _rotated(self, normals: list[tuple[float, float, float]], placement: Placement) -> Floats:
        origin = Placement(0.0, 0.0, placement.heading)
        return origin.world(np.array(normals, np.float32))

    def _outlines(
        self, parts: Sequence[Part], placement: Placement, on_ground: bool
    ) -> "_Outlines":
        lists = [
            (part.start, part.end) if isinstance(part, Limb) else part.points for part in parts
        ]
        world = placement.world(
            np.array([point for points in lists for point in points], np.float32)
        )
        if on_ground:
            # Along the sun's rays down to the ground.
            world = world - world[:, 2:] * (self._sun / self._sun[2])
        pixels, depth = self._viewpoint.project(world)
        pixels_per_metre = self._viewpoint.focal / depth
        starts = np.cumsum([0] + [len(points) for points in lists])
        limbs = [number for number, part in enumerate(parts) if isinstance(part, Limb)]
        ends = np.stack([starts[limbs], starts[limbs] + 1], axis=1)
        radii = np.array([part.radii for part in parts if isinstance(part, Limb)], np.float32)
        radii = radii.reshape(-1, 2) * pixels_per_metre[ends]
        capsules = iter(zip(_capsules(pixels[ends], radii), radii.max(axis=1), strict=True))
        outlines: list[Floats] = []
        sizes: list[float] = []
        for part, start, stop in zip(parts, starts, starts[1:], strict=False):
            if isinstance(part, Limb):
                outline, size = next(capsules)
            elif isinstance(part, Plate):
                outline, size = pixels[start:stop], 0.0
            else:
                size = part.radius * float(pixels_per_metre[start])
                outline = _band(pixels[start:stop], size)
            outlines.append(outline)
            sizes.append(float(size))
        stops = np.cumsum([0] + [len(outline) for outline in outlines]).tolist()
        places = [slice(start, stop) for start, stop in pairwise(stops)]
        return _Outlines(np.concatenate(outlines), places, sizes)

    def _box(self, points: Floats, margin: int) -> Box | None:
        height, width = self._viewpoint.size_hw
        left, top = np.floor(points.min(0)).astype(int).tolist()
        right, bottom = np.ceil(points.max(0)).astype(int).tolist()
        left, top = max(left - margin, 0), max(top - margin, 0)
        right, bottom = min(right + margin, width), min(bottom + margin, height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)

    def _lit(self, colour: Colour, brightness: float) -> tuple[float, float, float, float]:
        red, green, blue = self._light
        return (
            min(255.0, colour[0] * red * brightness),
            min(255.0, colour[1] * green * brightness),
            min(255.0, colour[2] * blue * brightness),
            255.0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Outlines:
    """The outlines of a figure's parts in pixels, one after the other."""

    points: Floats
    """Of all parts, (N, 2)."""
    places: list[slice]
    """Where the points of each part lie."""
    sizes: list[float]
    """Radius of each part in pixels; 0 for plates."""

    def towards(self, side: float) -> Floats:
        """The sunlit part of each shape: narrower, and shifted to its side, (N, 2)."""
        counts = [place.stop - place.start for place in self.places]
        starts = [place.start for place in self.places]
        middles = np.add.reduceat(self.points, starts) / np.array(counts, np.float32)[:, None]
        middle = np.repeat(middles, counts, axis=0)
        lit: Floats = middle + (self.points - middle) * np.array([0.62, 0.94], np.float32)
        lit[:, 0] += 0.34 * side * np.repeat(np.array(self.sizes, np.float32), counts)
        return lit


def _times(colour: Colour, brightness: float) -> Colour:
    red, green, blue = (min(255, round(value * brightness)) for value in colour)
    return red, green, blue


def _fixed_point(points: Floats, box: Box, oversampling: int) -> npt.NDArray[np.int32]:
    """Pixels as whole numbers with `_SHIFT` binary places, relative to the corner of a box."""
    rows, columns = box
    origin = np.array([columns.start, rows.start], np.float32)
    # Our coordinates refer to the corner of a pixel, OpenCV's to its centre.
    scaled = ((points - origin) * oversampling - 0.5) * 2**_SHIFT
    whole: npt.NDArray[np.int32] = np.round(scaled).astype(np.int32)
    return whole


def _capsules(ends: Floats, radii: Floats) -> Floats:
    """Outlines of rods with round ends.

    Args:
        ends: Pixels of both ends, (L, 2, 2).
        radii: In pixels, (L, 2).

    Returns:
        Fourteen points each, (L, 14, 2).
    """
    direction = ends[:, 1] - ends[:, 0]
    angle = np.arctan2(direction[:, 1], direction[:, 0])[:, None] + _ARC
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    last = ends[:, 1, None] + radii[:, 1, None, None] * around
    first = ends[:, 0, None] - radii[:, 0, None, None] * around
    return np.concatenate([last, first], axis=1).astype(np.float32)


def _band(points: Floats, radius: float) -> Floats:
    """Outline of a closed line: once around outside, then once around inside."""
    middle = points.mean(0)
    away = points - middle
    length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-3)
    outer, inner = points + away / length * radius, points - away / length * radius
    return np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]).astype(np.float32)
