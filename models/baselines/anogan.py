"""AnoGAN (Schlegl et al., IPMI 2017): the frame that a generator can make, found by search."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from models.baselines.adversarial import adversarial
from models.baselines.baseline import LearnedBaseline, Maps
from models.baselines.networks import decoder, encoder, fine_tuned, in_cells

_CODE = 64
_SUPPORT_STEPS = 60
_SUPPORT_RATE = 5e-3
_SEARCH_STEPS = 8
_SEARCH_RATE = 0.05
_FEATURES = 0.1
"""Weight of the discriminator's features in the search (the λ of the paper)."""


class _Generator(nn.Module):
    """Code (B, 64) to frames."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        super().__init__()
        self.small_hw = (size_hw[0] // 16, size_hw[1] // 16)
        self.first = nn.Linear(_CODE, 32 * self.small_hw[0] * self.small_hw[1])
        self.frames = decoder(32, 3)

    def forward(self, code: Tensor) -> Tensor:
        """Map (B, 64) to (B, 3, H, W) in (0, 1)."""
        out: Tensor = self.frames(self.first(code).view(-1, 32, *self.small_hw))
        return out


class _Known(nn.Module):
    """The generator and one code for each support frame, which adapting tunes together."""

    def __init__(self, generator: _Generator, count: int) -> None:
        super().__init__()
        self.generator = generator
        self.codes = nn.Parameter(torch.zeros(count, _CODE))


class AnoGan(LearnedBaseline):
    """Absolute difference to the closest frame of a generator, by eight steps in its code.

    The original trains a generator for each scene. Here one is trained on all scenes and tuned on
    the support, and the search starts from the mean code of the support.
    """

    any_size: ClassVar[bool] = False

    def __init__(self, size_hw: tuple[int, int] = (64, 64)) -> None:
        super().__init__(size_hw)
        self.generator = _Generator(size_hw)
        self.features = encoder(3, 32)
        self.judge = nn.Conv2d(32, 1, 1)

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Adversarial losses on all frames of the episode."""
        real = torch.cat([support, query])[:, -1]
        fake = self.generator(torch.randn(len(real), _CODE, generator=random))
        judged = nn.Sequential(self.features, self.judge)
        return torch.stack(adversarial(judged, real, fake)).sum()

    def adapt(self, support: Tensor) -> Maps:
        """Tune the generator and the codes of the support."""
        frames = support[:, -1]
        known = fine_tuned(
            _Known(self.generator, len(frames)),
            lambda one, some: (one.generator(one.codes[some]) - frames[some]).abs().mean(),
            len(frames),
            _SUPPORT_STEPS,
            _SUPPORT_RATE,
        )
        start = known.codes.mean(0)

        def maps(clips: Tensor) -> Tensor:
            wanted = clips[:, -1]
            found = self._searched(known.generator, start, wanted)
            return in_cells((found - wanted).abs().mean(1))

        return maps

    def _searched(self, generator: _Generator, start: Tensor, wanted: Tensor) -> Tensor:
        codes = start.detach().expand(len(wanted), -1).clone().requires_grad_()
        optimiser = torch.optim.Adam([codes], lr=_SEARCH_RATE)
        seen = self.features(wanted).detach()
        with torch.enable_grad():
            for _ in range(_SEARCH_STEPS):
                found = generator(codes)
                features = (self.features(found) - seen).abs().flatten(1).mean(1)
                residual = (found - wanted).abs().flatten(1).mean(1)
                loss = ((1 - _FEATURES) * residual + _FEATURES * features).sum()
                (codes.grad,) = torch.autograd.grad(loss, codes)
                optimiser.step()
        with torch.no_grad():
            best: Tensor = generator(codes)
        return best
