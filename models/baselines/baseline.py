"""Interface of the baselines: adapt on K clips, then map the anomalies of further clips."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

Maps = Callable[[Tensor], Tensor]
"""Clips (B, T, 3, H, W) in [0, 1] to anomaly maps (B, h, w) >= 0, high = anomalous."""

INTERVAL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ClipFormat:
    """Clips that a baseline takes; the part of `SceneModelConfig` that an evaluation needs."""

    preset: str
    """Name of the method."""
    clip_length: int
    """Frames T of a clip."""
    size_hw: tuple[int, int]
    """Size that frames are scaled to."""
    clip_interval_seconds: float = INTERVAL_SECONDS
    """Time between the frames of a clip."""

    @property
    def clip_seconds(self) -> float:
        """Duration of a clip."""
        return (self.clip_length - 1) * self.clip_interval_seconds


class Baseline(ABC):
    """A detector without anything learned from other scenes."""

    clip_length: ClassVar[int] = 1
    """Frames T of a clip."""
    top_share: ClassVar[float] = 0.01
    """The energy of a frame is the mean of this share of the highest cells of its map; 0: the
    highest cell."""

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        """Set the size that frames are scaled to, in multiples of 16 pixels for networks."""
        super().__init__()
        self.size_hw = size_hw

    @abstractmethod
    def adapt(self, support: Tensor) -> Maps:
        """Adapt to a scene; the baseline itself is not changed.

        Args:
            support: Normal clips (K, T, 3, H, W) in [0, 1].
        """


class LearnedBaseline(Baseline, nn.Module):
    """A baseline with weights, which `BaselineTrainer` trains on many scenes."""

    any_size: ClassVar[bool] = True
    """Whether the weights take frames of another size than that of the training."""

    @abstractmethod
    def loss(self, support: Tensor, query: Tensor, random: torch.Generator) -> Tensor:
        """Loss of one episode: normal clips of one scene.

        Args:
            support: (K, T, 3, H, W) in [0, 1].
            query: (M, T, 3, H, W) in [0, 1], of other times.
            random: Source of noise, on the CPU.
        """
