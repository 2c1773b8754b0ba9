"""What an evaluation needs of a method: `SceneScorer` has it, and so has `BaselineScorer`."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from models import Scores


class InputFormat(Protocol):
    """Clips that a method takes."""

    @property
    def preset(self) -> str:
        """Name for tables."""

    @property
    def clip_length(self) -> int:
        """Frames T of a clip."""

    @property
    def clip_interval_seconds(self) -> float:
        """Time between the frames of a clip."""

    @property
    def clip_seconds(self) -> float:
        """Duration of a clip."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Size that frames are scaled to."""


class AdaptedMethod(Protocol):
    """A method adapted to one scene."""

    @property
    def support_energies(self) -> tuple[float, ...]:
        """Energies of the support; empty where they are not known."""


AdaptedT = TypeVar("AdaptedT", bound=AdaptedMethod)


class ClipScorer(Protocol[AdaptedT]):
    """Adapts to scenes and scores clips in them."""

    model_id: str
    device: torch.device

    @property
    def config(self) -> InputFormat:
        """Clips that it takes."""

    def adapt(self, support: Tensor) -> AdaptedT:
        """Adapt to K normal clips, uint8 (K, T, H, W, 3)."""

    def score_in_each(self, clips: Tensor, scenes: Sequence[AdaptedT]) -> list[Scores]:
        """Score uint8 clips (B, T, H, W, 3) in each of several scenes."""
