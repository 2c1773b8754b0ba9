"""Parts of figures: limbs, plates and wires in a figure's own coordinates.

Own coordinates are metres: forward, to the left, up; the origin is on the ground below the figure.
"""

from dataclasses import dataclass
from math import cos, pi, sin

from cameras.simulation.surfaces import Colour

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Limb:
    """A rod with round ends, thick or thin; a ball where both ends are one point."""

    start: Point
    end: Point
    radii: tuple[float, float]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Plate:
    """A flat convex piece; visible only from the side of its normal."""

    points: tuple[Point, ...]
    normal: Point
    colour: Colour


@dataclass(frozen=True, slots=True)
class Wire:
    """A closed line of even thickness, such as a wheel's rim."""

    points: tuple[Point, ...]
    radius: float
    colour: Colour


Part = Limb | Plate | Wire


@dataclass(frozen=True, slots=True)
class Figure:
    """Parts by side, so that the side away from the camera can be drawn first."""

    left: tuple[Part, ...]
    centre: tuple[Part, ...]
    right: tuple[Part, ...]

    def __add__(self, other: "Figure") -> "Figure":
        """Join two figures; the other is drawn over this one."""
        return Figure(self.left + other.left, self.centre + other.centre, self.right + other.right)


def ball(centre: Point, radius: float, colour: Colour) -> Limb:
    """A sphere."""
    return Limb(centre, centre, (radius, radius), colour)


def circle(forward: float, left: float, up: float, radius: float) -> tuple[Point, ...]:
    """Eighteen points around a wheel that rolls forward."""
    angles = [2 * pi * number / 18 for number in range(18)]
    return tuple((forward + radius * cos(a), left, up + radius * sin(a)) for a in angles)


def extrude(
    profile: tuple[tuple[float, float], ...], half_width: float, colour: Colour
) -> tuple[Plate, ...]:
    """A body with one convex profile (forward, up), given anticlockwise, from side to side."""
    plates = []
    for (a, b), (c, d) in zip(profile, profile[1:] + profile[:1], strict=True):
        length = ((c - a) ** 2 + (d - b) ** 2) ** 0.5
        points: tuple[Point, ...] = (
            (a, -half_width, b),
            (c, -half_width, d),
            (c, half_width, d),
            (a, half_width, b),
        )
        plates.append(Plate(points, ((d - b) / length, 0.0, (a - c) / length), colour))
    for side in (-1.0, 1.0):
        points = tuple((a, side * half_width, b) for a, b in profile)
        plates.append(Plate(points, (0.0, side, 0.0), colour))
    return tuple(plates)


def box(
    forward: tuple[float, float],
    left: tuple[float, float],
    up: tuple[float, float],
    colour: Colour,
) -> tuple[Plate, ...]:
    """A box between the given bounds."""
    middle = (left[0] + left[1]) / 2
    profile = (
        (forward[0], up[0]),
        (forward[1], up[0]),
        (forward[1], up[1]),
        (forward[0], up[1]),
    )
    return tuple(
        Plate(tuple((a, b + middle, c) for a, b, c in plate.points), plate.normal, plate.colour)
        for plate in extrude(profile, (left[1] - left[0]) / 2, colour)
    )
