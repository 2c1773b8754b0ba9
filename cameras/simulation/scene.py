"""The synthetic street rendered for a fixed camera, with exact labels and masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi, sin

import cv2
import numpy as np
import numpy.typing as npt

from cameras.simulation.brush import Brush, Patch, Placement
from cameras.simulation.objects import parked_car, street_lamp
from cameras.simulation.plan import ANOMALY_KINDS, AnomalyKind, PlannedAnomaly
from cameras.simulation.scenery import Scenery, make_scenery
from cameras.simulation.street import Street
from cameras.simulation.traffic import Incidents, Traffic
from cameras.simulation.viewpoint import Floats

NOISE_LEVEL = 1.8
"""Standard deviation of the sensor's noise, in grey levels."""
_NOISE_OFFSETS = 64
_SHADOW_STRENGTH = 0.46


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One rendered frame and its ground truth."""

    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB, contiguous."""
    mask: npt.NDArray[np.bool_]
    """bool (H, W), True on anomalies; shadows do not count."""
    kinds: tuple[AnomalyKind, ...]
    """Visible anomalies; empty exactly where the mask is empty."""


class SyntheticStreet:
    """A procedural street; the same seed and index always give the same frame.

    Args:
        seed: Determines the layout, the colours, the camera's position, the light and all people.
        size_hw: Height and width of the frames, at least 90 by 120.
        frames_per_second: Rate, > 0.
        anomalies: Anomalies besides normal activity.
        cycle_seconds: Time in which the street fills and empties again, > 0; None: it is always
            about as busy.

    Raises:
        ValueError: the seed, the size, the rate or the cycle is out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        size_hw: tuple[int, int] = (360, 640),
        frames_per_second: float = 15,
        anomalies: Sequence[PlannedAnomaly] = (),
        cycle_seconds: float | None = None,
    ) -> None:
        if seed < 0:
            raise ValueError(f"synthetic street: want seed >= 0, got {seed}")
        if size_hw[0] < 90 or size_hw[1] < 120:
            raise ValueError(f"synthetic street: want size_hw of at least (90, 120), got {size_hw}")
        if not frames_per_second > 0:
            raise ValueError(
                f"synthetic street: want frames_per_second > 0, got {frames_per_second}"
            )
        if cycle_seconds is not None and not cycle_seconds > 0:
            raise ValueError(f"synthetic street: want cycle_seconds > 0, got {cycle_seconds}")
        street = Street.from_seed(seed, size_hw)
        self.seed = seed
        self.size_hw = size_hw
        self.frames_per_second = frames_per_second
        self.anomalies = tuple(anomalies)
        self._brush = Brush(street.viewpoint, street.sun, street.light)
        self._scenery = _furnished(make_scenery(street), street, self._brush)
        self._traffic = Traffic(street, cycle_seconds)
        self._incidents = Incidents(street, self.anomalies)
        random = np.random.default_rng([seed, 13])
        self._noise = _noise_tile(size_hw, random)
        self._light_phases = random.uniform(0, 2 * pi, 2)

    def render(self, index: int) -> Rendered:
        """Render a frame.

        Args:
            index: Number of the frame, from 0; frames may be rendered in any order.

        Raises:
            ValueError: the index is negative.
        """
        if index < 0:
            raise ValueError(f"synthetic street: want a frame index >= 0, got {index}")
        seconds = index / self.frames_per_second
        actors = self._traffic.actors(seconds) + self._incidents.actors(seconds)
        scenery = self._scenery
        frame = scenery.pixels.copy()
        for actor in actors:
            shadow = self._brush.shadow(actor.figure, actor.placement)
            if shadow is not None:
                box, strength = shadow
                # Where a tree already blocks the sun, the shadow adds nothing.
                dark = _SHADOW_STRENGTH * strength * (1 - scenery.shade[box])
                dark *= 1 - scenery.cover[box]
                frame[box] = frame[box] * (1 - dark[..., None])
        patches = [
            (patch, actor.kind)
            for actor in actors
            if (patch := self._brush.draw(actor.figure, actor.placement)) is not None
        ]
        owner = np.zeros(self.size_hw, np.uint8)
        for patch, kind in sorted(patches, key=lambda pair: -pair[0].depth):
            opacity = _lay(frame, patch, scenery)
            owner[patch.box][opacity > 0.5] = 0 if kind is None else ANOMALY_KINDS.index(kind) + 1
        found = np.flatnonzero(np.bincount(owner.ravel(), minlength=len(ANOMALY_KINDS) + 1)[1:])
        return Rendered(
            pixels=self._as_recorded(frame, index, seconds),
            mask=owner > 0,
            kinds=tuple(ANOMALY_KINDS[number] for number in found),
        )

    def _as_recorded(
        self, frame: npt.NDArray[np.uint8], index: int, seconds: float
    ) -> npt.NDArray[np.uint8]:
        """Vary the light slowly, and add sensor noise."""
        slow, slower = self._light_phases
        gain = (
            1
            + 0.018 * sin(2 * pi * seconds / 37 + slow)
            + 0.03 * sin(2 * pi * seconds / 211 + slower)
        )
        random = np.random.default_rng([self.seed, 17, index])
        row, column = random.integers(_NOISE_OFFSETS, size=2)
        height, width = self.size_hw
        noise = self._noise[row : row + height, column : column + width]
        lit = cv2.convertScaleAbs(frame, alpha=gain)
        noisy: npt.NDArray[np.uint8] = cv2.add(lit, noise, dtype=cv2.CV_8U)  # type: ignore[assignment]
        return noisy


def _noise_tile(size_hw: tuple[int, int], random: np.random.Generator) -> npt.NDArray[np.int16]:
    """Noise for every frame: each uses another part of this larger tile."""
    height, width = size_hw[0] + _NOISE_OFFSETS, size_hw[1] + _NOISE_OFFSETS
    brightness = random.normal(0, NOISE_LEVEL, (height, width, 1))
    colour = random.normal(0, NOISE_LEVEL / 2, (height, width, 3))
    return np.round(brightness + colour).astype(np.int16)


def _lay(frame: npt.NDArray[np.uint8], patch: Patch, scenery: Scenery) -> Floats:
    """Composite a patch in place, behind nearer objects; return its visible opacity."""
    box = patch.box
    hidden = np.where(scenery.cover_depth[box] < patch.depth, scenery.cover[box], 0)
    visible: Floats = (1 - hidden).astype(np.float32)
    opacity = patch.opacity * visible
    light = np.float32(1 - 0.38 * float(scenery.shade[patch.foot]))
    mixed = frame[box] * (1 - opacity[..., None]) + patch.colours * (visible * light)[..., None]
    frame[box] = np.minimum(mixed + 0.5, 255)
    return opacity


def _furnished(scenery: Scenery, street: Street, brush: Brush) -> Scenery:
    """Draw the parked cars and the lamps onto the scenery."""
    pixels = scenery.pixels.copy()
    cover, cover_depth = scenery.cover.copy(), scenery.cover_depth.copy()
    scenery = replace(scenery, pixels=pixels, cover=cover, cover_depth=cover_depth)
    furniture = [(parked_car(number), Placement(x, y)) for x, y, number in street.parked]
    furniture += [(street_lamp(), Placement(x, y)) for x, y in street.lamps]
    for figure, placement in furniture:
        shadow = brush.shadow(figure, placement)
        if shadow is not None:
            box, strength = shadow
            dark = _SHADOW_STRENGTH * strength * (1 - scenery.shade[box]) * (1 - cover[box])
            pixels[box] = pixels[box] * (1 - dark[..., None])
    for figure, placement in furniture:
        patch = brush.draw(figure, placement)
        if patch is not None:
            opacity = _lay(pixels, patch, scenery)
            nearest = opacity > np.maximum(cover[patch.box], 0.3)
            cover_depth[patch.box][nearest] = patch.depth
            cover[patch.box] = np.maximum(cover[patch.box], opacity)
    return scenery
