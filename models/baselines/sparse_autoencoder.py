"""Auto-encoder with the sparse layer in its middle (paper, Appendix B.5).

The code of a frame is replaced by its sparse code over the dictionary of the support's codes, so
that only what the support holds can be reconstructed. Adaptation is one forward pass.
"""

from dataclasses import replace

import torch
from torch import Tensor

from models.baselines.baseline import LearnedBaseline, Maps
from models.baselines.networks import decoder, encoder, in_cells, squared_error
from models.config import PAPER
from models.dictionary import (
    Dictionary,
    build_dictionary,
    feature_vectors,
    prepare,
    reconstruct,
)
from models.sparse_coding import sparse_code

_WIDTHS = (16, 32, 48)
_LATENT = 32
_MOST_ATOMS = 2560
"""Ten frames of 128 × 128 pixels; of more a random part is kept."""
_CODER = replace(PAPER, feature_channels=_LATENT, receptive_field=1, centre=False)


class SparseAutoEncoder(LearnedBaseline):
    """Squared error of a frame decoded from the sparse codes of its 16 × 16 vectors."""

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        super().__init__(size_hw)
        self.encoder = encoder(3, _LATENT, _WIDTHS)
        self.decoder = decoder(_LATENT, 3, _WIDTHS)

    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Error of the queries over the dictionary of the support."""
        dictionary = self._dictionary(support[:, -1])
        return self._error(query[:, -1], dictionary).mean()

    @torch.no_grad()
    def adapt(self, support: Tensor) -> Maps:
        """Build the dictionary."""
        dictionary = self._dictionary(support[:, -1])

        def maps(clips: Tensor) -> Tensor:
            with torch.no_grad():
                return in_cells(self._error(clips[:, -1], dictionary))

        return maps

    def _dictionary(self, frames: Tensor) -> Dictionary:
        """Dictionary of all vectors of the frames, wherever they are."""
        vectors = self.encoder(frames).movedim(1, 0).flatten(1)
        if vectors.shape[1] > _MOST_ATOMS:
            random = torch.Generator().manual_seed(0)
            vectors = vectors[:, torch.randperm(vectors.shape[1], generator=random)[:_MOST_ATOMS]]
        return build_dictionary(vectors[None, :, None], _CODER)

    def _error(self, frames: Tensor, dictionary: Dictionary) -> Tensor:
        features = self.encoder(frames)
        vectors = feature_vectors(features, 1)
        length = vectors.norm(dim=-1, keepdim=True)
        code = sparse_code(prepare(vectors, dictionary.mean, _CODER), dictionary, _CODER)
        restored = length * reconstruct(dictionary, code)
        return squared_error(
            self.decoder(restored.permute(1, 2, 0).reshape(features.shape)), frames
        )
