"""What a scene remembers beside its dictionary, while it is watched (ours, not in the paper).

The dictionary stays what the adaptation made. Beside it a few cells have a second one: their own
atoms and those of what was labelled normal there. Only what the first one explains badly is coded
again over the second one, so that remembering costs nothing where nothing stands out, and never
raises the energy of a cell.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import SceneModelConfig
from models.dictionary import Dictionary, feature_vectors, prepare, reconstruct
from models.sparse_coding import sparse_code

_EXCESS_GAIN = 3.0
"""How steeply motion beyond what is allowed counts again, until it counts in full."""

_BENEFIT = 1.0
"""How much more of a cell is believed, as a share of what the memory explains of it: the same thing
beside somebody else, or half behind them, never looks quite as it did."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneExemplars:
    """What was labelled normal in one scene; made by `models.feedback.remember`."""

    cells: Tensor
    """Places of the cells that remember something, in row order, rising, int (R,)."""
    dictionary: Dictionary
    """Of these cells only: the scene's atoms and what is remembered there."""
    typical_residual: Tensor
    """Residual up to which a cell stands out for nobody, ()."""
    allowance: Tensor | None
    """Log motion of each cell that counts as typical, (h, w), −∞ where nothing is remembered; None
    where the model has no motion term."""
    typical_motion: Tensor | None
    """What it then counts as, ()."""


def residual_with_exemplars(
    residual: Tensor, features: Tensor, memory: SceneExemplars, config: SceneModelConfig
) -> Tensor:
    """Residual of every cell, lower where the memory explains what the scene does not.

    Args:
        residual: As the scene's dictionary leaves it, (B, h, w).
        features: (B, d, h, w).
        memory: Of the scene.
        config: How to code.

    Returns:
        (B, h, w), nowhere above `residual`, and the same in all cells that remember nothing.
    """
    flat = residual.flatten(1)
    clips, rows = (flat[:, memory.cells] > memory.typical_residual).nonzero(as_tuple=True)
    if not rows.numel():
        return residual
    cells, atoms = memory.cells[rows], memory.dictionary
    vectors = feature_vectors(features, config.receptive_field)[cells, clips]
    left = left_over(vectors, atoms, rows, config)
    first = flat[clips, cells]
    explained = (first - left).clamp_min(0.0)
    rest = torch.maximum(left - _BENEFIT * explained, memory.typical_residual)
    lowered = torch.minimum(first, rest)
    return flat.index_put((clips, cells), lowered).view_as(residual)


def excused_motion(motion: Tensor, memory: SceneExemplars) -> Tensor:
    """Log motion of every cell, typical where no more moves than was labelled normal there.

    Args:
        motion: (…, h, w).
        memory: Of the scene.

    Returns:
        (…, h, w), nowhere above `motion`.
    """
    if memory.allowance is None or memory.typical_motion is None:
        return motion
    excess = (motion - memory.allowance).clamp_min(0.0)
    return torch.minimum(motion, memory.typical_motion + _EXCESS_GAIN * excess)


def left_over(
    vectors: Tensor, dictionary: Dictionary, rows: Tensor, config: SceneModelConfig
) -> Tensor:
    """What the atoms of some rows leave of a feature vector each, (n,)."""
    part = Dictionary(
        own=dictionary.own[rows],
        shared=dictionary.shared,
        mean=dictionary.mean[rows],
        step=dictionary.step[rows],
        own_clip=dictionary.own_clip[rows],
        shared_clip=dictionary.shared_clip,
    )
    z = prepare(vectors.unsqueeze(1), part.mean, config)
    return (z - reconstruct(part, sparse_code(z, part, config))).square().sum(-1).squeeze(1)
