"""Scoring with the feedback exemplars of a scene (ours, not in the paper).

The dictionary of the adaptation is left unchanged. A few cells have a second dictionary: their own
atoms and those of the exemplars there. Only cells with a high residual under the first dictionary
are coded again over the second one, so that exemplars cost nothing where the residual is typical,
and never raise the energy of a cell.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import SceneModelConfig
from models.dictionary import Dictionary, feature_vectors
from models.energy import remaining_residual

_EXCESS_GAIN = 3.0
"""Slope with which motion beyond the allowance counts, up to its full value."""

_BENEFIT = 1.0
"""Further reduction of a cell's residual, as a share of what the exemplars explain of it: the same
object next to a person, or partly occluded, never looks quite the same."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneExemplars:
    """Samples labelled normal in one scene; built by `models.feedback.with_exemplars`."""

    cells: Tensor
    """Indices of the cells that have exemplars, in row order, rising, int (R,)."""
    dictionary: Dictionary
    """Of these cells only: the scene's atoms and the exemplar atoms."""
    typical_residual: Tensor
    """Residual up to which a cell counts as typical, ()."""
    allowance: Tensor | None
    """Log motion up to which a cell counts as typical, (h, w), −∞ where there is no exemplar; None
    where the model has no motion term."""
    typical_motion: Tensor | None
    """Log motion assigned to such cells, ()."""


def residual_with_exemplars(
    residual: Tensor, features: Tensor, exemplars: SceneExemplars, config: SceneModelConfig
) -> Tensor:
    """Residual of every cell, lower where the exemplars explain what the scene does not.

    Args:
        residual: Under the scene's dictionary, (B, h, w).
        features: (B, d, h, w).
        exemplars: Of the scene.
        config: Configuration of the sparse coder.

    Returns:
        (B, h, w), nowhere above `residual`, and equal to it in all cells without exemplars.
    """
    flat = residual.flatten(1)
    clips, rows = (flat[:, exemplars.cells] > exemplars.typical_residual).nonzero(as_tuple=True)
    if not rows.numel():
        return residual
    cells, atoms = exemplars.cells[rows], exemplars.dictionary
    vectors = feature_vectors(features, config.receptive_field)[cells, clips]
    left = remaining_residual(vectors, atoms, rows, config)
    first = flat[clips, cells]
    explained = (first - left).clamp_min(0.0)
    rest = torch.maximum(left - _BENEFIT * explained, exemplars.typical_residual)
    lowered = torch.minimum(first, rest)
    return flat.index_put((clips, cells), lowered).view_as(residual)


def motion_with_exemplars(motion: Tensor, exemplars: SceneExemplars) -> Tensor:
    """Log motion of every cell, reduced to typical where the exemplars allow it.

    Args:
        motion: (…, h, w).
        exemplars: Of the scene.

    Returns:
        (…, h, w), nowhere above `motion`.
    """
    if exemplars.allowance is None or exemplars.typical_motion is None:
        return motion
    excess = (motion - exemplars.allowance).clamp_min(0.0)
    return torch.minimum(motion, exemplars.typical_motion + _EXCESS_GAIN * excess)
