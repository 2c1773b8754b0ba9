"""Convolutional auto-encoder: trained on many scenes, fine-tuned on the support."""

from typing import ClassVar

import torch
from torch import Tensor

from models.baselines.baseline import LearnedBaseline, Maps
from models.baselines.networks import (
    decoder,
    dissimilarity,
    encoder,
    fine_tuned,
    in_cells,
    squared_error,
)

LATENT = 32
_TUNING_STEPS = 20
_TUNING_RATE = 1e-3


class AutoEncoder(LearnedBaseline):
    """Squared error between a frame and its reconstruction from 32 × 8 × 8 values."""

    latent_out: ClassVar[int] = LATENT
    """Channels that the encoder gives."""

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        super().__init__(size_hw)
        self.encoder = encoder(3, self.latent_out)
        self.decoder = decoder(LATENT, 3)

    def reconstruct(self, frames: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the same in (0, 1)."""
        out: Tensor = self.decoder(self.encoder(frames))
        return out

    def error(self, frames: Tensor) -> Tensor:
        """Error of the reconstruction, (B, H, W)."""
        return squared_error(self.reconstruct(frames), frames)

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Mean error over all frames of the episode."""
        return self.error(torch.cat([support, query])[:, -1]).mean()

    def adapt(self, support: Tensor) -> Maps:
        """Fine-tune a copy on the support by 20 steps of Adam."""
        frames = support[:, -1]
        tuned = fine_tuned(
            self,
            lambda one, some: one.error(frames[some]).mean(),
            len(frames),
            _TUNING_STEPS,
            _TUNING_RATE,
        )
        return lambda clips: in_cells(tuned.error(clips[:, -1]))


class SimilarityAutoEncoder(AutoEncoder):
    """The same with 1 − SSIM as the error (Bergmann et al., VISAPP 2019)."""

    def error(self, frames: Tensor) -> Tensor:
        """Error of the reconstruction, (B, H, W)."""
        return dissimilarity(self.reconstruct(frames), frames)
