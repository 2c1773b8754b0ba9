"""Cutting moving objects out of a scene by background subtraction."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.training.overlay import MovingCutOut

_CHANGE = 0.07  # grey levels of [0, 1]; foreground pixels differ more from the background
_SMALLEST_PIXELS = 40
_LARGEST_SHARE = 0.15
_SIDE = (0.05, 0.3)
"""Range of the square root of the object's area, as a share of the frame's height."""
_AROUND = 0.6
"""Margin around the object's box that contains its earlier positions, in sizes of the box."""

Mask = npt.NDArray[np.uint8]


def cut_out(
    clip: Tensor,
    background: Tensor,
    random: np.random.Generator,
    keep_size_and_light: bool = False,
    mirror: bool = True,
) -> MovingCutOut | None:
    """Cut out a moving object, and scale it to a random size.

    Args:
        clip: (T, H, W) or (T, 3, H, W) in [0, 1].
        background: (H, W) or (3, H, W) in [0, 1].
        random: Source of all random choices.
        keep_size_and_light: Do not scale it or change its brightness, for use in its own scene.
        mirror: Mirror every second one horizontally.

    Returns:
        A cut-out smaller than the frame; None where no object of suitable size moved.
    """
    change = (clip - background).abs()
    if change.ndim == 4:
        change = change.amax(1)
    masks = [_solid(cv2.blur(one, (3, 3)) > _CHANGE) for one in change.numpy()]
    height, width = background.shape[-2:]
    box = _pick(masks[-1], height * width * _LARGEST_SHARE, random)
    if box is None:
        return None
    (left, top, box_w, box_h), only = box
    masks[-1] = only
    grow_y, grow_x = round(box_h * _AROUND), round(box_w * _AROUND)
    rows = slice(max(0, top - grow_y), min(height, top + box_h + grow_y))
    columns = slice(max(0, left - grow_x), min(width, left + box_w + grow_x))

    wanted = height * float(np.exp(random.uniform(*np.log(_SIDE))))
    zoom = 1.0 if keep_size_and_light else wanted / float(np.sqrt(only.sum()))
    part_h, part_w = rows.stop - rows.start, columns.stop - columns.start
    zoom = min(zoom, 0.9 * height / part_h, 0.9 * width / part_w)
    size = (max(2, round(part_w * zoom)), max(2, round(part_h * zoom)))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    mirrored = random.random() < 0.5 and mirror

    def scaled(picture: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        out = cv2.resize(picture[rows, columns], size, interpolation=way)
        return np.asarray(out[:, ::-1] if mirrored else out, dtype=np.float32)

    planes = clip.reshape(-1, height, width).numpy()
    pixels = np.stack([scaled(one) for one in planes])
    pixels = pixels.reshape(*clip.shape[:-2], *pixels.shape[1:])
    alpha = np.stack([scaled(cv2.blur(mask.astype(np.float32), (3, 3))) for mask in masks])
    if not keep_size_and_light:
        gain, shift = random.uniform(0.8, 1.25), random.uniform(-0.08, 0.08)
        pixels = ((pixels - 0.5) * gain + 0.5 + shift).clip(0, 1).astype(np.float32)
    return MovingCutOut(
        torch.from_numpy(pixels),
        torch.from_numpy(alpha.clip(0, 1)),
        rows.start,
        columns.start,
    )


def _solid(mask: npt.NDArray[np.bool_]) -> Mask:
    """Bridge small gaps, drop specks, fill holes."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, ellipse)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, ellipse)
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled: Mask = np.zeros_like(opened)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled


def _pick(
    mask: Mask, largest: float, random: np.random.Generator
) -> tuple[tuple[int, int, int, int], Mask] | None:
    """Box (left, top, width, height) and mask of one component, larger ones more likely."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:count, cv2.CC_STAT_AREA].astype(float)
    areas[(areas < _SMALLEST_PIXELS) | (areas > largest)] = 0
    if not areas.any():
        return None
    part = 1 + int(random.choice(len(areas), p=areas / areas.sum()))
    left, top, width, height = (int(value) for value in stats[part, :4])
    return (left, top, width, height), (parts == part).astype(np.uint8)
