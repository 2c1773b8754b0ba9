"""`vedette replay`: score a recording like a live camera, and write the results."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cameras import Picture, SourceOptions, open_source
from cameras.address import is_live
from cameras.packet_decoder import DamageSource
from cameras.sampling import Sampler
from models import SceneScorer
from pipeline.config import AdaptSection
from pipeline.config.model import Heatmap
from pipeline.evaluation.annotate import AnnotatedVideo
from pipeline.evaluation.replay import ReplayedFrame, score_record
from pipeline.evaluation.replay import replay as replay_pictures
from pipeline.evaluation.replay_summary import ReplaySummary
from pipeline.evaluation.supports import SupportError, draw_supports
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scoring.loading import load_scorer
from pipeline.telemetry.atomic_write import atomic_path


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a recording is scored."""

    support: str | None = None
    """Normal recording to draw the support from; None: the first seconds of the recording."""
    shots: int = 10
    """Number K of support clips."""
    seed: int = 0
    """Of the draw from `support`."""
    frames_per_second: float = 10.0
    """Rate of the sampling, and of folders of images."""
    weights: str = "vedette"
    device: str = "auto"
    heatmap: Heatmap = "cells"
    """What the annotated video shows over its frames."""


def replay(
    recording: str, options: ReplayOptions, video_path: Path | None, scores_path: Path | None
) -> None:
    """Score a recording, show the progress, and print a summary line.

    Args:
        recording: Path of a video file or of a folder of images, or "synthetic:…".
        options: How it is judged.
        video_path: Annotated video to write; like the scores, it is there only once it is complete.
        scores_path: Scores to write, one JSON object a frame.

    Raises:
        SourceError: the recording or the support cannot be opened or decoded.
        CheckpointError: the weights cannot be used.
        SupportError: there is less video than the support needs.
        ValueError: an address of no recording, or there is no such device.
    """
    name = Path(recording).stem
    for address in (recording, options.support):
        if address is not None and is_live(address):
            raise ValueError("replay: want a recording, got a camera; `vedette run` scores cameras")
    console = Console()
    scorer = load_scorer(options.weights, options.device)
    summary = ReplaySummary(name)
    started = time.monotonic()
    with ExitStack() as stack:
        progress = stack.enter_context(_progress(console))
        adaptation = _adaptation(scorer, options, progress)
        opened = open_source(recording, _source_options(options))
        if isinstance(opened, DamageSource):
            opened.on_damaged = summary.take_damaged
        source = stack.enter_context(opened)
        takers: list[Callable[[ReplayedFrame], None]] = [summary.take]
        has_scene = False
        if scores_path is not None:
            takers.append(stack.enter_context(scores_file(scores_path, name)))
        if video_path is not None:
            partial = stack.enter_context(atomic_path(video_path))
            video = AnnotatedVideo(partial, options.frames_per_second)
            takers.append(stack.enter_context(video).write)
        task = progress.add_task("replaying", total=source.info.frame_count)
        pictures = _counted(source, progress, task)
        with_gradients = video_path is not None and options.heatmap == "gradient"
        replayed = replay_pictures(
            pictures,
            scorer,
            adaptation,
            options.frames_per_second,
            with_gradients=with_gradients,
        )
        for frame in replayed:
            has_scene |= frame.judgement.state != "collecting"
            for take in takers:
                take(frame)
        if not has_scene:
            raise SupportError(
                f"{recording}: want {options.shots} support clips, one a second, "
                f"got {summary.frames} frames of {summary.seconds:.1f} s; "
                "want fewer --shots, or --support with normal video of the scene"
            )
    console.print(summary.line(time.monotonic() - started), highlight=False)
    for path in (video_path, scores_path):
        if path is not None:
            console.print(f"wrote {path}", highlight=False)


@contextmanager
def scores_file(path: Path, camera: str) -> Iterator[Callable[[ReplayedFrame], None]]:
    """A writer of one JSON object per frame.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as file:
        yield lambda frame: print(json.dumps(score_record(camera, frame)), file=file)


def _adaptation(scorer: SceneScorer, options: ReplayOptions, progress: Progress) -> Adaptation:
    """An adaptation as of a new camera, or with a scene built from the given support."""
    settings = AdaptationSettings(frames=options.shots, spare=AdaptSection().spare)
    if options.support is None:
        return Adaptation(settings)
    sampler = Sampler(options.frames_per_second)
    with open_source(options.support, _source_options(options)) as source:
        task = progress.add_task("drawing the support", total=source.info.frame_count)
        pictures = (
            picture
            for picture in _counted(source, progress, task)
            if sampler.accept(picture.pts_seconds)
        )
        (support,) = draw_supports(
            [pictures], scorer.config, options.shots, [options.seed], options.support
        )
    return Adaptation(settings, scene=scorer.adapt(torch.from_numpy(support)))


def _counted(pictures: Iterable[Picture], progress: Progress, task: TaskID) -> Iterator[Picture]:
    for picture in pictures:
        yield picture
        progress.advance(task)


def _source_options(options: ReplayOptions) -> SourceOptions:
    return SourceOptions(pace="fast", frames_per_second=options.frames_per_second)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
        console=console,
    )
