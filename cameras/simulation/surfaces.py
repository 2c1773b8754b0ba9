"""Procedural textures of ground and walls: colour as a function of metres.

Every function takes arrays of coordinates in metres and returns float32 colours (..., 3), 0..255.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from cameras.simulation.viewpoint import Floats

Colour = tuple[int, int, int]

LAWN: Colour = (104, 128, 66)
PAVING: Colour = (186, 176, 160)
ASPHALT: Colour = (94, 95, 100)
KERB: Colour = (170, 167, 160)
MARKING: Colour = (206, 204, 194)
_FOLD = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """A tile of random values in 0..1, repeated without end."""

    tile: Floats

    @classmethod
    def seeded(cls, seed: int) -> "Noise":
        """Generate the tile of a seed."""
        return cls(np.random.default_rng([seed, 11]).random((256, 256), np.float32))

    def smooth(self, x: Floats, y: Floats, metres: float) -> Floats:
        """Value noise whose features are about `metres` wide."""
        at_x, at_y = np.mod(x / metres, 256).ravel(), np.mod(y / metres, 256).ravel()
        # cv2.remap limits each side of its image to 32766, so fold the values into rows.
        rows = at_x.size // _FOLD + 1
        values = cv2.remap(
            self.tile,
            np.resize(at_x, (rows, _FOLD)).astype(np.float32),
            np.resize(at_y, (rows, _FOLD)).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(values, np.float32).ravel()[: at_x.size].reshape(x.shape)

    def cells(self, column: Floats, row: Floats) -> Floats:
        """One value for every whole-numbered cell."""
        picked: Floats = self.tile[row.astype(np.int64) % 256, column.astype(np.int64) % 256]
        return picked

    def cloudy(self, x: Floats, y: Floats, metres: float) -> Floats:
        """Three octaves of `smooth`, in 0..1."""
        mixed: Floats = (
            0.55 * self.smooth(x, y, metres)
            + 0.3 * self.smooth(x + 31, y + 17, metres / 2.3)
            + 0.15 * self.smooth(x + 7, y + 53, metres / 5.1)
        )
        return mixed


def tint(colour: Colour, brightness: Floats) -> Floats:
    """A colour at varying brightness, 1 leaves it unchanged."""
    colours: Floats = brightness[..., None] * np.array(colour, np.float32)
    return colours


def blend(colours: Floats, colour: Colour, weight: Floats) -> Floats:
    """Mix one colour into many; its weight is 0..1, (...)."""
    mixed: Floats = colours + weight[..., None] * (np.array(colour, np.float32) - colours)
    return mixed


def lawn(x: Floats, y: Floats, noise: Noise) -> Floats:
    """Mown grass: stripes, tufts, and patches that the sun has dried."""
    stripes = 0.05 * np.tanh(4 * np.sin(x * 2.1 + 0.6 * y))
    tufts = 0.34 * (noise.smooth(x, y * 0.6, 0.05) - 0.5) + 0.2 * (noise.smooth(x, y, 0.16) - 0.5)
    colours = tint(LAWN, 1.0 + stripes + tufts)
    dry = np.clip(2.4 * noise.cloudy(x, y, 2.7) - 1.1, 0, 1)
    return blend(colours, (168, 158, 94), 0.3 * dry)


def paving(x: Floats, y: Floats, noise: Noise, slab: float, colour: Colour) -> Floats:
    """Slabs in running bond, each a little different, with joints and stains."""
    row = np.floor(y / slab)
    shifted = x / (1.5 * slab) + 0.5 * np.mod(row, 2)
    column = np.floor(shifted)
    along = 1.5 * slab * np.minimum(shifted - column, 1 - (shifted - column))
    across = slab * np.minimum(y / slab - row, 1 - (y / slab - row))
    joint = np.clip(1 - np.minimum(along, across) / 0.022, 0, 1)
    brightness = (
        0.97
        + 0.12 * (noise.cells(column, row) - 0.5)
        + 0.1 * (noise.smooth(x, y, 0.04) - 0.5)
        + 0.16 * (noise.cloudy(x, y, 1.9) - 0.5)
    )
    return tint(colour, brightness * (1 - 0.3 * joint))


def asphalt(x: Floats, y: Floats, noise: Noise, middle: float, half_width: float) -> Floats:
    """A road with a broken centre line and edge lines, worn tracks and grit."""
    grit = 0.2 * (noise.smooth(x, y, 0.035) - 0.5) + 0.16 * (noise.cloudy(x, y, 3.1) - 0.5)
    tracks = 0.05 * np.cos((y - middle) / half_width * 2 * np.pi)
    colours = tint(ASPHALT, 1.0 + grit - tracks)
    centre_line = (np.abs(y - middle) < 0.07) & (np.mod(x, 4.5) < 2.2)
    edge_line = np.abs(np.abs(y - middle) - (half_width - 0.3)) < 0.05
    wear = 0.35 + 0.6 * noise.smooth(x, y, 0.12)
    return blend(colours, MARKING, np.where(centre_line | edge_line, 0.85, 0.0) * wear)


def kerb(x: Floats, y: Floats, noise: Noise) -> Floats:
    """Long stones end to end."""
    joint = np.mod(x, 1.0) < 0.03
    brightness = 1.02 + 0.14 * (noise.smooth(x, y, 0.07) - 0.5) - 0.25 * joint
    return tint(KERB, brightness.astype(np.float32))


def plaster(x: Floats, z: Floats, noise: Noise, colour: Colour) -> Floats:
    """A painted wall with weather marks that run down."""
    streaks = 0.09 * (noise.smooth(x, z * 0.12, 0.3) - 0.5)
    return tint(colour, 1.0 + streaks + 0.08 * (noise.cloudy(x, z, 1.3) - 0.5))


def brick(x: Floats, z: Floats, noise: Noise, colour: Colour) -> Floats:
    """Brickwork in running bond with light joints."""
    row = np.floor(z / 0.085)
    shifted = x / 0.26 + 0.5 * np.mod(row, 2)
    column = np.floor(shifted)
    joint = ((shifted - column) < 0.07) | ((z / 0.085 - row) < 0.18)
    brightness = (
        0.96 + 0.3 * (noise.cells(column, row) - 0.5) + 0.1 * (noise.cloudy(x, z, 1.1) - 0.5)
    )
    stone = tint(colour, brightness)
    return np.where(joint[..., None], 0.5 * stone + 0.5 * np.array([178, 164, 148]), stone).astype(
        np.float32
    )
