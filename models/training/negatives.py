"""Synthetic anomalies for training, planted into normal clips.

The paper plants still patches of four kinds (its appendix A.4): noise, a constant, a copy from the
same image, blur (`models.training.inpainting`). Ours add motion: objects cut out of other scenes,
patches of other scenes and copies, all with a random velocity, people of the same scene that move
too fast, and regions that are played several times too fast.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.training.overlay import MovingCutOut, overlay
from models.training.random_values import integer, pick

_KINDS = ("foreign",) * 4 + ("copy", "constant", "noise", "blur")
ONLY_IN_MOTION = frozenset({"sped up", "fast mover"})
"""Kinds that a single frame cannot show."""
_SPED_UP_SHARE = 0.2
_CUT_OUT_SHARE = 0.3
_FAST_MOVER_SHARE = 0.25
_LEFT_SHARE = 0.4
"""Share of the cut-outs that stand still."""
_FAST_MOVER_SPEED = (2.5, 9.0)
"""Pixels per frame that are added to the walking speed of a fast mover."""
_DEPTH_RANGE = 0.08
"""Largest distance of a fast mover from its original row, as a share of the frame's height."""
_VISIBLE = 0.04  # grey levels of [0, 1]; smaller differences of a pixel are invisible


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A clip with a planted anomaly, and its masks."""

    clip: Tensor
    """(T, H, W), or (T, 3, H, W) in colour, in [0, 1]."""
    mask: Tensor
    """bool (H, W): where the anomaly is in the newest frame."""
    touched: Tensor
    """bool (H, W): where any frame was changed, the mask included."""
    kind: str
    """Kind of the anomaly."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Content of anomalies; drawn only on demand."""

    foreign: Callable[[], Tensor]
    """A clip of another scene, in [0, 1], of the same shape as the clip."""
    fast: Callable[[], Tensor]
    """The same view as the clip, ending at the same time, played several times faster."""
    cut_out: Callable[[], MovingCutOut | None]
    """An object of another scene; None where nothing moved there."""
    own: Callable[[], MovingCutOut | None]
    """An object of the same scene at another time, unscaled; None where nothing moved."""


def plant(clip: Tensor, material: Material, random: torch.Generator) -> Planted:
    """Plant one anomaly of a random kind.

    Args:
        clip: (T, H, W) or (T, 3, H, W) in [0, 1], oldest first; not changed.
        material: Of the same shape.
        random: Source of all random choices.

    Returns:
        The changed clip; its mask may be empty, for example where nothing moved that could be sped
        up.
    """
    draw = float(torch.rand((), generator=random))
    if draw < _SPED_UP_SHARE:
        return _speed_up(clip, material.fast(), random)
    if draw < _SPED_UP_SHARE + _CUT_OUT_SHARE and (cut_out := material.cut_out()) is not None:
        if float(torch.rand((), generator=random)) < _LEFT_SHARE:
            return _overlay(clip, _frozen(cut_out), (0.0, 0.0), "left", random)
        return _overlay(clip, cut_out, _velocity(random), "cut-out", random)
    draw -= _SPED_UP_SHARE + _CUT_OUT_SHARE
    if 0 <= draw < _FAST_MOVER_SHARE and (cut_out := material.own()) is not None:
        return _fast_mover(clip, cut_out, random)
    kind = pick(_KINDS, random)
    source = material.foreign() if kind == "foreign" else clip
    return _paste(clip, source, kind, random)


def _speed_up(clip: Tensor, fast: Tensor, random: torch.Generator) -> Planted:
    alpha = _soft_shape(clip.shape[-2:], random, smallest=0.15, largest=0.6)
    mixed = clip + alpha * (fast - clip)
    changed = (mixed != clip).flatten(0, -3).any(0)
    return _where_visible(clip, mixed, alpha > 0.5, changed, "sped up")


def _fast_mover(clip: Tensor, cut_out: MovingCutOut, random: torch.Generator) -> Planted:
    """A person of the same scene, but too fast: on wheels, or running."""
    low, high = _FAST_MOVER_SPEED
    speed = float(torch.empty(()).uniform_(low, high, generator=random))
    if float(torch.rand((), generator=random)) < 0.5:
        speed = -speed
    height = clip.shape[-2]
    reach = round(_DEPTH_RANGE * height)
    lowest = height - cut_out.alpha.shape[1]
    top = min(max(cut_out.top + integer(-reach, reach, random), 0), lowest)
    climb = 0.15 * speed * float(torch.empty(()).uniform_(-1, 1, generator=random))
    return _overlay(clip, cut_out, (climb, speed), "fast mover", random, top)


def _paste(clip: Tensor, source: Tensor, kind: str, random: torch.Generator) -> Planted:
    length, (height, width) = clip.shape[0], clip.shape[-2:]
    side = float(torch.empty(()).uniform_(0.04, 0.28, generator=random)) * height
    aspect = float(torch.empty(()).uniform_(0.4, 2.2, generator=random))
    patch_h = max(6, min(height - 2, round(side * aspect**0.5)))
    patch_w = max(6, min(width - 2, round(side / aspect**0.5)))
    patch = _patch(source, kind, (patch_h, patch_w), random)
    alpha = _edge((patch_h, patch_w), random).expand(length, -1, -1)
    return _overlay(clip, MovingCutOut(patch, alpha, 0), _velocity(random), kind, random)


def _frozen(cut_out: MovingCutOut) -> MovingCutOut:
    """The cut-out with its newest frame in every frame."""
    return replace(
        cut_out,
        pixels=cut_out.pixels[-1:].expand_as(cut_out.pixels),
        alpha=cut_out.alpha[-1:].expand_as(cut_out.alpha),
    )


def _overlay(
    clip: Tensor,
    cut_out: MovingCutOut,
    velocity: tuple[float, float],
    kind: str,
    random: torch.Generator,
    top: int | None = None,
) -> Planted:
    """Lay a moving cut-out over the clip; in the newest frame it is inside the clip.

    Args:
        clip: (T, H, W) or (T, 3, H, W); not changed.
        cut_out: Smaller than the clip.
        velocity: Pixels per frame down and right.
        kind: Kind of the result.
        random: Source of the position.
        top: Row of its upper edge in the newest frame; None: random.
    """
    (height, width), (cut_h, cut_w) = clip.shape[-2:], cut_out.alpha.shape[1:]
    if top is None:
        top = integer(0, height - cut_h, random)
    laid = overlay(clip, cut_out, (top, integer(0, width - cut_w, random)), velocity)
    return _where_visible(clip, laid.clip, laid.mask, laid.touched, kind)


def _where_visible(
    clip: Tensor, planted: Tensor, mask: Tensor, touched: Tensor, kind: str
) -> Planted:
    """Restrict the mask to visible changes: invisible ones are touched, but no anomaly."""
    changed = (planted - clip).abs().flatten(0, -3).amax(0) > _VISIBLE
    # Grow by a few pixels: the neighbourhood of a moving edge moves too.
    grown = changed[None, None].float()
    for kernel in ((9, 1), (1, 9)):
        grown = functional.max_pool2d(grown, kernel, 1, (kernel[0] // 2, kernel[1] // 2))
    return Planted(planted, mask & (grown[0, 0] > 0), touched, kind)


def _patch(source: Tensor, kind: str, size_hw: tuple[int, int], random: torch.Generator) -> Tensor:
    """Content of a patch, (T, …, h, w)."""
    height, width = source.shape[-2:]
    colours = source.shape[1:-2]
    patch_h, patch_w = size_hw
    if kind == "constant":
        value = torch.rand(*colours, 1, 1, generator=random)
        return value.expand(*source.shape[:-2], patch_h, patch_w)
    if kind == "noise":
        noise = torch.rand(*colours, patch_h, patch_w, generator=random)
        return noise.expand(*source.shape[:-2], -1, -1)
    y = integer(0, height - patch_h, random)
    x = integer(0, width - patch_w, random)
    if kind == "foreign" and float(torch.rand((), generator=random)) < 0.6:
        y, x = _most_changing_window(source, size_hw)
    patch = source[..., y : y + patch_h, x : x + patch_w]
    if kind == "blur":
        planes = patch.reshape(1, -1, patch_h, patch_w)
        blurred = functional.avg_pool2d(planes, 5, 1, 2, count_include_pad=False)
        patch = blurred.view_as(patch)
    elif kind == "foreign":
        gain = float(torch.empty(()).uniform_(0.7, 1.3, generator=random))
        patch = ((patch - patch.mean()) * gain + patch.mean()).clamp(0, 1)
        if float(torch.rand((), generator=random)) < 0.5:
            patch = patch[-1:].expand_as(patch)
    return patch


def _most_changing_window(clip: Tensor, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Top left corner of the window of that size with the most change."""
    change = (clip[-1] - clip[0]).abs().reshape(-1, *clip.shape[-2:]).amax(0)[None, None]
    sums = functional.avg_pool2d(change, size_hw, 1)[0, 0]
    place = int(sums.argmax())
    return place // sums.shape[1], place % sums.shape[1]


def _velocity(random: torch.Generator) -> tuple[float, float]:
    """Pixels per frame down and right; a quarter of all patches stand still."""
    if float(torch.rand((), generator=random)) < 0.25:
        return 0.0, 0.0
    speed = float(torch.empty(()).uniform_(1.0, 10.0, generator=random))
    angle = float(torch.rand((), generator=random)) * 6.2832
    return speed * 0.5 * float(torch.tensor(angle).sin()), speed * float(torch.tensor(angle).cos())


def _edge(size_hw: tuple[int, int], random: torch.Generator) -> Tensor:
    """Soft-edged ellipse or box, (h, w) in [0, 1]."""
    y = torch.linspace(-1, 1, size_hw[0]).abs()[:, None]
    x = torch.linspace(-1, 1, size_hw[1]).abs()[None, :]
    if float(torch.rand((), generator=random)) < 0.6:
        radius = (y.square() + x.square()).sqrt()
    else:
        radius = torch.maximum(y.expand(size_hw), x.expand(size_hw))
    softness = float(torch.empty(()).uniform_(0.05, 0.35, generator=random))
    return ((1.0 - radius) / softness).clamp(0, 1)


def _soft_shape(
    size_hw: torch.Size, random: torch.Generator, smallest: float, largest: float
) -> Tensor:
    """A soft shape at a random place of an empty frame, (H, W) in [0, 1]."""
    height, width = size_hw
    shape_h = round(height * float(torch.empty(()).uniform_(smallest, largest, generator=random)))
    shape_w = round(width * float(torch.empty(()).uniform_(smallest, largest, generator=random)))
    top, left = integer(0, height - shape_h, random), integer(0, width - shape_w, random)
    out = torch.zeros(height, width)
    out[top : top + shape_h, left : left + shape_w] = _edge((shape_h, shape_w), random)
    return out
