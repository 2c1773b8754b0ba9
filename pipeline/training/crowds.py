"""Composed crowds for training: people cut out of a scene, laid over its clips as normal.

If only anomalies are laid over clips, a network may learn the artefacts of the overlay: soft edges,
another noise. Where normal people are laid over clips as well, only appearance and motion separate
the two. Crowds also turn quiet scenes into busy ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from models.training.overlay import MovingCutOut, overlay
from pipeline.training.views import in_other_light

_POOL = 10
"""Most cut-outs of one crowd."""
_TRIES = 20
_FEWEST = 4
_TALLEST = 0.35
"""Tallest cut-out of a crowd, as a share of the frame's height."""
_MOST_AT_ONCE = (2, 12)
_GAIN = (0.85, 1.15)
_OWN_PACE = 0.4
"""Largest change of a person's speed, in pixels per frame."""
_BAND = (0.25, 0.7)
"""Height of the band of the frame that a crowd walks through, as a share of the frame's height."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """People of one episode's crowd; its support and its queries have different ones."""

    support: tuple[MovingCutOut, ...]
    queries: tuple[MovingCutOut, ...]
    most: int
    """Most people at once; there may be none."""
    rows: tuple[int, int]
    """First and last row of a cut-out's upper edge."""

    def gather(
        self, of_support: bool, size_hw: tuple[int, int], random: np.random.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Choose people of the crowd, each at a random place.

        Args:
            of_support: Take those of the support; else those of the queries.
            size_hw: Of the clips that they are laid over.
            random: Source of all random choices.

        Returns:
            Function that lays them over a clip, (T, H, W) or (T, 3, H, W); always the same ones.
        """
        cut_outs = self.support if of_support else self.queries
        placed = []
        for _ in range(int(random.integers(0, self.most + 1))):
            cut_out = _varied(cut_outs[int(random.integers(len(cut_outs)))], random)
            height, width = cut_out.alpha.shape[1:]
            low, high = (min(row, size_hw[0] - height) for row in self.rows)
            place = (
                int(random.integers(low, high + 1)),
                int(random.integers(0, size_hw[1] - width + 1)),
            )
            placed.append((cut_out, place, (0.0, float(random.uniform(-_OWN_PACE, _OWN_PACE)))))

        def laid(clip: Tensor) -> Tensor:
            for cut_out, place, velocity in placed:
                clip = overlay(clip, cut_out, place, velocity).clip
            return clip

        return laid


def draw_crowd(
    cut: Callable[[], MovingCutOut | None],
    size_hw: tuple[int, int],
    random: np.random.Generator,
    tall: tuple[float, float] | None = None,
) -> Crowd | None:
    """Draw the crowd of an episode.

    Args:
        cut: Cuts out one object, all of them on one scale; None where nothing moved.
        size_hw: Of the clips, in pixels.
        random: Source of all random choices.
        tall: Range of the median height after scaling, as shares of the frame's height; None:
            unscaled.

    Returns:
        A crowd; None where there are too few cut-outs, or they are too large.
    """
    cut_outs, height = _cut_out(cut), size_hw[0]
    if tall is not None and cut_outs:
        wanted = height * float(np.exp(random.uniform(*np.log(tall))))
        factor = wanted / float(np.median([_tall(cut_out) for cut_out in cut_outs]))
        cut_outs = [_scaled(cut_out, factor) for cut_out in cut_outs]
    cut_outs = [cut_out for cut_out in cut_outs if _fits(cut_out, size_hw)]
    if len(cut_outs) < _FEWEST:
        return None
    band = height * float(random.uniform(*_BAND))
    top = float(random.uniform(0, height - band))
    half = len(cut_outs) // 2
    return Crowd(
        tuple(cut_outs[:half]),
        tuple(cut_outs[half:]),
        int(random.integers(_MOST_AT_ONCE[0], _MOST_AT_ONCE[1] + 1)),
        (round(top), round(top + band)),
    )


def _cut_out(cut: Callable[[], MovingCutOut | None]) -> list[MovingCutOut]:
    """Up to `_POOL` cut-outs, fewer where little moves."""
    cut_outs: list[MovingCutOut] = []
    for tries in range(_TRIES):
        if len(cut_outs) == _POOL or (tries >= _TRIES // 2 and not cut_outs):
            break
        if (cut_out := cut()) is not None:
            cut_outs.append(cut_out)
    return cut_outs


def _tall(cut_out: MovingCutOut) -> int:
    """Rows that the object covers in the newest frame; the cut-out is larger."""
    return max(1, int((cut_out.alpha[-1] > 0.5).any(1).sum()))


def _fits(cut_out: MovingCutOut, size_hw: tuple[int, int]) -> bool:
    cut_h, cut_w = cut_out.alpha.shape[1:]
    small = _tall(cut_out) <= _TALLEST * size_hw[0]
    return small and cut_h < size_hw[0] and cut_w < size_hw[1]


def _scaled(cut_out: MovingCutOut, factor: float) -> MovingCutOut:
    height, width = (max(2, round(side * factor)) for side in cut_out.alpha.shape[1:])

    def resized(planes: Tensor) -> Tensor:
        flat = planes.reshape(1, -1, *planes.shape[-2:])
        out = functional.interpolate(flat, (height, width), mode="bilinear", antialias=True)
        return out.clamp(0, 1).view(*planes.shape[:-2], height, width)

    return MovingCutOut(resized(cut_out.pixels), resized(cut_out.alpha), cut_out.top)


def _varied(cut_out: MovingCutOut, random: np.random.Generator) -> MovingCutOut:
    """Variation of a cut-out: random brightness and direction."""
    pixels, alpha = cut_out.pixels, cut_out.alpha
    if random.random() < 0.5:
        pixels, alpha = pixels.flip(-1), alpha.flip(-1)
    gain = float(random.uniform(*_GAIN))
    return MovingCutOut(in_other_light(pixels, gain), alpha, cut_out.top)
