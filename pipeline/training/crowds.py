"""Crowds for training: people of a scene, cut out and laid over its clips as normal life.

A network that sees only anomalies laid over a clip may learn to see the laying: soft edges, another
noise. Where normal life is laid over it as well, nothing but what moves, and how, tells the two
apart. It also makes busy scenes of quiet ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from models.training.overlay import MovingCutOut, lay
from pipeline.training.views import in_other_light

_POOL = 10
"""Things that are cut out for one crowd, as far as anything moves."""
_TRIES = 20
_FEWEST = 4
_TALLEST = 0.35
"""Of a crowd's things, as a share of the picture's height."""
_MOST_AT_ONCE = (2, 12)
_GAIN = (0.85, 1.15)
_OWN_PACE = 0.4
"""Pixels per frame by which somebody may be slower or faster than they were."""
_BAND = (0.25, 0.7)
"""Height of the part of the picture that a crowd walks through, as a share of the whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Who walks through one episode; others in its support than in its queries."""

    support: tuple[MovingCutOut, ...]
    queries: tuple[MovingCutOut, ...]
    most: int
    """At once; there may be none."""
    rows: tuple[int, int]
    """First and last row that a thing's upper edge may lie on."""

    def gather(
        self, of_support: bool, size_hw: tuple[int, int], random: np.random.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Some of the crowd, each at a random place.

        Args:
            of_support: Whether those of the support are wanted, or those of the queries.
            size_hw: Of the clips that they are laid over.
            random: Source of every choice.

        Returns:
            What lays them over a clip, (T, H, W) or (T, 3, H, W); always the same ones.
        """
        things = self.support if of_support else self.queries
        placed = []
        for _ in range(int(random.integers(0, self.most + 1))):
            thing = _varied(things[int(random.integers(len(things)))], random)
            height, width = thing.alpha.shape[1:]
            low, high = (min(row, size_hw[0] - height) for row in self.rows)
            place = (
                int(random.integers(low, high + 1)),
                int(random.integers(0, size_hw[1] - width + 1)),
            )
            placed.append((thing, place, (0.0, float(random.uniform(-_OWN_PACE, _OWN_PACE)))))

        def laid(clip: Tensor) -> Tensor:
            for thing, place, velocity in placed:
                clip = lay(clip, thing, place, velocity).clip
            return clip

        return laid


def draw_crowd(
    cut: Callable[[], MovingCutOut | None],
    size_hw: tuple[int, int],
    random: np.random.Generator,
    tall: tuple[float, float] | None = None,
) -> Crowd | None:
    """Who walks through an episode.

    Args:
        cut: Cuts out one thing, all of them on one scale; None where nothing moved.
        size_hw: Of the clips, in pixels.
        random: Source of every choice.
        tall: All are scaled so that the middle one is so tall, between these shares of the
            picture's height; None: they are as tall as they were.

    Returns:
        A crowd; None where too little moves for one, or what moves is too large.
    """
    things, height = _cut_out(cut), size_hw[0]
    if tall is not None and things:
        wanted = height * float(np.exp(random.uniform(*np.log(tall))))
        factor = wanted / float(np.median([_tall(thing) for thing in things]))
        things = [_scaled(thing, factor) for thing in things]
    things = [thing for thing in things if _fits(thing, size_hw)]
    if len(things) < _FEWEST:
        return None
    band = height * float(random.uniform(*_BAND))
    top = float(random.uniform(0, height - band))
    half = len(things) // 2
    return Crowd(
        tuple(things[:half]),
        tuple(things[half:]),
        int(random.integers(_MOST_AT_ONCE[0], _MOST_AT_ONCE[1] + 1)),
        (round(top), round(top + band)),
    )


def _cut_out(cut: Callable[[], MovingCutOut | None]) -> list[MovingCutOut]:
    """As many as are wanted, or fewer where little moves."""
    things: list[MovingCutOut] = []
    for tries in range(_TRIES):
        if len(things) == _POOL or (tries >= _TRIES // 2 and not things):
            break
        if (thing := cut()) is not None:
            things.append(thing)
    return things


def _tall(thing: MovingCutOut) -> int:
    """Rows that it covers in the newest frame; what was cut out with it is larger."""
    return max(1, int((thing.alpha[-1] > 0.5).any(1).sum()))


def _fits(thing: MovingCutOut, size_hw: tuple[int, int]) -> bool:
    cut_h, cut_w = thing.alpha.shape[1:]
    small = _tall(thing) <= _TALLEST * size_hw[0]
    return small and cut_h < size_hw[0] and cut_w < size_hw[1]


def _scaled(thing: MovingCutOut, factor: float) -> MovingCutOut:
    height, width = (max(2, round(side * factor)) for side in thing.alpha.shape[1:])

    def resized(planes: Tensor) -> Tensor:
        flat = planes.reshape(1, -1, *planes.shape[-2:])
        out = functional.interpolate(flat, (height, width), mode="bilinear", antialias=True)
        return out.clamp(0, 1).view(*planes.shape[:-2], height, width)

    return MovingCutOut(resized(thing.pixels), resized(thing.alpha), thing.top)


def _varied(thing: MovingCutOut, random: np.random.Generator) -> MovingCutOut:
    """Somebody else of the same kind: in other light, walking the other way."""
    pixels, alpha = thing.pixels, thing.alpha
    if random.random() < 0.5:
        pixels, alpha = pixels.flip(-1), alpha.flip(-1)
    gain = float(random.uniform(*_GAIN))
    return MovingCutOut(in_other_light(pixels, gain), alpha, thing.top)
