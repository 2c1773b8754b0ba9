"""r-GAN: prediction of the next frame (Lu et al., Few-Shot Scene-Adaptive AD, ECCV 2020).

Frames are encoded, a recurrent cell of convolutions joins them, and a decoder predicts the next
frame; a discriminator judges it. Ours is smaller than the original, with a gated unit in place of
the long short-term memory, and predicts the change to the frame before.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from models.baselines.adversarial import adversarial
from models.baselines.baseline import LearnedBaseline, Maps
from models.baselines.networks import (
    encoder,
    fine_tuned,
    in_cells,
    inner_steps,
    squared_error,
)

_HIDDEN = 32
_ADVERSARIAL = 0.01
_TUNING_STEPS = 20
_TUNING_RATE = 3e-4
_META_STEPS = 1
_META_RATE = 0.01


def _half(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ELU())


def _same(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, 1, 1), nn.GroupNorm(8, after), nn.ELU())


class _Predictor(nn.Module):
    """Frames (B, T, 3, H, W) to the next one (B, 3, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = _half(3, 16), _half(16, 24), _half(24, _HIDDEN)
        self.gates = nn.Conv2d(2 * _HIDDEN, 2 * _HIDDEN, 3, 1, 1)
        self.candidate = nn.Conv2d(2 * _HIDDEN, _HIDDEN, 3, 1, 1)
        self.up2, self.up1 = _same(_HIDDEN + 24, 24), _same(24 + 16, 16)
        self.last = nn.Conv2d(16 + 3, 3, 3, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Predict the next frame."""
        batch, length = frames.shape[:2]
        first = self.down1(frames.flatten(0, 1))
        second = self.down2(first)
        third = self.down3(second).unflatten(0, (batch, length))
        state = torch.zeros_like(third[:, 0])
        for seen in third.unbind(1):
            update, reset = self.gates(torch.cat([seen, state], 1)).sigmoid().chunk(2, 1)
            new = self.candidate(torch.cat([seen, reset * state], 1)).tanh()
            state = (1 - update) * state + update * new
        out = self.up2(torch.cat([_doubled(state), second.unflatten(0, (batch, length))[:, -1]], 1))
        out = self.up1(torch.cat([_doubled(out), first.unflatten(0, (batch, length))[:, -1]], 1))
        newest = frames[:, -1]
        change: Tensor = self.last(torch.cat([_doubled(out), newest], 1))
        return newest + change


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


class RGan(LearnedBaseline):
    """Squared error of the predicted frame; trained on all scenes, not adapted."""

    clip_length: ClassVar[int] = 5
    meta: ClassVar[bool] = False
    """Train for the step on the support."""
    tuned: ClassVar[bool] = False
    """Fine-tune on the support by 20 steps of Adam."""

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        super().__init__(size_hw)
        self.predictor = _Predictor()
        self.discriminator = encoder(3, 1, (16, 32, 48))
        self.log_rate = nn.Parameter(torch.tensor(_META_RATE).log(), requires_grad=self.meta)

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Error of the predicted queries, their gradients, and the adversarial losses."""
        parameters: dict[str, Tensor] = dict(self.predictor.named_parameters())
        clips = torch.cat([support, query])
        if self.meta:
            parameters = self._stepped(support, parameters, 1)
            clips = query
        found = functional_call(self.predictor, parameters, (clips[:, :-1],))
        wanted = clips[:, -1]
        judged = torch.stack(adversarial(self.discriminator, wanted, found)).sum()
        return _loss(found, wanted) + _ADVERSARIAL * judged

    def adapt(self, support: Tensor) -> Maps:
        """Take the step, fine-tune, or do nothing."""
        predictor = self.predictor
        parameters: dict[str, Tensor] = {}
        if self.meta:
            parameters = self._stepped(support, dict(predictor.named_parameters()), 0)
        elif self.tuned:
            predictor = fine_tuned(
                predictor,
                lambda one, some: _loss(one(support[some, :-1]), support[some, -1]),
                len(support),
                _TUNING_STEPS,
                _TUNING_RATE,
            )

        def maps(clips: Tensor) -> Tensor:
            with torch.no_grad():
                found = functional_call(predictor, parameters, (clips[:, :-1],))
                return in_cells(squared_error(found, clips[:, -1]))

        return maps

    def _stepped(
        self, support: Tensor, parameters: dict[str, Tensor], order: int
    ) -> dict[str, Tensor]:
        def loss(some: dict[str, Tensor]) -> Tensor:
            return _loss(functional_call(self.predictor, some, (support[:, :-1],)), support[:, -1])

        return inner_steps(loss, parameters, _META_STEPS, self.log_rate.exp(), 1 if order else 0)


def _loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error, and the absolute error of the differences between neighbours."""
    error = squared_error(found, wanted).mean()
    for axis in (-1, -2):
        error = error + 0.1 * (found.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
    return error


class TunedRGan(RGan):
    """The same weights, fine-tuned on the support."""

    tuned: ClassVar[bool] = True


class MetaRGan(RGan):
    """Trained by MAML, first order, for one step on the support."""

    meta: ClassVar[bool] = True
