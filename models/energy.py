"""Energy terms: the residual of a clip under the scene's dictionary, and that of still cells."""

import torch
from torch import Tensor

from models.config import SceneModelConfig
from models.dictionary import Dictionary, correlate, feature_vectors, prepare, reconstruct
from models.sparse_coding import sparse_code

_STILL = 0.02
"""Largest share of the box around a cell that moves in a still cell."""
_CODED_FIRST = 3
"""Cells that are coded at first, as a multiple of the pooled ones."""


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
    return _coded(z, dictionary, config).T.reshape(-1, height, width)


def highest_residuals(
    features: Tensor, dictionary: Dictionary, config: SceneModelConfig, moving: Tensor | None
) -> Tensor:
    """`residual_energy`, exact only in the cells that `pool_top` takes (ours).

    The residual of the best single atom bounds the residual of the code from above, and costs a
    tenth of it. Cells are coded from the highest bound down, until the bound of all others is below
    the lowest residual that is pooled; the others keep their bound, so that no pooled value is
    changed by what is left out.

    Args:
        features: (B, d, h, w).
        dictionary: Dictionary of the scene.
        config: Of the model; with `warm_start`, and at least one pooled cell.
        moving: Share of the box around each cell that moves, (B, h, w); None: only the pooled
            residual of all cells is wanted.

    Returns:
        (B, h, w), nowhere below the residual.
    """
    height, width = features.shape[-2:]
    vectors = feature_vectors(features, config.receptive_field)
    z = prepare(vectors, dictionary.mean, config)
    residual = _of_best_atom(z, correlate(dictionary, z)).T
    pools = [(torch.zeros_like(residual), min(config.top_cells, residual.shape[1]))]
    if moving is not None and config.still_cells:
        hidden = torch.where(moving.flatten(1) <= _STILL, 0.0, torch.inf)
        pools.append((hidden, min(config.still_cells, residual.shape[1])))
    coded = torch.zeros_like(residual, dtype=torch.bool)
    wanted = torch.zeros_like(coded)
    for hidden, count in pools:
        first = min(_CODED_FIRST * count, residual.shape[1])
        wanted.scatter_(1, (residual - hidden).topk(first, dim=1).indices, True)
    while bool(wanted.any()):
        clips, cells = wanted.nonzero(as_tuple=True)
        left = remaining_residual(vectors[cells, clips], dictionary, cells, config)
        residual[clips, cells] = left
        coded |= wanted
        wanted = torch.zeros_like(coded)
        for hidden, count in pools:
            shown = residual - hidden
            wanted.scatter_(1, shown.topk(count, dim=1).indices, True)
        wanted &= ~coded
    return residual.view(-1, height, width)


def remaining_residual(
    vectors: Tensor, dictionary: Dictionary, cells: Tensor, config: SceneModelConfig
) -> Tensor:
    """Residual of single feature vectors, each under the dictionary of its cell.

    Args:
        vectors: (n, d).
        dictionary: Of all cells.
        cells: Cell of each vector, int (n,).
        config: Configuration of the sparse coder.

    Returns:
        (n,).
    """
    part = dictionary.of_cells(cells)
    return _coded(prepare(vectors.unsqueeze(1), part.mean, config), part, config).squeeze(1)


def _coded(z: Tensor, dictionary: Dictionary, config: SceneModelConfig) -> Tensor:
    """Residual of the code of z (cells, B, d): (cells, B).

    A code that starts from its best atom, and leaves more than this atom alone, is not used (ours):
    thresholds shrink a code that needs no second atom.
    """
    correlation = correlate(dictionary, z)
    code = sparse_code(z, dictionary, config, correlation)
    left = (z - reconstruct(dictionary, code)).square().sum(-1)
    return torch.minimum(left, _of_best_atom(z, correlation)) if config.warm_start else left


def _of_best_atom(z: Tensor, correlation: Tensor) -> Tensor:
    """Residual of z (cells, B, d) under its best single atom, given Dᵀz: (cells, B)."""
    best = correlation.amax(-1).clamp_min(0.0)
    return (z.square().sum(-1) - best.square()).clamp_min(0.0)


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
