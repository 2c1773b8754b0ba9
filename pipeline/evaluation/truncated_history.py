"""Scoring the first frames of a video, whose history is too short for a whole clip (ours).

A clip that repeats its first frame shows no motion at all, which never occurs in real video: in a
scene learned from moving clips its energy is higher than that of anything else. A live camera waits
the few frames until there is a whole clip. An evaluation must score every frame; so a frame with p
frames before it is scored in a scene whose support clips are truncated to p frames before the
newest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Generic, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import AdaptedScene, SceneScorer, Scores
from models.inputs import truncate_history
from pipeline.evaluation.clip_scorer import AdaptedT, ClipScorer


@dataclass(frozen=True, slots=True, eq=False)
class TruncatedHistoryScene(Generic[AdaptedT]):
    """One scene, adapted once for every length of history."""

    by_past: tuple[AdaptedT, ...]
    """Adapted to clips truncated to 0, 1 … T - 1 frames before the newest."""
    offsets: tuple[float, ...]
    """Added to the energies of each, so that the typical energy is the same for all."""


def adapt_truncated(
    scorer: ClipScorer[AdaptedT], support: Tensor, still: bool = False
) -> TruncatedHistoryScene[AdaptedT]:
    """Build a scene for every length of history.

    Args:
        scorer: The model.
        support: uint8 (K, T, H, W, 3), RGB.
        still: Only single images are scored, which have no history.

    Raises:
        ValueError: as `SceneScorer.adapt`.
    """
    length = 1 if still else support.shape[1]
    scenes = [
        scorer.adapt(truncate_history(support, [past] * len(support))) for past in range(length)
    ]
    typical = [median(scene.support_energies or [0.0]) for scene in scenes]
    return TruncatedHistoryScene(tuple(scenes), tuple(typical[-1] - one for one in typical))


def score_truncated(
    scorer: ClipScorer[AdaptedT],
    clips: Tensor,
    pasts: Sequence[int],
    scenes: Sequence[TruncatedHistoryScene[AdaptedT]],
) -> list[Scores]:
    """Score clips in every scene, each with its length of history.

    Args:
        scorer: The model.
        clips: uint8 (B, T, H, W, 3), RGB.
        pasts: Of each clip, 0 … T - 1.
        scenes: Any number.

    Returns:
        For each scene the scores of all clips.
    """
    clips = truncate_history(clips, pasts)
    kinds = np.array(pasts)
    parts: list[list[tuple[npt.NDArray[np.intp], Scores]]] = [[] for _ in scenes]
    for past in sorted(set(pasts)):
        places = np.flatnonzero(kinds == past)
        found = scorer.score_in_each(clips[places], [scene.by_past[past] for scene in scenes])
        for part, scene, scores in zip(parts, scenes, found, strict=True):
            part.append((places, replace(scores, energies=scores.energies + scene.offsets[past])))
    return [_in_order(part) for part in parts]


def truncated_gradients(
    scorer: ClipScorer[AdaptedT],
    clips: Tensor,
    pasts: Sequence[int],
    scene: TruncatedHistoryScene[AdaptedT],
) -> npt.NDArray[np.float32]:
    """Pooled gradient heatmaps of clips, each with its length of history.

    Args:
        scorer: The model, not a baseline.
        clips: uint8 (B, T, H, W, 3), RGB.
        pasts: Of each clip, 0 … T - 1.
        scene: The scene.

    Returns:
        (B, h, w), see `SceneScorer.gradient_maps`.

    Raises:
        ValueError: a baseline, whose energy has no gradient here.
    """
    model: object = scorer
    if not isinstance(model, SceneScorer):
        raise ValueError(f"heatmap gradient: want the model, got method {scorer.config.preset}")
    by_past = cast("tuple[AdaptedScene, ...]", scene.by_past)
    clips = truncate_history(clips, pasts)
    kinds = np.array(pasts)
    found: dict[int, Tensor] = {}
    for past in sorted(set(pasts)):
        places = np.flatnonzero(kinds == past)
        (maps,) = model.gradient_maps(clips[places], [by_past[past]])
        found |= zip(places.tolist(), maps, strict=True)
    return np.stack([found[place].numpy() for place in range(len(pasts))])


def _in_order(parts: list[tuple[npt.NDArray[np.intp], Scores]]) -> Scores:
    order = np.argsort(np.concatenate([places for places, _ in parts]))
    energies = torch.cat([scores.energies for _, scores in parts])[order]
    maps = torch.cat([scores.maps for _, scores in parts])[order]
    return Scores(energies, maps, torch.cat([scores.parts for _, scores in parts])[order])
