"""Overlaying a cut-out on a clip."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MovingCutOut:
    """A moving object, cut out of its scene."""

    pixels: Tensor
    """(T, h, w) or (T, 3, h, w) in [0, 1], smaller than the clip that it is laid over."""
    alpha: Tensor
    """(T, h, w) in [0, 1]: 1 the object, 0 its original surroundings."""
    top: int
    """Row of its upper edge in the frame that it was cut out of."""
    left: int = 0
    """Column of its left edge in the same frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaid:
    """A clip with a cut-out laid over it, and its masks."""

    clip: Tensor
    """(T, H, W), or (T, 3, H, W) in colour, in [0, 1]."""
    mask: Tensor
    """bool (H, W): where the cut-out is in the newest frame."""
    touched: Tensor
    """bool (H, W): where any frame was changed, the mask included."""


def overlay(
    clip: Tensor,
    cut_out: MovingCutOut,
    place: tuple[int, int],
    velocity: tuple[float, float] = (0.0, 0.0),
) -> Overlaid:
    """Lay a moving cut-out over a clip.

    Args:
        clip: (T, H, W) or (T, 3, H, W) in [0, 1]; not changed.
        cut_out: Of as many frames, and smaller.
        place: Row and column of its upper left corner in the newest frame.
        velocity: Pixels per frame down and right, added to its own motion.
    """
    length, (height, width) = clip.shape[0], clip.shape[-2:]
    cut_h, cut_w = cut_out.alpha.shape[1:]
    changed = clip.clone()
    mask = torch.zeros(height, width, dtype=torch.bool)
    touched = torch.zeros(height, width, dtype=torch.bool)
    for number in range(length):
        age = length - 1 - number
        y = round(place[0] - velocity[0] * age)
        x = round(place[1] - velocity[1] * age)
        y0, y1 = max(0, y), min(height, y + cut_h)
        x0, x1 = max(0, x), min(width, x + cut_w)
        if y0 >= y1 or x0 >= x1:
            continue
        inside = (..., slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
        alpha = cut_out.alpha[number][inside]
        spot = changed[number, ..., y0:y1, x0:x1]
        spot += alpha * (cut_out.pixels[number][inside] - spot)
        touched[y0:y1, x0:x1] |= alpha > 0
        if number == length - 1:
            mask[y0:y1, x0:x1] = alpha > 0.5
    return Overlaid(changed, mask, touched)
