"""Causal scoring of every frame of a test clip, in the scenes of all draws.

Every frame gets an energy, the first ones of a video from a truncated history (see
`truncated_history`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
import torch

from cameras import Picture
from cameras.sampling import resize
from pipeline.datasets.layout import DatasetClip, DatasetError, read_frames
from pipeline.evaluation.baselines import FrameDifference
from pipeline.evaluation.clip_scorer import AdaptedT, ClipScorer
from pipeline.evaluation.localisation import Maps, in_half_precision
from pipeline.evaluation.results import Highlight
from pipeline.evaluation.roc import Values
from pipeline.evaluation.truncated_history import (
    TruncatedHistoryScene,
    score_truncated,
    truncated_gradients,
)
from pipeline.scoring.clips import ClipBuffer


@dataclass(frozen=True, slots=True, eq=False)
class ClipScores:
    """Scores of one test clip."""

    energies: list[Values]
    """For each scene, (frames,)."""
    differences: Values
    """The differencing baseline, (frames,)."""
    pts_seconds: Values
    """Times of the frames, (frames,)."""
    highlight: Highlight
    parts: Values
    """Contribution of each term to the energies of the first scene, (frames, terms)."""
    maps: list[Maps]
    """For each scene, (frames, h, w); only of the first scene where the clip has no masks."""
    difference_maps: Maps | None
    """Maps of the differencing baseline."""
    gradients: Maps | None = None
    """Pooled gradient heatmaps in the first scene, (frames, h, w); None where not wanted."""


@dataclass(slots=True)
class _Gathered:
    """Results of the batches of a clip so far."""

    energies: list[list[Values]]
    parts: list[Values]
    maps: list[list[Maps]]
    differences: list[float]
    difference_maps: list[Maps]
    times: list[float]
    gradients: list[Maps]
    highlight: Highlight | None = None


def score_clip(
    clip: DatasetClip,
    scorer: ClipScorer[AdaptedT],
    scenes: Sequence[TruncatedHistoryScene[AdaptedT]],
    batch_size: int,
    on_scored: Callable[[int], None],
    with_gradients: bool = False,
) -> ClipScores:
    """Score every frame of a clip in every scene, decoding it once.

    Args:
        clip: With at least one frame.
        scorer: The model.
        scenes: One a draw, at least one.
        batch_size: Clips scored at once.
        on_scored: Called with the number of frames after each batch.
        with_gradients: Compute the gradient heatmaps in the first scene too.

    Raises:
        DatasetError: frames and labels do not fit.
        SourceError: the clip cannot be decoded.
    """
    config = scorer.config
    buffer = ClipBuffer(config.clip_length, config.clip_interval_seconds)
    difference = FrameDifference()
    seen = _Gathered([[] for _ in scenes], [], [[] for _ in scenes], [], [], [], [])
    for frames in batched(read_frames(clip), batch_size):
        pushed, pasts = [], []
        for frame in frames:
            pushed.append(buffer.push(frame.pts_seconds, resize(frame.pixels, config.size_hw)))
            pasts.append(buffer.past)
        clips = np.stack(pushed)
        changes = [difference.push_for_map(frame.pts_seconds, frame.pixels) for frame in frames]
        scored = score_truncated(scorer, torch.from_numpy(clips), pasts, scenes)
        seen.parts.append(scored[0].parts.numpy().astype(np.float64))
        gradients = None
        if with_gradients:
            gradients = truncated_gradients(scorer, torch.from_numpy(clips), pasts, scenes[0])
            seen.gradients.append(in_half_precision(gradients))
        for number, scores in enumerate(scored):
            energies, maps = scores.energies, scores.maps.numpy()
            seen.energies[number].append(energies.numpy().astype(np.float64))
            if clip.masks is not None or number == 0:
                seen.maps[number].append(in_half_precision(maps))
            highest = int(energies.argmax())
            energy = float(energies[highest])
            if number == 0 and (seen.highlight is None or energy > seen.highlight.energy):
                index = len(seen.times) + highest
                seen.highlight = Highlight(
                    clip.name,
                    index,
                    energy,
                    clips[highest, -1],
                    maps[highest].copy(),
                    None if gradients is None else gradients[highest],
                )
        if clip.masks is not None:
            seen.difference_maps.append(_shrunk(changes, maps.shape[1:]))
        seen.differences += [float(change.max()) for change in changes]
        seen.times += [frame.pts_seconds for frame in frames]
        on_scored(len(frames))
    if seen.highlight is None:
        raise DatasetError(f"{clip.path}: want a clip with frames, got none")
    return ClipScores(
        [np.concatenate(parts) for parts in seen.energies],
        np.array(seen.differences),
        np.array(seen.times),
        seen.highlight,
        np.concatenate(seen.parts),
        [np.concatenate(parts) for parts in seen.maps if parts],
        np.concatenate(seen.difference_maps) if seen.difference_maps else None,
        np.concatenate(seen.gradients) if seen.gradients else None,
    )


def batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Lists of `size` frames, the last one shorter."""
    remaining = iter(pictures)
    while batch := list(islice(remaining, size)):
        yield batch


def _shrunk(changes: Sequence[npt.NDArray[np.float32]], map_hw: tuple[int, ...]) -> Maps:
    """Difference maps, scaled to the grid of the anomaly maps."""
    height, width = map_hw
    small = [
        cv2.resize(change, (width, height), interpolation=cv2.INTER_AREA) for change in changes
    ]
    return in_half_precision(np.stack(small).astype(np.float32))
