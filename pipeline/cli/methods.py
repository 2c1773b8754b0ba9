"""The methods that `vedette evaluate` compares, from its options."""

from dataclasses import dataclass
from typing import Any

from models.baselines.methods import SCENE_MODELS, load_method
from pipeline.evaluation.clip_scorer import ClipScorer


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Methods, and what is measured of the data set."""

    names: tuple[str, ...] = ("model",)
    """NAME, or NAME=CHECKPOINT."""
    size_hw: tuple[int, int] | None = None
    """Size that frames are scaled to; None: that of each method."""
    scenes: tuple[str, ...] = ()
    """Scenes of the data set; empty: all."""

    def scorers(self, weights: str, device: str) -> dict[str, ClipScorer[Any]]:
        """Load every method.

        Args:
            weights: Of scene models without a checkpoint of their own.
            device: Of scene models.

        Raises:
            CheckpointError: the weights of a method cannot be used.
            ValueError: an unknown method, one given twice, or no such device.
        """
        found: dict[str, ClipScorer[Any]] = {}
        for one in self.names:
            name, _, checkpoint = one.partition("=")
            if one in found:
                raise ValueError(f"--method: want each once, got {one} twice")
            own = checkpoint or (weights if name in SCENE_MODELS else None)
            found[one] = load_method(name, own, device, self.size_hw)
        return found
