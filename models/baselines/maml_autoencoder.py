"""MAML on the auto-encoder: five gradient steps on the support (Finn et al., ICML 2017)."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.baselines.baseline import LearnedBaseline, Maps
from models.baselines.networks import (
    Parameters,
    decoder,
    encoder,
    in_cells,
    inner_steps,
    squared_error,
)

INNER_STEPS = 5
_LATENT = 32
_FIRST_RATE = 0.1


class MetaAutoEncoder(LearnedBaseline):
    """Weights from which five steps on K frames reconstruct a scene; second order.

    The length of the steps is learned too, one for all weights.
    """

    order: ClassVar[Literal[1, 2]] = 2

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        super().__init__(size_hw)
        self.network = nn.Sequential(encoder(3, _LATENT), decoder(_LATENT, 3))
        self.log_rate = nn.Parameter(torch.tensor(_FIRST_RATE).log())

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Error of the queries after the steps on the support."""
        tuned = self._tuned(support[:, -1], self.order)
        return self._error(tuned, query[:, -1]).mean()

    def adapt(self, support: Tensor) -> Maps:
        """Take the steps on the support."""
        tuned = self._tuned(support[:, -1], 0)

        def maps(clips: Tensor) -> Tensor:
            with torch.no_grad():
                return in_cells(self._error(tuned, clips[:, -1]))

        return maps

    def _tuned(self, frames: Tensor, order: Literal[0, 1, 2]) -> Parameters:
        return inner_steps(
            lambda parameters: self._error(parameters, frames).mean(),
            dict(self.network.named_parameters()),
            INNER_STEPS,
            self.log_rate.exp(),
            order,
        )

    def _error(self, parameters: Parameters, frames: Tensor) -> Tensor:
        return squared_error(functional_call(self.network, parameters, (frames,)), frames)


class FirstOrderAutoEncoder(MetaAutoEncoder):
    """The same, trained with the gradients of the steps as constants."""

    order: ClassVar[Literal[1, 2]] = 1
