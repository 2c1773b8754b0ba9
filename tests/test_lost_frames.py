"""A camera at another rate than the clips', or one that loses frames, does not look faster."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest
import torch

from models import SceneScorer
from models.scores import Scores
from models.stillness import StillWatch
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.support_selection import build_scene
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.scoring_batch import BatchItem, score_clips

SIZE_HW = (120, 160)
SPEED = 20.0
"""Pixels a second: a walker's."""


@lru_cache
def scorer() -> SceneScorer:
    torch.set_num_threads(1)
    return SceneScorer.load("vedette", "cpu")


def picture(seconds: float) -> np.ndarray:
    """A textured box that walks to and fro over a textured ground."""
    ground = np.random.default_rng(7).integers(60, 120, (SIZE_HW[0] // 4, SIZE_HW[1] // 4, 1))
    shown = np.kron(ground, np.ones((4, 4, 1))).astype(float)
    thing = np.random.default_rng(5).integers(130, 250, (9, 6, 1))
    way = (SPEED * seconds) % 200
    left = round(10 + min(way, 200 - way))
    shown[40:76, left : left + 24] = np.kron(thing, np.ones((4, 4, 1)))
    shown = np.broadcast_to(shown, (*SIZE_HW, 3))
    noise = np.random.default_rng(round(seconds * 1000)).normal(0, 1.5, (*SIZE_HW, 3))
    return (shown + noise).clip(0, 255).astype(np.uint8)


def adapted() -> Adaptation:
    """Whole clips at ten a second."""
    adaptation = Adaptation(AdaptationSettings(frames=6, interval_seconds=0.6, refit=0))
    buffer = ClipBuffer(5, 0.1)
    number = 0
    while adaptation.state == "collecting":
        clip = buffer.push(number / 10, picture(number / 10))
        adaptation.before_scoring(number / 10, clip, buffer.full, ages=buffer.ages)
        number += 1
    adaptation.apply_scene(build_scene(scorer(), adaptation))
    return adaptation


def watched(adaptation: Adaptation, times: Sequence[float]) -> list[Scores]:
    assert adaptation.scene is not None
    buffer, found = ClipBuffer(5, 0.1), []
    for time in times:
        clip = buffer.push(time, picture(time))
        if buffer.full:
            wanted = BatchItem(clip, adaptation.scene, StillWatch(5), buffer.ages)
            found += score_clips(scorer(), [wanted])
    return found


def motion_of(scores: Scores) -> float:
    return scores.explain(0)["motion"]


def test_frames_that_are_lost_are_no_haste() -> None:
    times = [number / 10 for number in range(12)]
    usual = max(map(motion_of, watched(adapted(), times)))
    after = watched(adapted(), [*times[:8], 1.2])[-1]
    assert motion_of(after) < usual + 1.0
    # As the model would have it of frames that are 0.1 s apart:
    clip = np.stack([picture(time) for time in (0.4, 0.5, 0.6, 0.7, 1.2)])
    scene = adapted().scene
    assert scene is not None
    hasty = scorer().score(torch.from_numpy(clip[None]), [scene])
    assert motion_of(hasty) > usual + 2.0


def test_another_rate_is_no_other_speed() -> None:
    """Fifteen a second, thinned out to ten: 67 and 133 ms in turn."""
    steps = [number / 15 for number in range(30) if number % 3 != 2]
    motion = list(map(motion_of, watched(adapted(), steps)))
    long, short = np.mean(motion[::2]), np.mean(motion[1::2])
    assert long == pytest.approx(short, abs=0.8)


def test_the_support_is_measured_in_time_too() -> None:
    """Of a camera that gives five a second, each frame stands twice in a clip."""

    def normal(ages: tuple[float, ...] | None) -> torch.Tensor:
        adaptation = Adaptation(AdaptationSettings(frames=6, interval_seconds=0.6, refit=0))
        for number in range(6):
            newest = 0.8 + 0.6 * number
            clip = np.stack([picture(newest - back) for back in (0.8, 0.6, 0.4, 0.2, 0.0)])
            adaptation.before_scoring(newest, clip, True, ages=ages)
        scene = build_scene(scorer(), adaptation).scene
        assert scene.row_normal is not None
        return scene.row_normal

    assert bool((normal((0.8, 0.6, 0.4, 0.2, 0.0)) < 0.8 * normal(None)).all())


def test_not_an_age_for_each_frame_is_refused() -> None:
    clip = np.stack([picture(number / 10) for number in range(5)])
    with pytest.raises(ValueError, match="ages"):
        scorer().compute_features(torch.from_numpy(clip[None]), torch.zeros(1, 4))
