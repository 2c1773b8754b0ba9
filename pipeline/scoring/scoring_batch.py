"""Scores clips of one or many cameras at once, but for frames in which nothing changed.

Live scoring and replay both use it, so that they compute the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models import AdaptedScene, SceneScorer, Scores
from models.stillness import StillWatch


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
    slots = [one.stillness.slot(one.clip[-1], one.scene) for one in wanted]
    fresh = [number for number, (_, empty) in enumerate(slots) if empty]
    if fresh:
        clips = torch.from_numpy(np.stack([wanted[number].clip for number in fresh]))
        ages = torch.tensor([wanted[number].ages for number in fresh])
        scores = scorer.score(clips, [wanted[number].scene for number in fresh], ages)
        for place, number in enumerate(fresh):
            slots[number][0].scores = scores.single(place)
    found = [slot.scores for slot, _ in slots]
    return [scores for scores in found if scores is not None]
