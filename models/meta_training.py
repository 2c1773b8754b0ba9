"""Meta-training over episodes: learn features whose sparse code tells what is foreign to a scene.

The discriminative objective (ours, not in the paper): in every episode a dictionary is made from
the support, queries with planted anomalies are coded over it, and each cell's energy is asked to
tell planted from normal. The normal cells with the highest energies weigh extra: they are
tomorrow's false alarms.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.scene_model import SceneModel

_HARD_CELLS = 20
_POOLED_CELLS = 20
_WARM_UP = 50


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One scene's support and queries for one training step."""

    support: Tensor
    """Normal clips, (K, T, H, W) grey in [0, 1]."""
    query: Tensor
    """Clips to judge, (M, T, H, W)."""
    target: Tensor
    """(M, h, w): 1 planted, 0 normal, -1 neither (a cell that is touched only a little)."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Settings of one training run."""

    iterations: int
    """Steps in all; the learning rate comes down to 0 over them."""
    episodes: int = 2
    """Episodes a step."""
    learning_rate: float = 2e-3
    """Highest rate of AdamW."""
    hard_weight: float = 0.5
    """Weight of the highest normal cells."""
    rank_weight: float = 0.5
    """Weight of ranking every planted clip above every normal one."""
    average: float = 0.995
    """Decay of the averaged weights, which are the result."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did."""

    iteration: int
    loss: float
    energy_normal: float
    """Mean energy of normal cells."""
    energy_planted: float
    """Mean energy of planted cells."""
    learning_rate: float


class Trainer:
    """A resumable training run: everything that changes is in `state`."""

    def __init__(self, model: SceneModel, options: TrainingOptions) -> None:
        self.model = model.train()
        self.options = options
        self.iteration = 0
        # Turns an energy in [0, 2] into a logit: scale·(energy − offset).
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.offset = nn.Parameter(torch.tensor(0.4))
        self.optimiser = torch.optim.AdamW(
            [
                {"params": list(model.parameters()), "weight_decay": 1e-4},
                {"params": [self.scale, self.offset], "weight_decay": 0.0},
            ],
            lr=options.learning_rate,
        )
        self.averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def step(self, draw: Callable[[], Episode]) -> Progress:
        """One optimiser step over `options.episodes` episodes.

        Raises:
            FloatingPointError: the loss is no longer finite.
        """
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        losses, normal, planted = [], [], []
        for _ in range(self.options.episodes):
            episode = draw()
            energy = self._energy(episode)
            loss = self._loss(energy, episode.target)
            (loss / self.options.episodes).backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
            normal.append(float(energy.detach()[episode.target == 0].mean()))
            planted.append(float(energy.detach()[episode.target == 1].mean().nan_to_num()))
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"training diverged at iteration {self.iteration}: loss {losses}; "
                "want a lower learning rate"
            )
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.iteration += 1
        self._average()
        count = len(losses)
        return Progress(
            self.iteration, sum(losses) / count, sum(normal) / count, sum(planted) / count, rate
        )

    def _energy(self, episode: Episode) -> Tensor:
        """Residual energy of every query cell, (M, h, w)."""
        shots = episode.support.shape[0]
        seen = self.model.observe_grey(torch.cat([episode.support, episode.query]))
        dictionary = self.model.dictionary(seen[:shots])
        return self.model.terms(seen[shots:], dictionary).cells[0]

    def _loss(self, energy: Tensor, target: Tensor) -> Tensor:
        logits = self.scale * (energy - self.offset)
        normal, planted = logits[target == 0], logits[target == 1]
        loss = functional.softplus(normal).mean()
        if planted.numel():
            loss = loss + functional.softplus(-planted).mean()
        per_clip = logits.masked_fill(target != 0, -math.inf).flatten(1)
        hard = per_clip.topk(_HARD_CELLS, dim=1).values
        loss = loss + self.options.hard_weight * functional.softplus(hard).mean()
        # What counts in the end: pooled like a frame, anomalies above normal life, however crowded.
        return loss + self.options.rank_weight * _rank(logits, target, hard.mean(1))

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.iteration + 1) / _WARM_UP)
        through = self.iteration / max(1, self.options.iterations)
        return self.options.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * through))

    def _average(self) -> None:
        # Early on the average follows closely, or it would remember the random start.
        decay = min(self.options.average, self.iteration / (self.iteration + 10))
        for name, value in self.model.state_dict().items():
            self.averaged[name].lerp_(value.detach(), 1.0 - decay)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on: tensors and plain data, for `torch.save`."""
        return {
            "iteration": self.iteration,
            "iterations": self.options.iterations,
            "model": self.model.state_dict(),
            "averaged": self.averaged,
            "scale": self.scale.detach(),
            "offset": self.offset.detach(),
            "optimiser": self.optimiser.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: the state is of a run of another length, whose learning rate went otherwise.
        """
        if state["iterations"] != self.options.iterations:
            raise ValueError(
                f"training state: want a run of {self.options.iterations} iterations, "
                f"got one of {state['iterations']}"
            )
        self.iteration = state["iteration"]
        self.model.load_state_dict(state["model"])
        self.averaged = dict(state["averaged"])
        with torch.no_grad():
            self.scale.copy_(state["scale"])
            self.offset.copy_(state["offset"])
        self.optimiser.load_state_dict(state["optimiser"])


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
