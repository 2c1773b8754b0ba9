"""Meta-training over episodes: learn features whose sparse code separates anomalies from normal.

The trainer takes optimiser steps on a weighted sum of the objectives
(`models.training.objectives`), and holds the state that a run needs to resume.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.scene_model import SceneModel
from models.training.objectives import (
    ContrastiveOptions,
    Discriminative,
    DiscriminativeOptions,
    Episode,
    contrastive,
)

_WARM_UP = 50
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Settings of one training run."""

    iterations: int
    """Total number of steps; the learning rate decays to 0 over them."""
    episodes: int = 2
    """Episodes a step."""
    learning_rate: float = 2e-3
    """Highest rate of AdamW."""
    weight_decay: float = 1e-4
    """Of the network's weights; with 0, AdamW is Adam."""
    discriminative_weight: float = 1.0
    """Weight of our objective; 0: not used."""
    contrastive_weight: float = 0.0
    """Weight of the paper's objective; 0: not used."""
    discriminative: DiscriminativeOptions = field(default_factory=DiscriminativeOptions)
    contrastive: ContrastiveOptions = field(default_factory=ContrastiveOptions)
    average: float = 0.995
    """Decay of the exponential average of the weights, which is the result."""
    autocast: bool = False
    """Run the network in bfloat16."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the weights of the objectives.

        Raises:
            ValueError: names the weights.
        """
        weights = (self.discriminative_weight, self.contrastive_weight)
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(
                "training: want weights >= 0 of the discriminative and the contrastive objective, "
                f"not both 0, got {weights[0]:g} and {weights[1]:g}"
            )


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of one step."""

    iteration: int
    loss: float
    learning_rate: float
    measures: dict[str, float]
    """Measures of the objectives, mean over the episodes; the same names in every step."""


class Trainer:
    """A resumable training run: all mutable state is in `state`."""

    def __init__(self, model: SceneModel, options: TrainingOptions) -> None:
        self.model = model.train()
        self.options = options
        self.iteration = 0
        self.device = next(model.parameters()).device
        self.discriminative = Discriminative(options.discriminative).to(self.device)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": list(model.parameters()), "weight_decay": options.weight_decay},
                {"params": list(self.discriminative.parameters()), "weight_decay": 0.0},
            ],
            lr=options.learning_rate,
        )
        self.averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def step(self, draw: Callable[[], Episode]) -> StepResult:
        """One optimiser step over `options.episodes` episodes.

        Raises:
            FloatingPointError: the loss or its gradient is no longer finite, or Langevin sampling
                diverged. No weight has changed by this step.
        """
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        # A generator for each iteration, so that a resumed run draws the same noise.
        random = torch.Generator().manual_seed(self.options.seed * _SEED_STRIDE + self.iteration)
        losses: list[float] = []
        measured: list[dict[str, float]] = []
        for _ in range(self.options.episodes):
            loss, measures = self._evaluate(draw().to(self.device), random)
            (loss / self.options.episodes).backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
            measured.append(measures)
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"training diverged at iteration {self.iteration}: loss {losses}; "
                "want a lower learning rate"
            )
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not bool(norm.isfinite()):
            raise FloatingPointError(
                f"training diverged at iteration {self.iteration}: gradient of norm {float(norm)}; "
                "want a lower learning rate, or to go on without --bfloat16"
            )
        self.optimiser.step()
        self.iteration += 1
        self._average()
        count = len(losses)
        means = {name: sum(one[name] for one in measured) / count for name in measured[0]}
        return StepResult(self.iteration, sum(losses) / count, rate, means)

    def _evaluate(
        self, episode: Episode, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted sum of the objectives, and all their measures."""
        options = self.options
        losses: list[Tensor] = []
        measures: dict[str, float] = {}
        if options.discriminative_weight > 0:
            result = self.discriminative(self.model, episode, options.autocast)
            losses.append(options.discriminative_weight * result.loss)
            measures |= result.measures
        if options.contrastive_weight > 0:
            result = contrastive(self.model, episode, options.contrastive, random, options.autocast)
            losses.append(options.contrastive_weight * result.loss)
            measures |= result.measures
        return torch.stack(losses).sum(), measures

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.iteration + 1) / _WARM_UP)
        through = self.iteration / max(1, self.options.iterations)
        return self.options.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * through))

    def _average(self) -> None:
        # At first the average follows closely, otherwise the random initial weights would persist.
        decay = min(self.options.average, self.iteration / (self.iteration + 10))
        for name, value in self.model.state_dict().items():
            self.averaged[name].lerp_(value.detach(), 1.0 - decay)

    def _weights(self) -> list[float]:
        return [self.options.discriminative_weight, self.options.contrastive_weight]

    def state(self) -> dict[str, Any]:
        """State needed to resume: tensors and plain data, for `torch.save`."""
        return {
            "iteration": self.iteration,
            "iterations": self.options.iterations,
            "weights": self._weights(),
            "model": self.model.state_dict(),
            "averaged": self.averaged,
            "scale": self.discriminative.scale.detach(),
            "offset": self.discriminative.offset.detach(),
            "optimiser": self.optimiser.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Resume from `state`.

        Raises:
            ValueError: the state is of a run of another length, with another schedule of the
                learning rate, or with other weights of the objectives.
        """
        if state["iterations"] != self.options.iterations:
            raise ValueError(
                f"training state: want a run of {self.options.iterations} iterations, "
                f"got one of {state['iterations']}"
            )
        weights = list(
            state.get("weights", [1.0, 0.0])
        )  # old states: always the discriminative one
        if weights != self._weights():
            raise ValueError(
                "training state: want a run with objectives weighing "
                f"{self._weights()} (discriminative, contrastive), got one with {weights}"
            )
        self.iteration = state["iteration"]
        self.model.load_state_dict(state["model"])
        self.averaged = dict(state["averaged"])
        with torch.no_grad():
            self.discriminative.scale.copy_(state["scale"])
            self.discriminative.offset.copy_(state["offset"])
        self.optimiser.load_state_dict(state["optimiser"])
