"""The paper's negatives: a normal clip with up to three still patches (its appendix A.4).

Langevin sampling inpaints the patches; the sampled clips are the negatives of the contrastive
objective.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from models.training.random_values import integer, uniform

Kind = Literal["noise", "constant", "copy", "blur"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_PATCHES = 3
AREA = (0.0025, 0.025)
"""Bounds of a patch's area relative to the frame's (paper, Algorithm 1)."""
ASPECT = (0.01, 100.0)
"""Bounds of a patch's height over its width (paper, Algorithm 1). It is drawn log-uniformly:
uniform in the ratio itself, 99 of 100 patches would be upright strips."""
_BLUR_SIGMA = (1.5, 5.0)  # pixels; the paper does not say
_TRIES = 50


@dataclass(frozen=True, slots=True)
class InpaintedPatch:
    """One patch, in pixels."""

    kind: Kind
    top: int
    left: int
    height: int
    width: int


def draw_patches(size_hw: tuple[int, int], random: torch.Generator) -> list[InpaintedPatch]:
    """One to three patches that lie inside a frame of that size."""
    count = integer(1, MOST_PATCHES, random)
    return [_draw_patch(size_hw, random) for _ in range(count)]


def corrupt(clip: Tensor, patches: list[InpaintedPatch], random: torch.Generator) -> Tensor:
    """Lay patches over a clip.

    A patch keeps its place over the frames. Noise and constants are the same in all frames; copied
    and blurred content moves as in the clip.

    Args:
        clip: (T, H, W) or (T, 3, H, W) in [0, 1]; not changed.
        patches: Inside the frame; a later one covers an earlier one.
        random: Source of the content.

    Returns:
        The shape of the clip, in [0, 1].
    """
    out = clip.clone()
    for patch in patches:
        rows = slice(patch.top, patch.top + patch.height)
        columns = slice(patch.left, patch.left + patch.width)
        out[..., rows, columns] = _content(clip, patch, random)
    return out


def _draw_patch(size_hw: tuple[int, int], random: torch.Generator) -> InpaintedPatch:
    height, width = size_hw
    area = uniform(*AREA, random) * height * width
    patch_h = patch_w = max(1, round(math.sqrt(area)))
    for _ in range(_TRIES):  # a strip may be longer than the frame; then another one is drawn
        aspect = math.exp(uniform(math.log(ASPECT[0]), math.log(ASPECT[1]), random))
        tall = round(math.sqrt(area * aspect))
        wide = round(area / max(1, tall))
        if 1 <= tall <= height and 1 <= wide <= width:
            patch_h, patch_w = tall, wide
            break
    return InpaintedPatch(
        kind=KINDS[integer(0, len(KINDS) - 1, random)],
        top=integer(0, height - patch_h, random),
        left=integer(0, width - patch_w, random),
        height=patch_h,
        width=patch_w,
    )


def _content(clip: Tensor, patch: InpaintedPatch, random: torch.Generator) -> Tensor:
    """Content of a patch; broadcasts against (T, …, h, w)."""
    height, width = clip.shape[-2:]
    colours = clip.shape[1:-2]
    if patch.kind == "noise":
        return torch.rand(*colours, patch.height, patch.width, generator=random)
    if patch.kind == "constant":
        return torch.rand(*colours, 1, 1, generator=random)
    top, left = patch.top, patch.left
    if patch.kind == "copy":
        top = integer(0, height - patch.height, random)
        left = integer(0, width - patch.width, random)
        return clip[..., top : top + patch.height, left : left + patch.width]
    return _blurred(clip, patch, uniform(*_BLUR_SIGMA, random))


def _blurred(clip: Tensor, patch: InpaintedPatch, sigma: float) -> Tensor:
    """The clip at the patch under a Gaussian blur that includes its surroundings."""
    height, width = clip.shape[-2:]
    reach = math.ceil(2.5 * sigma)
    offsets = torch.arange(-reach, reach + 1).float()
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    # Rows and columns around the patch; beyond the frame its border is repeated.
    rows = torch.arange(patch.top - reach, patch.top + patch.height + reach).clamp(0, height - 1)
    columns = torch.arange(patch.left - reach, patch.left + patch.width + reach)
    around = clip[..., rows, :][..., columns.clamp(0, width - 1)]
    planes = around.reshape(-1, 1, *around.shape[-2:])
    planes = functional.conv2d(planes, kernel.view(1, 1, -1, 1))
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1))
    return planes.view(*clip.shape[:-2], patch.height, patch.width).clamp(0.0, 1.0)
