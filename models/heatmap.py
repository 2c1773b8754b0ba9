"""Where the energy comes from, pixel by pixel."""

import torch
from torch import Tensor

from models.adaptation import AdaptedScene
from models.energy import residual_energy
from models.inputs import colour_input, grey_clips, motion_input
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
    grey = model.config.backbone == "motion"
    x = grey_clips(clip[None]) if grey else colour_input(clip[None])
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        features = model.backbone(motion_input(x) if grey else x)
        energy = residual_energy(features, scene.dictionary, model.config).sum()
        (gradient,) = torch.autograd.grad(energy, x)
    newest = gradient[0, -1:] if grey else gradient[0, :, -1]
    return newest.abs().sum(0)
