"""Variational auto-encoder (Kingma and Welling, ICLR 2014); the error is that of the mean."""

from typing import ClassVar

import torch
from torch import Tensor

from models.baselines.autoencoder import LATENT, AutoEncoder

_DIVERGENCE = 1e-4
"""Weight of the divergence, per value of the latent, beside the mean squared error."""


class VariationalAutoEncoder(AutoEncoder):
    """As `AutoEncoder`, with a Gaussian code; fine-tuned on the support without noise."""

    latent_out: ClassVar[int] = 2 * LATENT

    def reconstruct(self, frames: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the same in (0, 1), by the mean of the code."""
        out: Tensor = self.decoder(self.encoder(frames)[:, :LATENT])
        return out

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Squared error of a sample of the code, and its divergence from the unit Gaussian."""
        frames = torch.cat([support, query])[:, -1]
        mean, log_variance = self.encoder(frames).split(LATENT, dim=1)
        noise = torch.randn(mean.shape, generator=random)
        found = self.decoder(mean + noise * (0.5 * log_variance).exp())
        divergence: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        error: Tensor = (found - frames).square().mean()
        return error + _DIVERGENCE * divergence
