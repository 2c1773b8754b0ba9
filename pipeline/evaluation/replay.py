"""A recording judged as a live camera is: same clips, same adaptation, same model, one process."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cameras import Picture
from cameras.picture_statistics import measure
from cameras.sampling import Sampler, resize
from models import SceneScorer
from models.stillness import StillWatch
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.refit import widen
from pipeline.scenes.scene_watch import SceneWatch, SceneWatchSettings, View
from pipeline.scenes.support_selection import make_scene
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.discontinuities import DiscontinuityDetector
from pipeline.scoring.scoring_batch import BatchItem, score_clips

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedFrame:
    """One sampled frame and what it means."""

    index: int
    """Position among the sampled frames, from 0."""
    pts_seconds: float
    pixels: Pixels
    """uint8 (H, W, 3), RGB, as large as it was decoded."""
    judgement: ScoredFrame
    anomaly_map: npt.NDArray[np.float32] | None
    """(h, w) in units of the score; None as long as there is no scene."""


def replay(
    pictures: Iterable[Picture],
    scorer: SceneScorer,
    adaptation: Adaptation,
    frames_per_second: float,
    batch_size: int = 8,
) -> Iterator[ReplayedFrame]:
    """Judge every sampled frame of a recording, in order.

    Args:
        pictures: The recording.
        scorer: The model.
        adaptation: The scene; collects its support from the recording unless it was given one.
        frames_per_second: Rate of the sampling.
        batch_size: Frames scored at once; the scores do not depend on it.

    Raises:
        SourceError: the recording cannot be decoded.
    """
    config = scorer.config
    sampler = Sampler(frames_per_second)
    watch = SceneWatch(SceneWatchSettings())
    buffer = ClipBuffer(config.clip_length, config.clip_interval_seconds, DiscontinuityDetector())
    stillness = StillWatch(config.clip_length)
    pending: list[_Pending] = []
    sampled = (picture for picture in pictures if sampler.accept(picture.pts_seconds))
    for index, picture in enumerate(sampled):
        pixels = resize(picture.pixels, config.size_hw)
        clip = buffer.push(picture.pts_seconds, pixels)
        if pending and not buffer.full:
            yield from _judge(pending, scorer, adaptation, stillness)
            pending.clear()
        if buffer.cut:
            adaptation.connected()
        view = watch.see(picture.pts_seconds, measure(pixels))
        ages = buffer.ages
        waiting = adaptation.before(picture.pts_seconds, clip, buffer.full, view, ages)
        if waiting is not None:
            yield ReplayedFrame(index, picture.pts_seconds, picture.pixels, waiting, None)
            if adaptation.state == "fitting":
                adaptation.fitted(make_scene(scorer, adaptation))
            continue
        pending.append(_Pending(index, picture, clip, ages, view))
        if len(pending) == batch_size:
            yield from _judge(pending, scorer, adaptation, stillness)
            pending.clear()
    if pending:
        yield from _judge(pending, scorer, adaptation, stillness)


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """A frame that waits for its batch."""

    index: int
    picture: Picture
    clip: Pixels
    ages: tuple[float, ...]
    view: View


def _judge(
    pending: list[_Pending],
    scorer: SceneScorer,
    adaptation: Adaptation,
    stillness: StillWatch,
) -> Iterator[ReplayedFrame]:
    scene = adaptation.scene
    assert scene is not None  # `before` gave None, and it does so only with a scene
    wanted = [BatchItem(frame.clip, scene, stillness, frame.ages) for frame in pending]
    scored = score_clips(scorer, wanted)
    for number, (frame, scores) in enumerate(zip(pending, scored, strict=True)):
        energy, cells = float(scores.energies[0]), scores.maps[0].numpy()
        calibration = adaptation.calibration
        assert calibration is not None  # comes with the scene
        unit = calibration.threshold - calibration.median
        yield ReplayedFrame(
            frame.index,
            frame.picture.pts_seconds,
            frame.picture.pixels,
            adaptation.judge(
                frame.picture.pts_seconds,
                energy,
                frame.view,
                lambda scores=scores: scorer.cached_features(scores, 0),  # type: ignore[misc]
            ),
            ((cells - calibration.median) / unit).astype(np.float32),
        )
        if (widening := adaptation.widening()) is not None:
            adaptation.widened(widen(scorer, widening))
            if pending[number + 1 :]:  # scored too early, in the scene before
                yield from _judge(pending[number + 1 :], scorer, adaptation, stillness)
            return


def score_record(camera: str, frame: ReplayedFrame) -> dict[str, object]:
    """One frame as plain data: an object of scores.jsonl.

    Args:
        camera: Name that the recording goes by.
        frame: Its numbers are null as long as there is no scene.
    """
    judgement = frame.judgement
    return {
        "camera": camera,
        "index": frame.index,
        "pts_seconds": round(frame.pts_seconds, 6),
        "energy": judgement.energy,
        "score": judgement.score,
        "threshold": judgement.threshold,
        "state": judgement.state,
    }
