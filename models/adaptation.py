"""Adapting to a scene: K normal clips in, all scene-specific state out.

No gradient step is taken. The dictionary is one forward pass (paper, section 3.2). Ours are the
leave-one-out energies: the energy of each support clip under the dictionary of the other clips.
They are biased upwards, because that dictionary holds one clip fewer than the one used for scoring.
The bias is estimated by leaving out a second clip and is subtracted (the jackknife of Quenouille).
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
"""Weight of the prior of a term's mean, in support clips: the variance of a term within a scene
over the variance of its mean between scenes; 0.25 and 0.13 for the two terms on the training
scenes. Scenes differ far more than clips of one scene."""
_PRIOR_WEIGHT_SPREAD = 5.0
_SINGLE_CLIP_SHIFT, _SINGLE_CLIP_SPREAD = 4.3, 1.5
"""Residual of normal clips in a scene of a single support clip: shift of the mean above the prior
mean in prior spreads, and ratio of the standard deviations; medians over the training scenes, where
one clip gives 0.34 and 0.047 and ten clips give 0.23 and 0.032."""
_FEWEST_FOR_BIAS = 3
"""Least number of support clips with which a second one can be left out."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedScene:
    """Scene-specific state of the model; immutable, built by `SceneScorer.adapt`."""

    dictionary: Dictionary
    row_normal: Tensor | None
    """Normal motion of each row, (C, h); None where the model has no motion term."""
    usual: TermStatistics
    """Statistics of the energy terms on normal frames of this scene, shrunk towards the model's
    prior when K is small."""
    support_energies: tuple[float, ...]
    """Energy of each support clip under the dictionary of the others, less the mean bias of leaving
    one clip out; empty for K = 1."""
    size_hw: tuple[int, int]
    """Size in pixels of the support clips."""
    shots: int
    """Number K of support clips."""
    model_id: str
    """Identity of the model; a scene fits this model only."""
    exemplars: SceneExemplars | None = None
    """Events labelled normal since the adaptation (`models.feedback`); not saved with the scene."""


def adapt_observation(
    model: SceneModel, observation: Observation, size_hw: tuple[int, int], model_id: str
) -> AdaptedScene:
    """Build a scene from the features and motion of its support."""
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
    """Energy terms of each clip under the dictionary of the others; none for a single clip.

    The row normal of all clips is used: one clip has little influence on its two parameters.
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
    least[0] = least[2:] = 0.0  # residuals are never negative
    return [
        replace(terms, frames=torch.maximum(terms.frames - one_fewer, least)) for terms in left_out
    ]


def _term_statistics(
    model: SceneModel,
    support: Observation,
    row_normal: Tensor | None,
    left_out: Sequence[EnergyTerms],
) -> TermStatistics:
    """Statistics of the pooled terms of the support, shrunk towards the prior.

    A single clip has no leave-one-out residual: the mean and spread of single-clip scenes are used.
    Its motion is measured directly, because motion needs no dictionary.
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
        for place in (0, 2)[: prior_mean.numel()]:  # the residual, and the residual of still cells
            prior_mean[place] += _SINGLE_CLIP_SHIFT * prior_spread[place]
            prior_spread[place] *= _SINGLE_CLIP_SPREAD
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
