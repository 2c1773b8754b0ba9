"""Laying something that was cut out over a clip."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MovingCutOut:
    """Something that moves, cut out of its scene."""

    pixels: Tensor
    """(T, h, w) or (T, 3, h, w) in [0, 1], smaller than the clip that it goes into."""
    alpha: Tensor
    """(T, h, w) in [0, 1]: 1 the thing, 0 its old surroundings."""
    top: int
    """Row of the picture in which it was cut out, of its upper edge."""
    left: int = 0
    """Column of the same, of its left edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaid:
    """A clip with a thing laid over it, and where."""

    clip: Tensor
    """(T, H, W), or (T, 3, H, W) in colour, in [0, 1]."""
    mask: Tensor
    """bool (H, W): where the thing is in the newest frame."""
    touched: Tensor
    """bool (H, W): where any frame was changed, the mask included."""


def lay(
    clip: Tensor,
    thing: MovingCutOut,
    place: tuple[int, int],
    velocity: tuple[float, float] = (0.0, 0.0),
) -> Overlaid:
    """Let a thing cross a clip.

    Args:
        clip: (T, H, W) or (T, 3, H, W) in [0, 1]; not changed.
        thing: Of as many frames, and smaller.
        place: Row and column of its upper left corner in the newest frame.
        velocity: Pixels per frame down and right, beside what it moves by itself.
    """
    length, (height, width) = clip.shape[0], clip.shape[-2:]
    thing_h, thing_w = thing.alpha.shape[1:]
    changed = clip.clone()
    mask = torch.zeros(height, width, dtype=torch.bool)
    touched = torch.zeros(height, width, dtype=torch.bool)
    for number in range(length):
        age = length - 1 - number
        y = round(place[0] - velocity[0] * age)
        x = round(place[1] - velocity[1] * age)
        y0, y1 = max(0, y), min(height, y + thing_h)
        x0, x1 = max(0, x), min(width, x + thing_w)
        if y0 >= y1 or x0 >= x1:
            continue
        inside = (..., slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
        alpha = thing.alpha[number][inside]
        spot = changed[number, ..., y0:y1, x0:x1]
        spot += alpha * (thing.pixels[number][inside] - spot)
        touched[y0:y1, x0:x1] |= alpha > 0
        if number == length - 1:
            mask[y0:y1, x0:x1] = alpha > 0.5
    return Overlaid(changed, mask, touched)
