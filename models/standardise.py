"""From energy terms to one energy: each term standardised by its statistics in the scene (ours).

The motion term has the largest weight. The residual has less, after its dependence on how crowded
the frame is has been removed; the still term adds to the energy above two spreads. The energy is a
sum, so that slight deviations in two terms add up.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.scene_model import EnergyTerms

_STILLEST = -4.0
"""Least standardised motion of a frame, in spreads: without the bound, an empty street would hide
an object that was left behind."""
_STILL_DOUBT = 2.0
"""Spreads up to which the still term is ignored: people stand still now and then."""
_CROWD_PRIOR = 2 * 0.3**2
"""Weight of the prior of the slope, which is 0, as a variation of the crowd: that of two clips that
differ by 0.3 in log share."""


@dataclass(frozen=True, slots=True, eq=False)
class TermStatistics:
    """Statistics of the pooled terms on normal frames of one scene."""

    mean: Tensor
    """Typical value of each term, (terms,)."""
    spread: Tensor
    """Their standard deviation, (terms,), positive."""
    crowding: Tensor
    """Slope of the residual over `EnergyTerms.crowd`, and the crowd's mean in the support, (2,)."""

    def tensors(self) -> dict[str, Tensor]:
        """By name, for storage."""
        return {"mean": self.mean, "spread": self.spread, "crowding": self.crowding}


def crowding_of(residual: Tensor, crowd: Tensor) -> Tensor:
    """Linear dependence of the residual on the crowd.

    Args:
        residual: Pooled, of K clips, each under the dictionary of the others, (K,).
        crowd: Of the same clips, (K,).

    Returns:
        (2,): slope, at least 0 and shrunk towards 0, and mean of the crowd.
    """
    middle = crowd.mean()
    deviation = crowd - middle
    slope = (deviation * (residual - residual.mean())).sum() / (
        deviation.square().sum() + _CROWD_PRIOR
    )
    return torch.stack([slope.clamp_min(0.0), middle])


def without_crowd(terms: EnergyTerms, crowding: Tensor) -> Tensor:
    """Pooled terms (B, terms), corrected to the mean crowd of the support."""
    slope, middle = crowding
    frames = terms.frames.clone()
    frames[:, 0] -= slope * (terms.crowd - middle)
    return frames


def standardised_parts(terms: EnergyTerms, usual: TermStatistics, weights: Tensor) -> Tensor:
    """Contribution of each term to the energy of a frame.

    Args:
        terms: Of B clips in one scene.
        usual: Of the scene.
        weights: (terms,).

    Returns:
        (B, terms), in the order of `models.scene_model.TERMS`; 0 is typical.
    """
    frames = without_crowd(terms, usual.crowding)
    residual, *others = ((frames - usual.mean) / usual.spread).unbind(1)
    if not others:
        return (residual * weights[0]).unsqueeze(1)
    motion, still = others
    parts = [residual, motion.clamp_min(_STILLEST), (still - _STILL_DOUBT).clamp_min(0.0)]
    return torch.stack(parts, dim=1) * weights


def standardised_energy(
    terms: EnergyTerms, usual: TermStatistics, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted sum of the standardised terms, for frames and for cells.

    A cell with less motion than typical counts as typical.

    Args:
        terms: Of B clips in one scene.
        usual: Of the scene.
        weights: (terms,).

    Returns:
        Energies (B,) and the map (B, h, w) in the same unit.
    """
    energies = standardised_parts(terms, usual, weights).sum(1)
    scale = weights / usual.spread
    maps = (terms.cells[0] - usual.mean[0]) * scale[0]
    if len(terms.cells) > 1:
        _, motion, still = terms.cells
        maps = maps + ((motion - usual.mean[1]) * scale[1]).clamp_min(0.0)
        doubt = _STILL_DOUBT * weights[2]
        maps = maps + ((still - usual.mean[2]) * scale[2] - doubt).clamp_min(0.0)
    return energies, maps
