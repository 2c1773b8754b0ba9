"""Building fronts: walls, windows, doors, shop fronts and roofs of the row at the far end."""

import numpy as np
import numpy.typing as npt

from cameras.simulation import surfaces
from cameras.simulation.street import House, Street
from cameras.simulation.surfaces import Colour, Noise
from cameras.simulation.viewpoint import Floats

GROUND_FLOOR = 3.4
FLOOR = 3.0
PLINTH = 0.55
ROOF = 1.7
SLATE: Colour = (104, 92, 92)


def wall_colours(
    street: Street, x: Floats, z: Floats, noise: Noise
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Colour the row of houses.

    Args:
        street: The plan.
        x: Metres along the row, (N,).
        z: Metres above the ground, (N,).
        noise: Texture.

    Returns:
        Colours (N, 3) and whether there is a house, (N,); the rest is sky.
    """
    colours = np.zeros((len(x), 3), np.float32)
    solid = np.zeros(len(x), bool)
    for house in street.houses:
        here = (x >= house.left) & (x < house.right) & (z < house.eaves + ROOF)
        colours[here] = _house(house, x[here], z[here], noise)
        solid |= here
    return colours, solid


def _house(house: House, x: Floats, z: Floats, noise: Noise) -> Floats:
    if house.bricks:
        colours = surfaces.brick(x, z, noise, house.wall)
    else:
        colours = surfaces.plaster(x, z, noise, house.wall)
    width = house.right - house.left
    place = (x - house.left) / width * house.window_columns
    column = np.floor(place)
    across = (place - column - 0.5) * width / house.window_columns  # metres from the bay's middle

    floor = np.floor((z - GROUND_FLOOR) / FLOOR)
    whole = GROUND_FLOOR + (floor + 1) * FLOOR < house.eaves + 0.1
    upper = (z >= GROUND_FLOOR) & whole
    rise = np.where(floor >= 0, z - GROUND_FLOOR - floor * FLOOR, z)
    _window(colours, house, across, rise, upper, (0.52, 0.75, 2.35), noise, column + 7 * floor)
    if house.awning is None:
        door = (floor < 0) & (column == house.door_column)
        _window(colours, house, across, rise, (floor < 0) & ~door, (0.52, 1.0, 2.5), noise, column)
        _door(colours, house, across, rise, door)
    else:
        _shop(colours, house, x, z, noise)

    _paint(colours, z < PLINTH, surfaces.tint((138, 134, 130), 0.9 + 0.2 * noise.cloudy(x, z, 0.6)))
    band = np.abs(z - GROUND_FLOOR - 0.05) < 0.09
    _paint(colours, band, surfaces.tint(house.trim, np.full_like(z, 0.95)))
    colours *= 1 - 0.25 * np.exp(-np.maximum(x - house.left, 0) / 0.06)[:, None]

    under_eaves = np.clip((house.eaves - z) / 0.5, 0, 1)
    colours *= np.where(z < house.eaves, 0.72 + 0.28 * under_eaves, 1.0)[:, None]
    roof = z >= house.eaves
    tiles = 0.92 + 0.12 * np.sin(z * 21) + 0.24 * (noise.smooth(x, z, 0.25) - 0.5)
    _paint(colours, roof, surfaces.tint(SLATE, tiles))
    gutter = (z >= house.eaves - 0.02) & (z < house.eaves + 0.14)
    _paint(colours, gutter, surfaces.tint((226, 222, 212), np.full_like(z, 0.9)))
    return colours


def _paint(colours: Floats, where: npt.NDArray[np.bool_], colour: Floats) -> None:
    colours[where] = colour[where]


def _window(
    colours: Floats,
    house: House,
    across: Floats,
    rise: Floats,
    where: npt.NDArray[np.bool_],
    shape: tuple[float, float, float],
    noise: Noise,
    number: Floats,
) -> None:
    """Draw frames, panes that reflect the sky, and a sill, in every bay of a storey."""
    half_width, bottom, top = shape
    inside = where & (np.abs(across) < half_width) & (rise > bottom) & (rise < top)
    trim = surfaces.tint(house.trim, np.full_like(rise, 0.97))
    _paint(colours, inside, trim)
    bar = (np.abs(across) < 0.035) | (np.abs(rise - (0.35 * bottom + 0.65 * top)) < 0.035)
    edge = np.minimum(half_width - np.abs(across), np.minimum(rise - bottom, top - rise)) < 0.08
    pane = inside & ~bar & ~edge
    upward = np.clip((rise - bottom) / (top - bottom), 0, 1)
    curtain = 0.5 + 0.7 * noise.cells(number, number * 0)
    glint = 0.12 * np.sin(3 * across + 2.2 * rise + number)
    glass = surfaces.tint((92, 112, 126), 0.62 + 0.42 * upward * curtain + glint)
    _paint(colours, pane, glass.astype(np.float32))
    lintel = where & (np.abs(across) < half_width + 0.08) & (np.abs(rise - top - 0.06) < 0.06)
    sill = where & (np.abs(across) < half_width + 0.12) & (np.abs(rise - bottom + 0.05) < 0.06)
    _paint(colours, sill | lintel, trim)
    below = where & (np.abs(across) < half_width + 0.1) & (np.abs(rise - bottom + 0.17) < 0.06)
    colours[below] *= 0.82


def _door(
    colours: Floats, house: House, across: Floats, rise: Floats, where: npt.NDArray[np.bool_]
) -> None:
    frame = where & (np.abs(across) < 0.66) & (rise < 2.65)
    _paint(colours, frame, surfaces.tint(house.trim, np.full_like(rise, 0.95)))
    leaf = where & (np.abs(across) < 0.54) & (rise < 2.2)
    wood: Colour = (96, 66, 52) if house.trim[0] > 150 else (150, 122, 92)
    panel = (np.abs(np.abs(across) - 0.27) < 0.17) & (np.abs(np.mod(rise, 0.95) - 0.55) < 0.3)
    _paint(colours, leaf, surfaces.tint(wood, 1.0 - 0.18 * panel))
    light = where & (np.abs(across) < 0.54) & (rise > 2.28) & (rise < 2.56)
    _paint(colours, light, surfaces.tint((88, 106, 118), np.full_like(rise, 0.9)))


def _shop(colours: Floats, house: House, x: Floats, z: Floats, noise: Noise) -> None:
    middle, half = (house.left + house.right) / 2, (house.right - house.left) / 2 - 0.7
    awning = house.awning or house.wall
    opening = (np.abs(x - middle) < half) & (z < 2.5)
    _paint(colours, opening, surfaces.tint(awning, np.full_like(z, 0.55)))
    bay = np.mod(x - house.left, 1.6)
    glass = opening & (z > 0.7) & (z < 2.45) & (bay > 0.09)
    inside = 0.55 + 0.35 * noise.cloudy(x, z * 1.6, 0.5) + 0.22 * np.sin(x * 0.9 + z * 0.7)
    _paint(colours, glass, surfaces.tint((132, 124, 108), inside))
    cloth = (np.abs(x - middle) < half + 0.15) & (z > 2.3) & (z < 3.05)
    stripes = np.mod(x, 0.7) < 0.35
    brightness = 0.9 + 0.25 * (z - 2.3)
    _paint(colours, cloth, surfaces.tint(awning, brightness))
    _paint(colours, cloth & stripes, surfaces.tint((232, 226, 212), brightness))
    under = (np.abs(x - middle) < half) & (z <= 2.3) & (z > 1.7)
    colours[under] *= (1 - 0.4 * (z[under] - 1.7) / 0.6)[:, None]
