"""Measuring a model on a benchmark: adapt on drawn supports, score every test frame causally."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress, TaskID

from cameras import Picture
from cameras.sampling import fit
from models import AdaptedScene, SceneModelConfig, SceneScorer
from pipeline.datasets.layout import Dataset, DatasetClip, DatasetError
from pipeline.datasets.reading import read_frames
from pipeline.evaluation.baselines import FrameDifference, constant, frame_index
from pipeline.evaluation.roc import FrameMetrics, Labels, Values, frame_metrics
from pipeline.evaluation.smoothing import exponential
from pipeline.evaluation.supports import draw_supports
from pipeline.stages.clips import ClipBuffer


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What is measured."""

    shots: int = 10
    """Number K of support clips."""
    draws: int = 5
    """How many supports are drawn."""
    seed: int = 0
    """Of the first draw; each further draw has one more."""
    batch_size: int = 16
    """Clips scored at once."""
    smoothing_seconds: float = 0.5
    """Time constant of the rows with causal smoothing, which stand beside the raw ones."""

    @property
    def seeds(self) -> range:
        """One seed a draw."""
        return range(self.seed, self.seed + self.draws)


@dataclass(frozen=True, slots=True, eq=False)
class Highlight:
    """The frame of a test clip with the highest energy, in the first draw."""

    clip: str
    index: int
    energy: float
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB, at the model's size."""
    anomaly_map: npt.NDArray[np.float32]
    """(h, w), in the unit of the energy."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipScores:
    """What one test clip gave."""

    energies: list[Values]
    """For each scene, (frames,)."""
    differences: Values
    """The differencing baseline, (frames,)."""
    pts_seconds: Values
    """Times of the frames, (frames,)."""
    highlight: Highlight


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """One row of the result: a value for every test frame, and how good they are."""

    name: str
    values: list[Values]
    """For each test clip, (frames,)."""
    metrics: FrameMetrics


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that was measured."""

    dataset: Dataset
    config: SceneModelConfig
    model_id: str
    options: EvaluationOptions
    draws: list[Detector]
    """The model, once a draw, in the order of the seeds."""
    baselines: list[Detector]
    smoothed_draws: list[Detector]
    """The draws with causal exponential smoothing."""
    smoothed_difference: Detector
    """The differencing baseline with the same."""
    highlights: list[Highlight]
    """One a test clip."""
    seconds: float
    """Wall time from the first support frame to the last score."""
    frames_per_second: float
    """Test frames times draws, over the wall time of decoding and scoring them."""

    @property
    def model(self) -> str:
        """Preset and fingerprint of the weights."""
        return f"{self.config.preset}@{self.model_id}"

    @property
    def labels(self) -> list[Labels]:
        """For each test clip, (frames,)."""
        return labels_of(self.dataset)


def evaluate(
    dataset: Dataset, scorer: SceneScorer, options: EvaluationOptions, progress: Progress
) -> Evaluation:
    """Measure a model.

    Args:
        dataset: The benchmark.
        scorer: The model.
        options: What is measured.
        progress: Where to show how far it is.

    Raises:
        SupportError: the Train split is too small for that many shots.
        DatasetError: frames and labels do not fit.
        SourceError: a clip cannot be decoded.
        ValueError: all test frames are of one class, or an energy is not finite.
    """
    started = time.monotonic()
    reading = progress.add_task("drawing supports from Train", total=len(dataset.train))
    supports = draw_supports(
        _announced(dataset.train, progress, reading),
        scorer.config,
        options.shots,
        options.seeds,
        f"{dataset.title}, Train",
    )
    adapting = progress.add_task("adapting", total=options.draws)
    scenes = []
    for support in supports:
        scenes.append(scorer.adapt(torch.from_numpy(support)))
        progress.advance(adapting)
    supports.clear()

    scoring_started = time.monotonic()
    scoring = progress.add_task("scoring Test", total=dataset.labels.size)
    scored = [
        score_clip(
            clip, scorer, scenes, options.batch_size, lambda count: progress.advance(scoring, count)
        )
        for clip in dataset.test
    ]
    now = time.monotonic()
    labels = labels_of(dataset)

    def row(name: str, values: list[Values]) -> Detector:
        return Detector(name, values, frame_metrics(values, labels))

    def smooth(name: str, values: list[Values]) -> Detector:
        seconds = options.smoothing_seconds
        pairs = zip(values, scored, strict=True)
        return row(name, [exponential(some, clip.pts_seconds, seconds) for some, clip in pairs])

    draws = [
        row(f"seed {seed}", [clip.energies[number] for clip in scored])
        for number, seed in enumerate(options.seeds)
    ]
    difference = row("frame_difference", [clip.differences for clip in scored])
    return Evaluation(
        dataset=dataset,
        config=scorer.config,
        model_id=scorer.model_id,
        options=options,
        draws=draws,
        baselines=[
            row("constant", [constant(clip.size) for clip in labels]),
            row("frame_index", [frame_index(clip.size) for clip in labels]),
            difference,
        ],
        smoothed_draws=[smooth(draw.name, draw.values) for draw in draws],
        smoothed_difference=smooth(difference.name, difference.values),
        highlights=[clip.highlight for clip in scored],
        seconds=now - started,
        frames_per_second=dataset.labels.size * options.draws / (now - scoring_started),
    )


def score_clip(
    clip: DatasetClip,
    scorer: SceneScorer,
    scenes: Sequence[AdaptedScene],
    batch_size: int,
    on_scored: Callable[[int], None],
) -> ClipScores:
    """Score every frame of a clip in every scene, decoding it once.

    Args:
        clip: With at least one frame.
        scorer: The model.
        scenes: One a draw.
        batch_size: Clips scored at once.
        on_scored: Told the number of frames after each batch.

    Raises:
        DatasetError: frames and labels do not fit.
        SourceError: the clip cannot be decoded.
    """
    config = scorer.config
    buffer = ClipBuffer(config.clip_length, config.clip_interval_seconds)
    difference = FrameDifference()
    energies: list[list[Values]] = [[] for _ in scenes]
    differences: list[float] = []
    times: list[float] = []
    highlight: Highlight | None = None
    for frames in batched(read_frames(clip), batch_size):
        clips = np.stack(
            [buffer.push(frame.pts_seconds, fit(frame.pixels, config.size_hw)) for frame in frames]
        )
        for number, scores in enumerate(scorer.score_in_each(torch.from_numpy(clips), scenes)):
            energies[number].append(scores.energies.numpy().astype(np.float64))
            highest = int(scores.energies.argmax())
            energy = float(scores.energies[highest])
            if number == 0 and (highlight is None or energy > highlight.energy):
                highlight = Highlight(
                    clip.name,
                    len(differences) + highest,
                    energy,
                    clips[highest, -1],
                    scores.maps[highest].numpy(),
                )
        differences += [difference.push(frame.pts_seconds, frame.pixels) for frame in frames]
        times += [frame.pts_seconds for frame in frames]
        on_scored(len(frames))
    if highlight is None:
        raise DatasetError(f"{clip.path}: want a clip with frames, got none")
    return ClipScores(
        [np.concatenate(parts) for parts in energies],
        np.array(differences),
        np.array(times),
        highlight,
    )


def batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Lists of `size` pictures, the last one of what is left."""
    remaining = iter(pictures)
    while batch := list(islice(remaining, size)):
        yield batch


def labels_of(dataset: Dataset) -> list[Labels]:
    """For each test clip, (frames,)."""
    return [clip.labels for clip in dataset.test if clip.labels is not None]


def _announced(
    clips: Sequence[DatasetClip], progress: Progress, task: TaskID
) -> Iterator[Iterator[Picture]]:
    for clip in clips:
        yield read_frames(clip)
        progress.advance(task)
