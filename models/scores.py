"""Result of scoring clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.scene_model import TERMS, Observation


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Result of scoring a batch of clips."""

    energies: Tensor
    """Energy of each clip's newest frame, (B,), float32 on the CPU; unbounded, low = normal."""
    maps: Tensor
    """Anomaly maps, (B, h, w), float32 on the CPU; in the unit of the energies."""
    parts: Tensor
    """Contribution of each term to the energies, (B, terms), float32 on the CPU; 0 is typical.
    Their sum is the energy."""
    observation: Observation | None = None
    """Features and motion of the clips, for `SceneScorer.exemplar`."""

    def single(self, place: int) -> "Scores":
        """Scores of one clip, as a batch of one."""
        one = slice(place, place + 1)
        seen = None if self.observation is None else self.observation[one]
        return Scores(self.energies[one], self.maps[one], self.parts[one], seen)

    @staticmethod
    def joined(parts: Sequence["Scores"]) -> "Scores":
        """The scores of several batches of `SceneScorer.score` as one."""
        energies, maps, terms = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("energies", "maps", "parts")
        )
        seen = [part.observation for part in parts if part.observation is not None]
        return Scores(energies, maps, terms, Observation.joined(seen, seen[0].features.device))

    def explain(self, place: int) -> dict[str, float]:
        """Contribution of each term to one of the energies, by name."""
        return dict(zip(TERMS, self.parts[place].tolist(), strict=False))
