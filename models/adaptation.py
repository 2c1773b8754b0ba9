"""Adapting to a scene: K normal clips in, everything that is particular to the scene out.

No gradient step is taken. The dictionary is one forward pass (paper, section 3.2). Ours are the
leave-one-out energies: what normal looks like to a dictionary that has not seen it. They are too
high, for the others are one clip fewer than the scene will be watched with; what one clip fewer
costs is measured by leaving out a second one, and taken off (the jackknife of Quenouille).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.dictionary import Dictionary
from models.energy import pool_lags
from models.row_normal import log_ratio
from models.scene_exemplars import SceneExemplars
from models.scene_model import EnergyTerms, Observation, SceneModel
from models.standardise import (
    TermStatistics,
    crowding_of,
    standardised_energy,
    without_crowd,
)

_PRIOR_WEIGHT_MEAN = 0.2
"""Support clips that the prior of a term's mean is worth: what a term varies by within a scene over
what its mean varies by between scenes, both squared; 0.25 and 0.13 for the two terms on the
training scenes. Scenes differ far more than clips of one."""
_PRIOR_WEIGHT_SPREAD = 5.0
_ALONE_SHIFT, _ALONE_SPREAD = 4.3, 1.5
"""What the residual of normal clips is in a scene of a single clip: so many prior spreads above the
prior mean, and so many times as varied; median of the training scenes, 0.34 and 0.047 where ten
clips give 0.23 and 0.032."""
_FEWEST_FOR_BIAS = 3
"""Support clips from which on a second one can be left out."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedScene:
    """One scene as the model knows it; immutable, made by `SceneScorer.adapt`."""

    dictionary: Dictionary
    row_normal: Tensor | None
    """Normal motion of each row, (C, h); None where the model has no motion term."""
    usual: TermStatistics
    """Of the energy terms on normal frames of this scene, leaning on the model's prior when K is
    small."""
    support_energies: tuple[float, ...]
    """Energy of each support clip under the dictionary of the others, less what their being one
    fewer costs in the mean; empty for K = 1."""
    size_hw: tuple[int, int]
    """Size in pixels of the clips that the scene was made from."""
    shots: int
    """Number K of support clips."""
    model_id: str
    """Identity of the model; its scenes are of no use to another."""
    memory: SceneExemplars | None = None
    """What was labelled normal since (`models.feedback`); not kept with the scene."""


def adapt(model: SceneModel, support: Tensor, model_id: str) -> AdaptedScene:
    """Make a scene from its support.

    Args:
        model: In evaluation mode.
        support: uint8 (K, T, H, W, 3).
        model_id: Kept in the scene.

    Raises:
        ValueError: no clip, or clips of another shape.
    """
    if support.shape[0] == 0:
        raise ValueError("support: want at least 1 clip, got 0")
    size_hw = (support.shape[2], support.shape[3])
    return adapt_observation(model, model.observe(support), size_hw, model_id)


def adapt_observation(
    model: SceneModel, observation: Observation, size_hw: tuple[int, int], model_id: str
) -> AdaptedScene:
    """Make a scene from a support that the network has already seen."""
    dictionary = model.dictionary(observation)
    row_normal = model.row_normal(observation)
    left_out = _leave_one_out(model, observation, dictionary, row_normal)
    usual = _term_statistics(model, observation, row_normal, left_out)
    energies = [float(standardised_energy(terms, usual, model.weights())[0]) for terms in left_out]
    return AdaptedScene(
        dictionary=dictionary,
        row_normal=row_normal,
        usual=usual,
        support_energies=tuple(energies),
        size_hw=size_hw,
        shots=observation.features.shape[0],
        model_id=model_id,
    )


def _leave_one_out(
    model: SceneModel, support: Observation, dictionary: Dictionary, row_normal: Tensor | None
) -> list[EnergyTerms]:
    """Terms of each clip as if it were a new one; none for a single clip.

    The row normal stays that of all clips: of its two parameters one clip has a small share.
    """
    shots = support.features.shape[0]
    if shots == 1:
        return []
    others = [dictionary.without(clip) for clip in range(shots)]
    left_out = [model.terms(support[[clip]], others[clip], row_normal) for clip in range(shots)]
    if shots < _FEWEST_FOR_BIAS:
        return left_out
    further = [
        model.terms(
            support[[clip]], others[clip].without((clip + shots // 2) % shots), row_normal
        ).frames
        for clip in range(shots)
    ]
    one_fewer = torch.cat(further).mean(0) - torch.cat([t.frames for t in left_out]).mean(0)
    least = torch.full_like(one_fewer, -math.inf)
    least[0] = least[2:] = 0.0  # no residual is below, however still the scene
    return [
        replace(terms, frames=torch.maximum(terms.frames - one_fewer, least)) for terms in left_out
    ]


def _term_statistics(
    model: SceneModel,
    support: Observation,
    row_normal: Tensor | None,
    left_out: Sequence[EnergyTerms],
) -> TermStatistics:
    """Statistics of the pooled terms: the support's own, leaning on the prior.

    A single clip leaves no others to be judged by: its residual is what single clips give in other
    scenes. Its motion is its own, for that asks for no dictionary.
    """
    prior_mean, prior_spread = model.prior_mean.clone(), model.prior_spread.clone()
    crowding = torch.zeros(2, device=prior_mean.device)
    if left_out:
        crowding = crowding_of(
            torch.cat([terms.frames[:, 0] for terms in left_out]),
            torch.cat([terms.crowd for terms in left_out]),
        )
        frames = torch.cat([without_crowd(terms, crowding) for terms in left_out])
    else:
        for place in (0, 2)[: prior_mean.numel()]:  # the residual, and that of still cells
            prior_mean[place] += _ALONE_SHIFT * prior_spread[place]
            prior_spread[place] *= _ALONE_SPREAD
        frames = prior_mean.clone().unsqueeze(0)
        if support.motion is not None and row_normal is not None:
            by_lag = log_ratio(support.motion, row_normal)
            frames[:, 1] = pool_lags(by_lag, model.config.motion_cells)
    count = frames.shape[0]
    mean = (frames.sum(0) + _PRIOR_WEIGHT_MEAN * prior_mean) / (count + _PRIOR_WEIGHT_MEAN)
    scatter = (frames - frames.mean(0)).square().sum(0)  # of count − 1 degrees of freedom
    variance = (scatter + _PRIOR_WEIGHT_SPREAD * prior_spread.square()) / (
        count - 1 + _PRIOR_WEIGHT_SPREAD
    )
    return TermStatistics(mean, variance.sqrt(), crowding)
