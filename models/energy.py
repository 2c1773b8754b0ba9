"""Energy terms: how badly the scene's dictionary explains a clip, and how much more it moves."""

import torch
from torch import Tensor
from torch.nn import functional

from models.config import SceneModelConfig
from models.dictionary import Dictionary, feature_vectors, prepare, reconstruct
from models.sparse_coding import sparse_code

MOTION_BOX_PIXELS = 24
"""Side of the box over which the frame difference is averaged; about a person at 240×320."""
_MOTION_FLOOR = 0.002  # half a grey level: below it there is only camera noise


def residual_energy(features: Tensor, dictionary: Dictionary, config: SceneModelConfig) -> Tensor:
    """‖z − Dα‖² of every cell (Eq. 8), summed over channels.

    The mean over channels that Eq. 8 leaves open would make energies of 1e-4 and contrastive
    divergence inert.

    Args:
        features: (B, d, h, w).
        dictionary: Dictionary of the scene.
        config: How to code.

    Returns:
        (B, h, w); in [0, 1] where vectors have unit length and codes are exact.
    """
    height, width = features.shape[-2:]
    z = prepare(feature_vectors(features, config.receptive_field), dictionary.mean, config)
    residual = z - reconstruct(dictionary, sparse_code(z, dictionary, config))
    return residual.square().sum(-1).T.reshape(-1, height, width)


def motion_energy(grey: Tensor, stride: int) -> Tensor:
    """Log of the mean absolute frame difference in a box around every cell (ours).

    Args:
        grey: Clips (B, T, H, W) in [0, 1], T >= 2, oldest first; the last two frames count.
        stride: Pixels between cells, a multiple of 2.

    Returns:
        (B, ceil(H/stride), ceil(W/stride)), between log 0.002 and 0.
    """
    difference = (grey[:, -1:] - grey[:, -2:-1]).abs()
    half = stride // 2
    boxes = functional.avg_pool2d(
        difference,
        MOTION_BOX_PIXELS,
        half,
        MOTION_BOX_PIXELS // 2,
        count_include_pad=False,
    )
    height, width = (-(-size // stride) for size in grey.shape[-2:])
    # One cell takes the strongest of the boxes centred inside it.
    pooled = functional.max_pool2d(boxes, 2, 2, ceil_mode=True)
    return torch.log(pooled[:, 0, :height, :width] + _MOTION_FLOOR)


def pool_top(cells: Tensor, count: int) -> Tensor:
    """Mean of the `count` highest cells (ours): the mean of all drowns a small anomaly.

    Args:
        cells: (B, h, w).
        count: How many; 0 for all.

    Returns:
        (B,).
    """
    flat = cells.flatten(1)
    if count == 0:
        return flat.mean(1)
    return flat.topk(min(count, flat.shape[1]), dim=1).values.mean(1)
