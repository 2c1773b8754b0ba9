"""Measuring a model on a benchmark: adapt on drawn supports, score every test frame causally."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from rich.progress import Progress, TaskID

from cameras import Picture
from pipeline.datasets.layout import Dataset, DatasetClip, Scene, read_frames
from pipeline.evaluation.alarms import (
    AlarmMetrics,
    AlarmOptions,
    alarm_metrics,
    event_count,
    normal_seconds,
)
from pipeline.evaluation.baselines import constant, frame_index
from pipeline.evaluation.clip_scorer import AdaptedT, ClipScorer, InputFormat
from pipeline.evaluation.inspection import InspectionMetrics, inspect
from pipeline.evaluation.localisation import localise
from pipeline.evaluation.moments import ClipCourse, find_moments
from pipeline.evaluation.results import (
    AlarmRows,
    Alarms,
    DetectorResult,
    Evaluation,
    EvaluationOptions,
    FieldRows,
    Highlight,
    Localisation,
    labels_of,
)
from pipeline.evaluation.roc import Values, frame_metrics
from pipeline.evaluation.scoring import ClipScores, score_clip
from pipeline.evaluation.smoothing import exponential, field_post_processing
from pipeline.evaluation.supports import Clip, draw_supports, with_turns
from pipeline.evaluation.truncated_history import TruncatedHistoryScene, adapt_truncated


def evaluate(
    dataset: Dataset,
    scorer: ClipScorer[AdaptedT],
    options: EvaluationOptions,
    progress: Progress,
    scorer_of: Callable[[str], ClipScorer[AdaptedT]] | None = None,
) -> Evaluation:
    """Measure a model; for each draw every scene of the data set has its own support.

    Args:
        dataset: The benchmark.
        scorer: The model.
        options: Options of the evaluation.
        progress: Progress display.
        scorer_of: The model for the scene of that name, in a leave-one-out evaluation; None: the
            same for all.

    Raises:
        SupportError: the Train split of a scene is too small for that many shots.
        DatasetError: frames, labels and masks do not fit.
        SourceError: a clip cannot be decoded.
        ValueError: all test frames are of one class, or an energy is not finite.
    """
    started = time.monotonic()
    scenes = dataset.scenes
    reading = progress.add_task(
        "drawing supports from Train", total=sum(len(scene.train) for scene in scenes)
    )
    adapting = progress.add_task("adapting", total=options.draws * len(scenes))
    scoring = progress.add_task("scoring Test", total=dataset.labels.size)
    scored: list[ClipScores] = []
    scoring_seconds = 0.0
    for scene in scenes:
        one = scorer if scorer_of is None else scorer_of(scene.name)
        still = all(clip.still for clip in scene.test)
        adapted = []
        for support in _supports(dataset, scene, one.config, options, progress, reading):
            adapted.append(adapt_truncated(one, torch.from_numpy(support), still))
            progress.advance(adapting)
        scoring_started = time.monotonic()
        scored += _scored(scene.test, one, adapted, options, progress, scoring)
        scoring_seconds += time.monotonic() - scoring_started
    seconds = time.monotonic() - started
    labels = labels_of(dataset)

    def row(name: str, values: list[Values]) -> DetectorResult:
        return DetectorResult(name, values, frame_metrics(values, labels))

    def smooth(raw: DetectorResult) -> DetectorResult:
        pairs = zip(raw.values, scored, strict=True)
        time_constant = options.smoothing_seconds
        return row(
            raw.name, [exponential(some, clip.pts_seconds, time_constant) for some, clip in pairs]
        )

    def as_in_papers(raw: DetectorResult) -> DetectorResult:
        sigma = options.field_sigma_frames
        return row(raw.name, [field_post_processing(some, sigma) for some in raw.values])

    draws = [
        row(f"seed {seed}", [clip.energies[number] for clip in scored])
        for number, seed in enumerate(options.seeds)
    ]
    index = row("frame_index", [frame_index(clip.size) for clip in labels])
    difference = row("frame_difference", [clip.differences for clip in scored])
    field_rows = None
    if not all(clip.still for clip in dataset.test):
        field_rows = FieldRows(
            [as_in_papers(draw) for draw in draws], [as_in_papers(index), as_in_papers(difference)]
        )
    return Evaluation(
        dataset=dataset,
        config=scorer.config,
        model_id=scorer.model_id,
        options=options,
        draws=draws,
        baselines=[
            row("constant", [constant(clip.size) for clip in labels]),
            index,
            difference,
        ],
        smoothed_draws=[smooth(draw) for draw in draws],
        smoothed_difference=smooth(difference),
        field_rows=field_rows,
        localisation=_localisation(dataset, scored, progress),
        alarms=_alarms(dataset, scored, draws, difference, options),
        pts_seconds=[clip.pts_seconds for clip in scored],
        parts=[clip.parts for clip in scored],
        highlights=_highlights(dataset, scored),
        seconds=seconds,
        frames_per_second=dataset.labels.size * options.draws / scoring_seconds,
        inspection=_inspection(dataset, scored),
    )


def _supports(
    dataset: Dataset,
    scene: Scene,
    config: InputFormat,
    options: EvaluationOptions,
    progress: Progress,
    task: TaskID,
) -> Sequence[Clip]:
    where = f"{dataset.title}, Train" + (f", scene {scene.name}" if scene.name else "")
    drawn = draw_supports(
        _announced(scene.train, progress, task),
        config,
        options.shots,
        options.seeds,
        where,
    )
    return [with_turns(support) for support in drawn] if options.turned else drawn


def _announced(
    clips: Sequence[DatasetClip], progress: Progress, task: TaskID
) -> Iterator[Iterator[Picture]]:
    for clip in clips:
        yield read_frames(clip)
        progress.advance(task)


def _scored(
    clips: Sequence[DatasetClip],
    scorer: ClipScorer[AdaptedT],
    adapted: Sequence[TruncatedHistoryScene[AdaptedT]],
    options: EvaluationOptions,
    progress: Progress,
    task: TaskID,
) -> list[ClipScores]:
    return [
        score_clip(
            clip,
            scorer,
            adapted,
            options.batch_size,
            lambda count: progress.advance(task, count),
            with_gradients=options.heatmap == "gradient",
        )
        for clip in clips
    ]


def _localisation(
    dataset: Dataset, scored: Sequence[ClipScores], progress: Progress
) -> Localisation | None:
    pairs = [
        (clip, scores, scores.difference_maps)
        for clip, scores in zip(dataset.test, scored, strict=True)
        if scores.difference_maps is not None
    ]
    if not pairs:
        return None
    progress.add_task("comparing with masks", total=None)
    draws = range(len(pairs[0][1].maps))
    *of_draws, of_difference = localise(
        [clip for clip, _, _ in pairs],
        [
            *([scores.maps[number] for _, scores, _ in pairs] for number in draws),
            [maps for _, _, maps in pairs],
        ],
    )
    gradients = [scores.gradients for _, scores, _ in pairs if scores.gradients is not None]
    of_gradient = None
    if gradients:  # of another size than the maps of the cells
        (of_gradient,) = localise([clip for clip, _, _ in pairs], [gradients])
    return Localisation(len(pairs), of_draws, of_difference, of_gradient)


def _inspection(
    dataset: Dataset, scored: Sequence[ClipScores]
) -> dict[str, list[InspectionMetrics]]:
    """Of each category, one a draw; empty unless all test clips are single images with masks."""
    if not all(clip.still and clip.masks is not None for clip in dataset.test):
        return {}
    found = {}
    for scene in dataset.scenes:
        places = [n for n, clip in enumerate(dataset.test) if clip.scene == scene.name]
        masks = [next(clip.read_masks()) for clip in scene.test]
        found[scene.name] = [
            inspect(np.concatenate(maps), masks)
            for maps in zip(*(scored[place].maps for place in places), strict=True)
        ]
    return found


def _alarms(
    dataset: Dataset,
    scored: Sequence[ClipScores],
    draws: Sequence[DetectorResult],
    difference: DetectorResult,
    options: EvaluationOptions,
) -> Alarms | None:
    labels, times = labels_of(dataset), [clip.pts_seconds for clip in scored]

    def at(asked: AlarmOptions) -> list[AlarmMetrics]:
        measured = [
            alarm_metrics(detector.values, labels, times, asked)
            for detector in (*draws, difference)
        ]
        return [one for one in measured if one is not None]

    measured = at(options.alarms)
    if not measured:
        return None
    courses = [
        ClipCourse(
            scores.energies[0],
            truth,
            scores.pts_seconds,
            scores.parts,
            scores.maps[0],
            scores.gradients,
        )
        for scores, truth in zip(scored, labels, strict=True)
    ]
    return Alarms(
        event_count(labels),
        normal_seconds(labels, times),
        measured[:-1],
        measured[-1],
        find_moments(courses, measured[0].threshold, options.alarms.merge_gap_seconds),
        [
            AlarmRows(rate, found[:-1], found[-1])
            for rate in options.further_rates
            for found in [at(replace(options.alarms, false_alarms_per_day=rate))]
        ],
    )


def _highlights(dataset: Dataset, scored: Sequence[ClipScores]) -> list[Highlight]:
    """The frame with the highest energy of every clip; of single images one a scene."""
    highest: dict[str, Highlight] = {}
    for clip, scores in zip(dataset.test, scored, strict=True):
        place = clip.place
        if place not in highest or scores.highlight.energy > highest[place].energy:
            highest[place] = scores.highlight
    return list(highest.values())
