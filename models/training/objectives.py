"""Training objectives: each turns an episode into a loss of the energy.

*Discriminative* (ours, not in the paper): a dictionary is built from the support, queries with
planted anomalies are coded over it, and each cell's energy classifies planted against normal. The
normal cells with the highest energies have an additional weight: they cause false alarms.

*Contrastive* (paper, Algorithm 1): normal queries shall have low energy, clips sampled from
corrupted queries shall have high energy, and sampling shall restore the normal query.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dictionary import Dictionary
from models.energy import pool_top, residual_energy
from models.scene_model import Observation, SceneModel
from models.training.langevin import LangevinOptions, sample

_HARD_CELLS = 20
_POOLED_CELLS = 20


def _no_clips() -> Tensor:
    return torch.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One scene's support and queries for one training step.

    Clips are floats in [0, 1], grey (T, H, W) or RGB (T, 3, H, W). Clips of an objective that is
    not used may be empty.
    """

    support: Tensor
    """Normal clips, (K, T, …)."""
    query: Tensor
    """Query clips of the discriminative objective, (M, T, …)."""
    target: Tensor
    """(M, h, w): 1 planted, 0 normal, -1 ignored (a cell of which only a small part changed)."""
    normal: Tensor = field(default_factory=_no_clips)
    """Normal queries q of the contrastive objective, (N, T, …)."""
    corrupted: Tensor = field(default_factory=_no_clips)
    """The same clips with patches, q̂."""

    def to(self, device: torch.device) -> "Episode":
        """The same episode on a device."""
        return Episode(
            self.support.to(device),
            self.query.to(device),
            self.target.to(device),
            self.normal.to(device),
            self.corrupted.to(device),
        )


@dataclass(frozen=True, slots=True)
class DiscriminativeOptions:
    """Weights inside the discriminative objective."""

    hard: float = 0.5
    """Weight of the highest normal cells."""
    rank: float = 0.5
    """Weight of ranking every planted clip above every normal one."""


@dataclass(frozen=True, slots=True)
class ContrastiveOptions:
    """Weights inside the contrastive objective, and its sampling."""

    reconstruction: float = 1.0
    """η₀, weight of the mean squared error of restored against normal clips."""
    contrast: float = 0.25
    """η₁, weight of the energy of normal less that of sampled clips."""
    magnitude: float = 0.0
    """Weight of the squares of both energies (ours). Only for a model whose vectors do not have
    unit length, which bounds the energies: at 0.1 it outweighs the contrast of an untrained model
    by far, and the energies of all clips fall together."""
    langevin: LangevinOptions = field(default_factory=LangevinOptions)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectiveResult:
    """Loss and measures of an objective on an episode."""

    loss: Tensor
    """Scalar with its graph."""
    measures: dict[str, float]
    """Parts of the loss and mean energies, by their names in the log."""


class Discriminative(nn.Module):
    """Cell-wise logistic loss with a learned affine map from energies to logits."""

    def __init__(self, options: DiscriminativeOptions) -> None:
        super().__init__()
        self.options = options
        # Turns an energy in [0, 2] into a logit: scale·(energy − offset).
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.offset = nn.Parameter(torch.tensor(0.4))

    def forward(
        self, model: SceneModel, episode: Episode, autocast: bool = False
    ) -> ObjectiveResult:
        """Compute the loss of the planted queries of an episode.

        Args:
            model: The model to train.
            episode: With queries and their targets.
            autocast: Run the network in bfloat16.
        """
        shots = episode.support.shape[0]
        clips = torch.cat([episode.support, episode.query])
        seen = Observation(model.features(clips, autocast), None)  # motion has no parameters
        dictionary = model.dictionary(seen[:shots])
        energy = model.terms(seen[shots:], dictionary, None).cells[0]
        loss = self._loss(energy, episode.target)
        found = energy.detach()
        return ObjectiveResult(
            loss,
            {
                "discriminative": float(loss.detach()),
                "energy_normal": float(found[episode.target == 0].mean()),
                "energy_planted": float(found[episode.target == 1].mean().nan_to_num()),
            },
        )

    def _loss(self, energy: Tensor, target: Tensor) -> Tensor:
        logits = self.scale * (energy - self.offset)
        normal, planted = logits[target == 0], logits[target == 1]
        loss = functional.softplus(normal).mean()
        if planted.numel():
            loss = loss + functional.softplus(-planted).mean()
        per_clip = logits.masked_fill(target != 0, -math.inf).flatten(1)
        hard = per_clip.topk(min(_HARD_CELLS, per_clip.shape[1]), dim=1).values
        loss = loss + self.options.hard * functional.softplus(hard).mean()
        # The final measure: pooled like a frame, anomalies rank above normal clips, crowded ones
        # too.
        return loss + self.options.rank * _rank(logits, target, hard.mean(1))


def contrastive(
    model: SceneModel,
    episode: Episode,
    options: ContrastiveOptions,
    random: torch.Generator,
    autocast: bool = False,
) -> ObjectiveResult:
    """Compute the loss of the paper's Algorithm 1 on an episode.

    The reconstruction loss is differentiated through the last Langevin step; in the contrast the
    sampled clips are constants, as in contrastive divergence.

    Args:
        model: The model to train.
        episode: With normal queries and corrupted ones.
        options: Weights and sampling.
        random: Source of the Langevin noise.
        autocast: Run the network in bfloat16.

    Raises:
        FloatingPointError: sampling diverged.
    """
    dictionary = model.dictionary(model.observe_input(episode.support, autocast))
    energy = mean_energy(model, dictionary, autocast)
    sampled = sample(energy, episode.corrupted, options.langevin, random, keep_graph=True)
    restored = sampled.final
    seen = model.observe_input(torch.cat([episode.normal, restored.detach()]), autocast)
    judged = residual_energy(seen.features, dictionary, model.config)
    pooled = pool_top(judged, model.config.top_cells)
    positive, negative = torch.split(pooled, episode.normal.shape[0])
    reconstruction = functional.mse_loss(restored, episode.normal)
    contrast = (positive - negative).mean()
    magnitude = (positive.square() + negative.square()).mean()
    loss = (
        options.reconstruction * reconstruction
        + options.contrast * contrast
        + options.magnitude * magnitude
    )
    return ObjectiveResult(
        loss,
        {
            "reconstruction": float(reconstruction.detach()),
            "contrast": float(contrast.detach()),
            "magnitude": float(magnitude.detach()),
            "energy_positive": float(positive.detach().mean()),
            "energy_corrupted": float(sampled.energies[0].mean()),
            "energy_negative": float(negative.detach().mean()),
        },
    )


def mean_energy(
    model: SceneModel, dictionary: Dictionary, autocast: bool = False
) -> Callable[[Tensor], Tensor]:
    """The energy that sampling descends: (B, T, …) to the mean of all cells (Eq. 8), (B,).

    Not the mean of the highest cells, which our models use for scores: it would leave most of the
    frame without a gradient.
    """

    def energy(clips: Tensor) -> Tensor:
        features = model.features(clips, autocast)
        return residual_energy(features, dictionary, model.config).flatten(1).mean(1)

    return energy


def _rank(logits: Tensor, target: Tensor, normal: Tensor) -> Tensor:
    """Logistic loss of every planted clip against every normal one (ours).

    Args:
        logits: (M, h, w).
        target: (M, h, w).
        normal: Pooled logits of the clips' normal cells, (M,).
    """
    pooled = []
    for clip, where in zip(logits, target == 1, strict=True):
        cells = clip[where]
        if cells.numel():
            pooled.append(cells.topk(min(_POOLED_CELLS, cells.numel())).values.mean())
    if not pooled:
        return logits.new_zeros(())
    return functional.softplus(normal[None, :] - torch.stack(pooled)[:, None]).mean()
