"""The layout of one street, generated from a seed: positions, colours, light."""

from dataclasses import dataclass
from math import cos, radians, sin
from typing import Literal

import numpy as np

from cameras.simulation.surfaces import Colour
from cameras.simulation.viewpoint import Viewpoint

Surface = Literal["lawn", "promenade", "road", "pavement"]

# Near to far: surface and the narrowest and widest depth in metres.
LAYOUTS: tuple[tuple[tuple[Surface, float, float], ...], ...] = (
    (("lawn", 3.0, 3.6), ("promenade", 5.0, 6.0), ("road", 6.0, 7.0), ("pavement", 2.4, 3.2)),
    (("promenade", 5.4, 6.2), ("lawn", 2.8, 3.6), ("road", 5.6, 6.4), ("pavement", 2.4, 3.2)),
    (("lawn", 2.8, 3.4), ("promenade", 5.2, 6.2), ("lawn", 4.0, 5.2), ("pavement", 2.2, 2.8)),
    (("road", 3.6, 4.4), ("promenade", 5.0, 5.8), ("lawn", 4.4, 5.4), ("pavement", 2.2, 2.8)),
)
WALLS: tuple[Colour, ...] = (
    (228, 212, 182), (182, 190, 168), (204, 146, 112), (160, 176, 190), (216, 184, 128),
    (216, 188, 176), (224, 220, 210), (190, 178, 196),
)  # fmt: skip
BRICKS: tuple[Colour, ...] = ((168, 100, 80), (150, 106, 88), (176, 122, 92))
TRIMS: tuple[Colour, ...] = ((236, 232, 222), (92, 78, 66), (70, 84, 92), (110, 62, 54))
AWNINGS: tuple[Colour, ...] = ((156, 58, 52), (52, 96, 92), (196, 148, 62), (62, 82, 120))
PAVINGS: tuple[Colour, ...] = ((190, 180, 164), (178, 174, 170), (196, 178, 156), (170, 168, 160))


@dataclass(frozen=True, slots=True)
class Band:
    """A strip of ground along the street."""

    surface: Surface
    near: float
    """The y at which it begins, metres."""
    far: float

    @property
    def middle(self) -> float:
        """The y halfway across."""
        return (self.near + self.far) / 2


@dataclass(frozen=True, slots=True)
class House:
    """One building front in the row at the far end."""

    left: float
    right: float
    eaves: float
    """Height of the wall, metres."""
    bricks: bool
    wall: Colour
    trim: Colour
    awning: Colour | None
    """Colour of the awning over a shop window; None where the ground floor is no shop."""
    window_columns: int
    door_column: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree: position and size, metres."""

    x: float
    y: float
    trunk: float
    """Height at which the crown begins."""
    crown: float
    """Radius of the crown."""
    leaves: Colour
    number: int


@dataclass(frozen=True, slots=True)
class Street:
    """The static layout of a street."""

    seed: int
    viewpoint: Viewpoint
    bands: tuple[Band, ...]
    houses: tuple[House, ...]
    front: float
    """The y of the building fronts."""
    trees: tuple[Tree, ...]
    lamps: tuple[tuple[float, float], ...]
    parked: tuple[tuple[float, float, int], ...]
    """Parked cars: x, y and a number for their colour."""
    paving: Colour
    slab: float
    sun: tuple[float, float, float]
    """Unit vector towards the sun."""
    light: tuple[float, float, float]
    """Colour of the light; 1 is neutral."""

    def band(self, surface: Surface) -> Band:
        """The nearest band of a surface; every layout has a lawn and a promenade."""
        return next(band for band in self.bands if band.surface == surface)

    def walkable(self, surface: Surface) -> tuple[float, float]:
        """Range of y in which a person is fully visible on the nearest band of a surface."""
        band = self.band(surface)
        return max(band.near, self.viewpoint.nearest), band.far

    @classmethod
    def from_seed(cls, seed: int, size_hw: tuple[int, int]) -> "Street":
        """Generate the street of a seed for a frame size."""
        random = np.random.default_rng([seed, 1])
        viewpoint = Viewpoint(
            size_hw=size_hw,
            height=float(random.uniform(4.0, 5.2)),
            yaw=float(random.choice([-1, 1]) * radians(random.uniform(4, 13))),
            pitch=radians(float(random.uniform(11.5, 14.5))),
            focal=0.95 * max(size_hw[1], size_hw[0] * 16 / 9),
        )
        layout = LAYOUTS[(seed + int(random.integers(2)) * 2) % len(LAYOUTS)]
        bands = _bands(layout, viewpoint, random)
        front = bands[-1].far
        azimuth = radians(float(random.choice([-1, 1]) * random.uniform(35, 65)))
        elevation = radians(float(random.uniform(36, 52)))
        warmth = float(random.uniform(-0.02, 0.05))
        return cls(
            seed=seed,
            viewpoint=viewpoint,
            bands=bands,
            houses=_houses(viewpoint, front, random),
            front=front,
            trees=_trees(viewpoint, bands, random),
            lamps=_lamps(viewpoint, bands, random),
            parked=_parked(viewpoint, bands, random),
            paving=PAVINGS[random.integers(len(PAVINGS))],
            slab=float(random.uniform(0.4, 0.62)),
            sun=(
                sin(azimuth) * cos(elevation),
                -cos(azimuth) * cos(elevation),
                sin(elevation),
            ),
            light=(1.02 + warmth, 1.0, 0.98 - warmth),
        )


def _bands(
    layout: tuple[tuple[Surface, float, float], ...],
    viewpoint: Viewpoint,
    random: np.random.Generator,
) -> tuple[Band, ...]:
    edge = viewpoint.nearest
    bands: list[Band] = []
    for surface, narrow, wide in layout:
        far = edge + float(random.uniform(narrow, wide))
        # The first strip extends below the camera.
        bands.append(Band(surface, edge if bands else 0.0, far))
        edge = far
    return tuple(bands)


def _houses(viewpoint: Viewpoint, front: float, random: np.random.Generator) -> tuple[House, ...]:
    left, end = viewpoint.visible_range(front)
    left, end = left - float(random.uniform(2, 5)), end + 3
    walls = random.permutation(len(WALLS))
    houses: list[House] = []
    while left < end:
        number = len(houses)
        width = float(random.uniform(6.0, 9.5))
        columns = max(3, round(width / 2.2))
        bricks = bool(random.random() < 0.3)
        shop = bool(random.random() < 0.45)
        houses.append(
            House(
                left=left,
                right=left + width,
                eaves=float(random.choice([6.6, 7.2, 9.8, 10.4])),
                bricks=bricks,
                wall=BRICKS[number % len(BRICKS)] if bricks else WALLS[walls[number % len(walls)]],
                trim=TRIMS[0] if bricks else TRIMS[random.integers(len(TRIMS))],
                awning=AWNINGS[random.integers(len(AWNINGS))] if shop else None,
                window_columns=columns,
                door_column=int(random.integers(columns)),
            )
        )
        left += width
    return tuple(houses)


def _trees(
    viewpoint: Viewpoint, bands: tuple[Band, ...], random: np.random.Generator
) -> tuple[Tree, ...]:
    trees: list[Tree] = []
    for number, band in enumerate(bands):
        if band.surface not in ("lawn", "pavement"):
            continue
        # Trees near the camera stand at the sides, where they frame the view and hide little.
        y = band.far - 0.5 if number else band.far - 0.8
        left, right = viewpoint.visible_range(y)
        width = right - left
        places = [0.06, 0.93] if number == 0 else [0.16, 0.4, 0.63, 0.86]
        for place in places:
            if number and random.random() < (0.2 if band.surface == "lawn" else 0.55):
                continue
            green = float(random.uniform(-1, 1))
            trees.append(
                Tree(
                    x=left + width * (place + float(random.uniform(-0.04, 0.04))),
                    y=y,
                    trunk=float(random.uniform(2.5, 3.1)),
                    crown=float(random.uniform(1.5, 2.1)),
                    leaves=(int(92 + 18 * green), int(118 + 6 * green), 58),
                    number=len(trees),
                )
            )
    return tuple(sorted(trees, key=lambda tree: -tree.y))


def _lamps(
    viewpoint: Viewpoint, bands: tuple[Band, ...], random: np.random.Generator
) -> tuple[tuple[float, float], ...]:
    promenade = next(band for band in bands if band.surface == "promenade")
    y = promenade.far - 0.25
    left, right = viewpoint.visible_range(y)
    first = float(random.uniform(0.2, 0.4))
    return tuple((left + (right - left) * place, y) for place in (first, first + 0.45))


def _parked(
    viewpoint: Viewpoint, bands: tuple[Band, ...], random: np.random.Generator
) -> tuple[tuple[float, float, int], ...]:
    road = next((band for band in bands if band.surface == "road"), None)
    if road is None or road.near == 0.0:
        return ()
    y = road.far - 1.15
    left, right = viewpoint.visible_range(y)
    x = left + float(random.uniform(-1, 2))
    cars = []
    while x < right + 2:
        if random.random() < 0.6:
            cars.append((x, y, int(random.integers(100))))
        x += float(random.uniform(5.0, 6.2))
    return tuple(cars)
