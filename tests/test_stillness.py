"""Scores of a still picture are used again: when, for how long, and what that changes."""

from functools import lru_cache

import numpy as np
import pytest
import torch

from models import AdaptedScene, SceneScorer
from models.stillness import SAME, StillWatch
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.scoring_batch import BatchItem, score_clips

SIZE_HW = (120, 160)
NOISE = 1.8
AGES = (0.4, 0.3, 0.2, 0.1, 0.0)


@lru_cache
def scorer() -> SceneScorer:
    torch.set_num_threads(1)
    return SceneScorer.load("vedette", "cpu")


def picture(seed: int, left: int | None = None, noise: float = NOISE) -> np.ndarray:
    """A textured ground with sensor noise, and a bright box from a column on."""
    ground = np.random.default_rng(7).integers(60, 120, (SIZE_HW[0] // 4, SIZE_HW[1] // 4, 1))
    shown = np.kron(ground, np.ones((4, 4, 1))).astype(float)
    if left is not None:
        shown[40:70, left : left + 20] = 220
    shown = shown + np.random.default_rng(seed).normal(0, noise, (*SIZE_HW, 3))
    return shown.clip(0, 255).astype(np.uint8)


def clips(pictures: list[np.ndarray]) -> list[np.ndarray]:
    buffer = ClipBuffer(5, 0.1)
    return [buffer.push(number / 10, shown) for number, shown in enumerate(pictures)]


@lru_cache
def scene() -> AdaptedScene:
    support = [clips([picture(10 * n + k) for k in range(5)])[-1] for n in range(6)]
    return scorer().adapt(torch.from_numpy(np.stack(support)))


def decisions(pictures: list[np.ndarray], other: AdaptedScene | None = None) -> list[bool]:
    """For each picture whether it is computed."""
    watch = StillWatch(5)
    return [watch.slot(shown, other or scene())[1] for shown in pictures]


def test_a_still_clip_is_computed_once_a_second() -> None:
    found = decisions([picture(seed) for seed in range(30)])
    # The first five make a still clip; its scores serve ten more frames.
    assert found == [True] * 5 + ([False] * 10 + [True]) * 2 + [False] * 3


def test_whatever_changes_is_computed_until_the_clip_is_still_again() -> None:
    still = [picture(seed) for seed in range(8)]
    moving = [picture(50 + n, left=10 + 3 * n) for n in range(4)]
    left_there = [picture(90 + n, left=60) for n in range(7)]
    found = decisions([*still, *moving, *left_there])
    assert found == [True] * 5 + [False] * 3 + [True] * 4 + [True] * 5 + [False] * 2


def test_a_change_of_the_light_is_a_change() -> None:
    pictures = [picture(seed, noise=0.5) for seed in range(7)]
    brighter = np.minimum(pictures[-1].astype(int) + int(SAME) + 2, 255).astype(np.uint8)
    assert decisions([*pictures, brighter])[-3:] == [False, False, True]


def test_another_scene_is_scored_again() -> None:
    watch, pictures = StillWatch(5), [picture(seed) for seed in range(8)]
    other = scorer().with_exemplars(scene(), [])
    assert other is not scene()
    taken = [watch.slot(shown, scene())[1] for shown in pictures[:7]]
    assert taken[-2:] == [False, False]
    assert watch.slot(pictures[7], other)[1]


def scored(pictures: list[np.ndarray], batch: int) -> list[float]:
    watch, energies = StillWatch(5), []
    all_clips = clips(pictures)
    for first in range(0, len(all_clips), batch):
        wanted = [
            BatchItem(clip, scene(), watch, AGES) for clip in all_clips[first : first + batch]
        ]
        energies += [float(one.energies[0]) for one in score_clips(scorer(), wanted)]
    return energies


def test_the_size_of_the_batch_changes_nothing() -> None:
    pictures = [picture(seed) for seed in range(12)]
    pictures += [picture(50 + n, left=10 + 3 * n) for n in range(4)]
    pictures += [picture(90 + n, left=60) for n in range(8)]
    assert scored(pictures, 8) == pytest.approx(scored(pictures, 1), abs=1e-4)


def test_what_it_changes_is_the_noise_of_the_pixels() -> None:
    pictures = [picture(seed) for seed in range(24)]
    used = np.array(scored(pictures, 1))
    wanted = torch.from_numpy(np.stack(clips(pictures)))
    own = scorer().score(wanted, [scene()] * len(pictures)).energies.numpy()
    assert not np.array_equal(used, own)
    assert np.abs(used - own)[4:].max() < 0.25
