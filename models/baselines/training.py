"""Training of a learned baseline over episodes, one optimiser step each."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from models.baselines.baseline import LearnedBaseline

_SEED_STRIDE = 1_000_003
_BETAS = (0.5, 0.999)
"""Of Adam; a lower first one than usual, as is customary for adversarial training."""


class BaselineTrainer:
    """A resumable run: all mutable state is in `state`."""

    def __init__(
        self, baseline: LearnedBaseline, iterations: int, learning_rate: float, seed: int
    ) -> None:
        """Prepare a run.

        Args:
            baseline: Trained in place.
            iterations: Number of steps; the learning rate decays to 0 over them.
            learning_rate: Highest rate of Adam.
            seed: Of the noise.
        """
        self.baseline = baseline.train()
        self.iterations = iterations
        self.iteration = 0
        self._rate = learning_rate
        self._seed = seed
        weights = [one for one in baseline.parameters() if one.requires_grad]
        self._optimiser = torch.optim.Adam(weights, learning_rate, _BETAS)

    def step(self, support: Tensor, query: Tensor) -> float:
        """One step on the clips of one scene; the loss.

        Args:
            support: (K, T, 3, H, W) in [0, 1].
            query: (M, T, 3, H, W) in [0, 1].

        Raises:
            FloatingPointError: the loss is no longer finite.
        """
        for group in self._optimiser.param_groups:
            through = self.iteration / self.iterations
            group["lr"] = self._rate * 0.5 * (1 + math.cos(math.pi * through))
        random = torch.Generator().manual_seed(self._seed * _SEED_STRIDE + self.iteration)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self.baseline.loss(support, query, random)
        if not bool(loss.isfinite()):
            raise FloatingPointError(
                f"training diverged at iteration {self.iteration}: loss {float(loss)}; "
                "want a lower learning rate"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.baseline.parameters(), 1.0)
        self._optimiser.step()
        self.iteration += 1
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """State needed to resume: tensors and plain data, for `torch.save`."""
        return {
            "iteration": self.iteration,
            "iterations": self.iterations,
            "baseline": self.baseline.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Resume from `state`.

        Raises:
            ValueError: the state is of a run of another length, or of another method.
        """
        if state["iterations"] != self.iterations:
            raise ValueError(
                f"training state: want a run of {self.iterations} iterations, "
                f"got one of {state['iterations']}"
            )
        try:
            self.baseline.load_state_dict(state["baseline"])
        except RuntimeError as error:
            raise ValueError("training state: of another method") from error
        self.iteration = state["iteration"]
        self._optimiser.load_state_dict(state["optimiser"])
