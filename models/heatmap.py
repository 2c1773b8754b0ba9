"""Pixel-level heatmap: gradient of the energy."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.adaptation import AdaptedScene
from models.energy import residual_energy
from models.inputs import colour_clips, grey_clips
from models.scene_exemplars import residual_with_exemplars
from models.scene_model import SceneModel

POOLED_PIXELS = 4
"""Side of the boxes of a pooled heatmap: single pixels of a gradient are noise."""


def gradient_heatmaps(
    model: SceneModel, clips: Tensor, scenes: Sequence[AdaptedScene]
) -> list[Tensor]:
    """|∇ₓE| of the residual energy in the newest frame of clips (paper, section 3.1, Algorithm 1).

    The energy is the sum of the residuals of all cells (Eq. 8). Optical flow has no gradient: of a
    model with motion this shows what looks unlike the support, not what moves too fast.

    Args:
        model: In evaluation mode.
        clips: uint8 (B, T, H, W, 3).
        scenes: Each clip is judged in every one of them.

    Returns:
        For each scene (B, H, W), >= 0, in energy per full pixel range, summed over the colour
        channels.
    """
    x = colour_clips(clips) if model.config.colour else grey_clips(clips)
    x = x.detach().requires_grad_(True)
    heatmaps = []
    with torch.enable_grad():
        features = model.features(x)
        for number, scene in enumerate(scenes, start=1):
            cells = residual_energy(features, scene.dictionary, model.config)
            if scene.exemplars is not None:
                cells = residual_with_exemplars(cells, features, scene.exemplars, model.config)
            again = number < len(scenes)
            (gradient,) = torch.autograd.grad(cells.sum(), x, retain_graph=again)
            newest = gradient[:, -1] if model.config.colour else gradient[:, -1:]
            heatmaps.append(newest.abs().sum(1))
    return heatmaps


def pooled(heatmaps: Tensor) -> Tensor:
    """Means of the boxes of `POOLED_PIXELS` pixels: (B, H, W) to (B, h, w), rounded up."""
    boxes = functional.avg_pool2d(heatmaps[:, None], POOLED_PIXELS, ceil_mode=True)
    return boxes[:, 0]
