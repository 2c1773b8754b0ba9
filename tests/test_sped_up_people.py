"""Scenes whose anomalies are their own people, laid back faster than they were."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_perspective import block, paces

from benchmarks.perspective import SPED_UP, PerspectiveOptions, PerspectiveScene
from benchmarks.sped_up_people import SpedUpOptions, SpedUpScene
from pipeline.datasets.layout import DatasetError
from pipeline.training.material import SceneMaterial
from pipeline.training.scenes import SceneClip

SIZE = (120, 160)
OPTIONS = SpedUpOptions(size_hw=SIZE, height=60.0)
"""Of pictures as large as they were."""
STEP = 2.0


def scenes(frames: int = 200) -> dict[str, list[SceneClip]]:
    """A person who crosses a yard again and again, with empty frames in between; an empty hall."""
    random = np.random.default_rng(0)
    ground = cv2.blur(random.integers(40, 90, SIZE).astype(np.float32), (5, 5))
    body = random.uniform(170, 250, (40, 16)).astype(np.float32)
    pictures = np.repeat(ground[None], frames, axis=0)
    for number, picture in enumerate(pictures):
        left = round(number * STEP) % 240
        part = picture[50:90, left : left + 16]
        part[:] = body[:, : part.shape[1]]
    hall = SceneClip("hall", np.full((60, *SIZE), 90, np.uint8))
    return {"yard": [SceneClip("yard", pictures.astype(np.uint8))], "hall": [hall]}


def test_planted_people_are_as_much_faster_as_was_asked_for() -> None:
    stage = SpedUpScene("yard", scenes(), replace(OPTIONS, pace=(3.0, 3.0)))
    drawn = stage.draw(2, 30)
    assert stage.name == "yard, 42-42 px, 120x160"
    assert set(drawn.kinds) == {SPED_UP}
    assert speeds(drawn.normal) == pytest.approx([STEP], abs=0.3)
    assert speeds(drawn.planted) == pytest.approx([STEP, 3 * STEP], abs=0.3)


def test_normal_clips_have_a_pasted_person_too_unless_bare() -> None:
    for bare, added in ((False, True), (True, False)):
        drawn = SpedUpScene("yard", scenes(), replace(OPTIONS, bare=bare)).draw(2, 30)
        people = [len(places(clip[-1].numpy())) for clip in drawn.normal]
        assert (max(people) > 1) == added
        assert max(len(places(clip[-1].numpy())) for clip in drawn.support) == 1


def test_people_are_made_as_small_as_asked_for() -> None:
    stage = SpedUpScene("yard", scenes(), replace(OPTIONS, height=16.0))
    assert stage.name == "yard, 16-16 px, 48x64"
    assert stage.draw(2, 1).normal.shape == (1, 5, 48, 64)


def test_the_same_seed_gives_the_same_clips() -> None:
    first, again = (SpedUpScene("yard", scenes(), OPTIONS).draw(2, 4) for _ in range(2))
    assert torch.equal(first.planted, again.planted)
    assert torch.equal(first.normal, again.normal)


def test_a_scene_without_walkers_is_refused() -> None:
    with pytest.raises(DatasetError, match="hall: want at least 3 people that walk alone, got 0"):
        SpedUpScene("hall", scenes(), OPTIONS)
    with pytest.raises(DatasetError, match="want one of the scenes hall, yard, got road"):
        SpedUpScene("road", scenes(), OPTIONS)


def test_composed_scenes_can_speed_up_one_of_their_walkers() -> None:
    material = SceneMaterial(
        (block(40, 16),) * 4, (block(16, 30),) * 2, {"plain": np.full(SIZE, 128, np.uint8)}
    )
    options = PerspectiveOptions(
        SIZE, far_height=(20, 20), near_height=(20, 20), crowd=(1, 1), noise=(0, 0),
        pace=(0.06, 0.06), sped_up=(4.0, 4.0),
    )  # fmt: skip
    drawn = PerspectiveScene(0, material, options).draw(1, 60)
    assert set(drawn.kinds) == {SPED_UP}
    walked, sped_up = (np.mean(paces(one)) for one in (drawn.normal, drawn.planted))
    assert sped_up == pytest.approx(4 * walked, rel=0.3)


def places(picture: np.ndarray) -> list[float]:
    """Column of everybody who is wholly in a picture."""
    stats = cv2.connectedComponentsWithStats((picture > 0.6).astype(np.uint8))[2][1:]
    width = picture.shape[1]
    return sorted(
        left + w / 2 for left, _, w, h, area in stats
        if area > 100 and left > 0 and left + w < width and 12 <= w <= 20
    )  # fmt: skip


def speeds(clips: Sequence[torch.Tensor]) -> list[float]:
    """Distinct speeds, pixels a frame, of clips in which as many are seen first and last."""
    found: set[float] = set()
    for clip in clips:
        first, last = (places(clip[frame].numpy()) for frame in (0, -1))
        if len(first) == len(last):
            moved = (abs(b - a) / 4 for a, b in zip(first, last, strict=True))
            found |= {round(one * 2) / 2 for one in moved}
    return sorted(found)
