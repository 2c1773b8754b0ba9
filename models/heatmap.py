"""Pixel-level heatmap: gradient of the energy."""

import torch
from torch import Tensor

from models.adaptation import AdaptedScene
from models.energy import residual_energy
from models.inputs import colour_clips, grey_clips
from models.scene_exemplars import residual_with_exemplars
from models.scene_model import SceneModel


def gradient_heatmap(model: SceneModel, clip: Tensor, scene: AdaptedScene) -> Tensor:
    """|∇ₓE| of the residual energy in the newest frame (paper, section 3.3).

    Args:
        model: In evaluation mode.
        clip: uint8 (T, H, W, 3).
        scene: The clip's scene.

    Returns:
        (H, W), >= 0, in energy per full pixel range, summed over the colour channels.
    """
    x = colour_clips(clip[None]) if model.config.colour else grey_clips(clip[None])
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        features = model.features(x)
        residual = residual_energy(features, scene.dictionary, model.config)
        if scene.exemplars is not None:
            residual = residual_with_exemplars(residual, features, scene.exemplars, model.config)
        (gradient,) = torch.autograd.grad(residual.sum(), x)
    newest = gradient[0, -1] if model.config.colour else gradient[0, -1:]
    return newest.abs().sum(0)
