"""The methods that `vedette evaluate` compares, from its options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models.baselines.methods import SCENE_MODELS, load_method, scene_method
from pipeline.evaluation.clip_scorer import ClipScorer
from pipeline.scoring.loading import load_scorer

_SCENE = "{scene}"


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Methods, and what is measured of the data set."""

    names: tuple[str, ...] = ("model",)
    """NAME, or NAME=CHECKPOINT; {scene} in the path is the name of each scene, for weights that
    were trained without it."""
    size_hw: tuple[int, int] | None = None
    """Size that frames are scaled to; None: that of each method."""
    scenes: tuple[str, ...] = ()
    """Scenes of the data set; empty: all."""

    def scorers(
        self, weights: str, device: str, scenes: Sequence[str]
    ) -> dict[str, Callable[[str], ClipScorer[Any]]]:
        """Load every method, each for any scene.

        Args:
            weights: Of scene models without a checkpoint of their own.
            device: Of scene models.
            scenes: Names of the scenes that are evaluated.

        Raises:
            CheckpointError: the weights of a method cannot be used.
            ValueError: an unknown method, one given twice, or no such device.
        """
        found: dict[str, Callable[[str], ClipScorer[Any]]] = {}
        for one in self.names:
            name, _, checkpoint = one.partition("=")
            if one in found:
                raise ValueError(f"--method: want each once, got {one} twice")
            own = checkpoint or (weights if name in SCENE_MODELS else None)
            found[one] = self._of_scene(name, own, device, scenes)
        return found

    def _of_scene(
        self, name: str, weights: str | None, device: str, scenes: Sequence[str]
    ) -> Callable[[str], ClipScorer[Any]]:
        if weights is None or _SCENE not in weights:
            scorer = self._loaded(name, weights, device)
            return lambda _: scorer
        of_scene = {
            scene: self._loaded(name, weights.replace(_SCENE, scene), device) for scene in scenes
        }
        return lambda scene: of_scene[scene]

    def _loaded(self, name: str, weights: str | None, device: str) -> ClipScorer[Any]:
        if name in SCENE_MODELS:
            return scene_method(name, load_scorer(weights or "vedette", device), self.size_hw)
        return load_method(name, weights, device, self.size_hw)
