"""A baseline behind the interface that an evaluation uses of `SceneScorer`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.baselines.baseline import Baseline, ClipFormat, Maps
from models.energy import pool_top
from models.inputs import check_clips, colour_clips
from models.scores import Scores

_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedBaseline:
    """A baseline adapted to one scene."""

    maps: Maps
    support_energies: tuple[float, ...]
    """Energies of the support itself; empty where clips have one frame."""


class BaselineScorer:
    """Adapts a baseline and scores clips with it."""

    def __init__(self, baseline: Baseline, name: str, model_id: str) -> None:
        """Take a baseline.

        Args:
            baseline: On the CPU.
            name: Of the method.
            model_id: Identity of its weights; empty where there are none.
        """
        self._baseline = baseline
        self.config = ClipFormat(name, baseline.clip_length, baseline.size_hw)
        self.model_id = model_id
        self.device = torch.device("cpu")

    def adapt(self, support: Tensor) -> AdaptedBaseline:
        """Adapt to a scene.

        Args:
            support: uint8 (K, T, H, W, 3), RGB.

        Raises:
            ValueError: no clip, or another shape or type.
        """
        clips = self._pixels(support)
        if not len(clips):
            raise ValueError("support: want at least 1 clip, got 0")
        maps = self._baseline.adapt(clips)
        if self.config.clip_length == 1:
            return AdaptedBaseline(maps, ())
        found = torch.cat([maps(some) for some in torch.split(clips, _BATCH)])
        return AdaptedBaseline(maps, tuple(self._pooled(found).tolist()))

    def score_in_each(self, clips: Tensor, scenes: Sequence[AdaptedBaseline]) -> list[Scores]:
        """Score the same clips in each of several scenes.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            scenes: Any number.

        Raises:
            ValueError: another shape or type.
        """
        pixels = self._pixels(clips)
        found = []
        for scene in scenes:
            maps = scene.maps(pixels).detach()
            energies = self._pooled(maps)
            found.append(Scores(energies, maps, energies.unsqueeze(1)))
        return found

    def _pixels(self, clips: Tensor) -> Tensor:
        check_clips(clips)
        if clips.shape[1] != self.config.clip_length:
            raise ValueError(
                f"clips: want {self.config.clip_length} frames for {self.config.preset}, "
                f"got {clips.shape[1]}"
            )
        return colour_clips(clips)

    def _pooled(self, maps: Tensor) -> Tensor:
        cells = maps.shape[1] * maps.shape[2]
        return pool_top(maps, max(1, math.floor(cells * self._baseline.top_share)))
