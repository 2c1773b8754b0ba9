"""Objects: bicycle and rider, van, parked car, luggage, street lamp."""

from math import cos, pi, sin

from cameras.simulation.people import Appearance
from cameras.simulation.shapes import (
    Figure,
    Limb,
    Part,
    Plate,
    Point,
    Wire,
    ball,
    box,
    circle,
    extrude,
)
from cameras.simulation.surfaces import Colour

Corner = tuple[float, float]

GLASS: Colour = (74, 90, 102)
TYRE: Colour = (38, 38, 42)
METAL: Colour = (176, 178, 182)
CARS: tuple[Colour, ...] = (
    (168, 172, 176), (74, 88, 112), (132, 52, 50), (206, 204, 198), (62, 66, 70), (92, 112, 98),
)  # fmt: skip


def cyclist(appearance: Appearance, travelled: float) -> Figure:
    """A person riding a bicycle; `travelled` metres determine the pedal angle."""
    frame: Colour = (178, 48, 44)
    wheels: list[Part] = []
    for hub in (-0.52, 0.54):
        wheels.append(Wire(circle(hub, 0.0, 0.35, 0.33), 0.028, TYRE))
        turn = -travelled / 0.35
        for spoke in range(3):
            reach = (0.3 * cos(turn + spoke * pi / 3), 0.3 * sin(turn + spoke * pi / 3))
            wheels.append(
                Limb(
                    (hub - reach[0], 0.0, 0.35 - reach[1]),
                    (hub + reach[0], 0.0, 0.35 + reach[1]),
                    (0.006, 0.006),
                    METAL,
                )
            )
    crank: Point = (0.0, 0.0, 0.31)
    seat: Point = (-0.17, 0.0, 0.93)
    stem: Point = (0.4, 0.0, 0.9)
    tubes = [
        ((-0.52, 0.0, 0.35), crank), (crank, seat), (crank, stem), ((-0.13, 0.0, 0.8), stem),
        ((-0.13, 0.0, 0.8), (-0.52, 0.0, 0.35)), (stem, (0.54, 0.0, 0.35)),
        (stem, (0.42, 0.0, 1.02)),
    ]  # fmt: skip
    bicycle = [Limb(a, b, (0.026, 0.026), frame) for a, b in tubes]
    hip: Point = (-0.17, 0.0, 1.02)
    chest: Point = (0.14, 0.0, 1.44)
    head: Point = (0.24, 0.0, 1.67)
    rider: list[Part] = [
        Limb(hip, chest, (0.15, 0.15), appearance.top),
        Limb(chest, head, (0.07, 0.06), appearance.skin),
        ball((head[0] + 0.02, 0.0, head[2]), 0.1, appearance.skin),
        Limb((0.14, 0.0, 1.75), (0.28, 0.0, 1.76), (0.09, 0.08), (228, 226, 220)),
    ]
    turn = -travelled / 0.8
    left, right = _pedalling(appearance, turn, 1), _pedalling(appearance, turn + pi, -1)
    return Figure(left, (*wheels, *bicycle, *rider), right)


def _pedalling(appearance: Appearance, turn: float, side: int) -> tuple[Part, ...]:
    """Leg and arm of one side; the knee lies where thigh and shin meet."""
    y = 0.1 * side
    foot: Point = (0.17 * cos(turn), y, 0.35 + 0.17 * sin(turn))
    hip: Point = (-0.15, y, 1.0)
    across = (foot[0] - hip[0], foot[2] - hip[2])
    distance = (across[0] ** 2 + across[1] ** 2) ** 0.5
    bow = max(0.0, 0.43**2 - (distance / 2) ** 2) ** 0.5 / distance
    knee: Point = (
        hip[0] + across[0] / 2 - across[1] * bow,
        y,
        hip[2] + across[1] / 2 + across[0] * bow,
    )
    shoulder: Point = (0.14, 0.18 * side, 1.42)
    elbow: Point = (0.26, 0.24 * side, 1.2)
    grip: Point = (0.44, 0.22 * side, 1.06)
    return (
        Limb((0.0, y, 0.31), foot, (0.018, 0.018), METAL),
        Limb(knee, foot, (0.06, 0.045), appearance.trousers),
        Limb(hip, knee, (0.09, 0.065), appearance.trousers),
        Limb(foot, (foot[0] + 0.14, y, foot[2] - 0.01), (0.045, 0.035), appearance.shoes),
        Limb(shoulder, elbow, (0.06, 0.05), appearance.top),
        Limb(elbow, grip, (0.05, 0.04), appearance.top),
    )


def _wheels(places: tuple[float, ...], half_width: float, radius: float) -> tuple[Plate, ...]:
    plates = []
    for side in (-1.0, 1.0):
        y, normal = side * (half_width + 0.01), (0.0, side, 0.0)
        for place in places:
            plates.append(Plate(circle(place, y, radius, radius), normal, TYRE))
            plates.append(Plate(circle(place, y, radius, radius * 0.55), normal, METAL))
    return tuple(plates)


def _panes(
    outlines: tuple[tuple[Corner, ...], ...], half_width: float, colour: Colour
) -> tuple[Plate, ...]:
    """Flat pieces (forward, up) on both sides of a body."""
    return tuple(
        Plate(
            tuple((a, side * (half_width + 0.005), c) for a, c in outline),
            (0.0, side, 0.0),
            colour,
        )
        for side in (-1.0, 1.0)
        for outline in outlines
    )


def van(colour: Colour) -> Figure:
    """A delivery van, 4.6 m long, facing forward."""
    body = extrude(
        ((-2.3, 0.3), (2.3, 0.3), (2.3, 0.95), (1.75, 1.2), (1.25, 2.05), (-2.3, 2.05)),
        0.92,
        colour,
    )
    windscreen = Plate(
        ((1.72, -0.8, 1.25), (1.29, -0.8, 1.98), (1.29, 0.8, 1.98), (1.72, 0.8, 1.25)),
        (0.86, 0.0, 0.5),
        GLASS,
    )
    panes = _panes((((0.55, 1.22), (1.58, 1.22), (1.16, 1.92), (0.55, 1.92)),), 0.92, GLASS)
    stripe: Colour = (196, 92, 40)
    stripes = _panes((((-2.3, 0.85), (2.2, 0.85), (2.2, 1.03), (-2.3, 1.03)),), 0.92, stripe)
    lights = tuple(
        Plate(
            ((2.31, y, 0.62), (2.31, y + 0.3, 0.62), (2.31, y + 0.3, 0.84), (2.31, y, 0.84)),
            (1.0, 0.0, 0.0),
            (250, 246, 222),
        )
        for y in (-0.85, 0.55)
    )
    parts = (*body, windscreen, *panes, *stripes, *lights, *_wheels((-1.45, 1.5), 0.92, 0.34))
    return Figure((), parts, ())


def parked_car(number: int) -> Figure:
    """A hatchback, 4 m long."""
    colour = CARS[number % len(CARS)]
    lower = extrude(((-2.0, 0.25), (2.0, 0.25), (2.0, 0.8), (-2.0, 0.92)), 0.86, colour)
    cabin = extrude(((-1.95, 0.9), (1.15, 0.85), (0.4, 1.45), (-1.6, 1.48)), 0.78, colour)
    panes = _panes(
        (
            ((-1.6, 0.95), (-0.45, 0.95), (-0.45, 1.4), (-1.45, 1.4)),
            ((-0.35, 0.95), (0.9, 0.93), (0.33, 1.38), (-0.35, 1.4)),
        ),
        0.78,
        GLASS,
    )
    return Figure((), (*lower, *cabin, *panes, *_wheels((-1.25, 1.25), 0.86, 0.31)), ())


def luggage(aside: float) -> Figure:
    """A large suitcase with a bag on top, standing `aside` metres to the right."""
    colour: Colour = (190, 52, 60)
    left = -aside
    body = box((-0.32, 0.32), (left - 0.19, left + 0.19), (0.07, 0.86), colour)
    bands = tuple(
        Plate(tuple((a, b + left, c) for a, b, c in band.points), band.normal, (226, 214, 190))
        for place in (-0.16, 0.16)
        for band in _panes((_upright(place, 0.05, 0.07, 0.86),), 0.19, colour)
    )
    bag = Limb((-0.24, left, 1.02), (0.24, left, 1.02), (0.17, 0.17), (214, 168, 66))
    feet = tuple(ball((place, left, 0.05), 0.05, TYRE) for place in (-0.24, 0.24))
    return Figure((), (), (*feet, *body, *bands, bag))


def _upright(middle: float, width: float, bottom: float, top: float) -> tuple[Corner, ...]:
    """Corners (forward, up) of an upright rectangle."""
    low, high = middle - width / 2, middle + width / 2
    return ((low, bottom), (high, bottom), (high, top), (low, top))


def street_lamp() -> Figure:
    """A lamp with a curved arm, 4.6 m high."""
    iron: Colour = (58, 66, 68)
    parts: tuple[Part, ...] = (
        Limb((0.0, 0.0, 0.0), (0.0, 0.0, 0.7), (0.1, 0.075), iron),
        Limb((0.0, 0.0, 0.7), (0.0, 0.0, 4.3), (0.055, 0.04), iron),
        Limb((0.0, 0.0, 4.3), (0.0, -0.55, 4.6), (0.04, 0.035), iron),
        Limb((0.0, -0.55, 4.55), (0.0, -1.0, 4.52), (0.09, 0.07), (214, 212, 200)),
    )
    return Figure((), parts, ())
