"""Scores clips of one or many cameras at once, but for what earlier frames have computed.

Live scoring and replay both use it, so that they compute the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import AdaptedScene, SceneScorer, Scores
from models.stillness import Slot, StillWatch


@dataclass(frozen=True, slots=True, eq=False)
class BatchItem:
    """A clip to be scored."""

    clip: npt.NDArray[np.uint8]
    """uint8 (T, H, W, 3)."""
    scene: AdaptedScene
    stillness: StillWatch
    """Of its camera."""
    ages: tuple[float, ...]
    """By how many seconds each frame is older than the newest."""
    place: tuple[int, float]
    """Number of the newest frame, and its time in the stream, in seconds."""


def score_clips(scorer: SceneScorer, wanted: Sequence[BatchItem]) -> list[Scores]:
    """Score clips of one size.

    Args:
        scorer: The model.
        wanted: At least one; those of one camera in order of time.

    Returns:
        For each its scores, a batch of one.

    Raises:
        ValueError: as `SceneScorer.score`.
    """
    slots = [one.stillness.slot(one.clip[-1], one.scene, one.place) for one in wanted]
    pending = [(slot, one) for (slot, is_empty), one in zip(slots, wanted, strict=True) if is_empty]
    while pending:  # twice where a frame uses features of another one of this batch
        ready = [
            (slot, one)
            for slot, one in pending
            if slot.source is None or slot.source.scores is not None
        ]
        clips = torch.from_numpy(np.stack([one.clip for _, one in ready]))
        ages = torch.tensor([one.ages for _, one in ready])
        # Without a motion term the features are all that a frame has.
        reused = scorer.config.motion_weight > 0
        features = [_features(slot.source) if reused else None for slot, _ in ready]
        scores = scorer.score(clips, [one.scene for _, one in ready], ages, features)
        for place, (slot, _) in enumerate(ready):
            slot.scores = scores.single(place)
        pending = [(slot, one) for slot, one in pending if slot.scores is None]
    found = [slot.scores for slot, _ in slots]
    return [scores for scores in found if scores is not None]


def _features(source: Slot | None) -> Tensor | None:
    if source is None or source.scores is None or source.scores.observation is None:
        return None
    return source.scores.observation.features[0]
