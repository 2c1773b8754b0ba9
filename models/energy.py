"""Energy terms: the residual of a clip under the scene's dictionary, and that of still cells."""

from torch import Tensor

from models.config import SceneModelConfig
from models.dictionary import Dictionary, feature_vectors, prepare, reconstruct
from models.sparse_coding import sparse_code

_STILL = 0.02
"""Largest share of the box around a cell that moves in a still cell."""


def residual_energy(features: Tensor, dictionary: Dictionary, config: SceneModelConfig) -> Tensor:
    """‖z − Dα‖² of every cell (Eq. 8), summed over channels.

    The mean over channels that Eq. 8 leaves open would make energies of 1e-4 and contrastive
    divergence inert.

    Args:
        features: (B, d, h, w).
        dictionary: Dictionary of the scene.
        config: Configuration of the sparse coder.

    Returns:
        (B, h, w); in [0, 1] where vectors have unit length and codes are exact.
    """
    height, width = features.shape[-2:]
    z = prepare(feature_vectors(features, config.receptive_field), dictionary.mean, config)
    residual = z - reconstruct(dictionary, sparse_code(z, dictionary, config))
    return residual.square().sum(-1).T.reshape(-1, height, width)


def still_residual(residual: Tensor, moving: Tensor) -> Tensor:
    """Residual of the cells where nothing moves, 0 elsewhere (ours).

    A person who walks by may look unlike the support for some frames; what stands still and looks
    unlike it was left there.

    Args:
        residual: (B, h, w).
        moving: Share of the box around each cell that moves, (B, h, w).
    """
    return residual * (moving <= _STILL)


def pool_top(cells: Tensor, count: int) -> Tensor:
    """Mean of the `count` highest cells (ours): in the mean of all cells a small anomaly vanishes.

    Args:
        cells: (B, h, w).
        count: Number of cells; 0 for all.

    Returns:
        (B,).
    """
    flat = cells.flatten(1)
    if count == 0:
        return flat.mean(1)
    return flat.topk(min(count, flat.shape[1]), dim=1).values.mean(1)


def pool_lags(cells: Tensor, count: int) -> Tensor:
    """Mean over the lags of `pool_top` (ours): each lag has its own highest cells.

    What moves is seen in both lags, but not in the same cells: it has gone on between them.

    Args:
        cells: (B, lags, h, w).
        count: As of `pool_top`.

    Returns:
        (B,).
    """
    return pool_top(cells.flatten(0, 1), count).reshape(cells.shape[:2]).mean(1)
