"""Things laid over clips, and crowds of them as normal life in training."""

from dataclasses import replace
from itertools import chain, repeat

import numpy as np
import torch

from models.training.overlay import MovingCutOut, overlay
from pipeline.training.crowds import draw_crowd
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.measuring_sampler import MeasuringSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip

SIZE = (64, 96)


def make_scenes() -> dict[str, list[SceneClip]]:
    """Three scenes through each of which one small box walks."""
    scenes = {}
    for number in range(3):
        frames = np.full((80, 72, 96), 80 + 10 * number, dtype=np.uint8)
        for t in range(80):
            x = (3 * t + 17 * number) % 80
            frames[t, 30:40, x : x + 7] = 220
        scenes[f"scene{number}"] = [SceneClip(f"scene{number}", frames)]
    return scenes


def make_thing(value: float, size: tuple[int, int] = (12, 6)) -> MovingCutOut:
    return MovingCutOut(torch.full((5, *size), value), torch.ones(5, *size), 20)


def test_a_thing_ends_at_its_place_and_comes_along_its_velocity() -> None:
    clip = torch.zeros(5, *SIZE)
    laid = overlay(clip, make_thing(0.9), (30, 50), (1.0, -3.0))
    assert not clip.any()
    for age in range(5):
        rows, columns = (laid.clip[4 - age] > 0.5).nonzero().unbind(1)
        assert (int(rows.min()), int(columns.min())) == (30 - age, 50 + 3 * age)
        assert rows.numel() == 12 * 6
    assert torch.equal(laid.mask, laid.clip[4] > 0.5)
    assert torch.equal(laid.touched, (laid.clip > 0.5).any(0))


def test_a_thing_may_come_in_from_outside() -> None:
    laid = overlay(torch.zeros(5, *SIZE), make_thing(0.9), (30, 0), (0.0, 8.0))
    assert laid.clip[4].any()
    assert not laid.clip[:3].any()


def test_support_and_queries_have_different_people_of_a_crowd() -> None:
    random = np.random.default_rng(0)
    values = iter(np.linspace(0.5, 0.95, 10))
    crowd = draw_crowd(lambda: make_thing(float(next(values))), SIZE, random)
    assert crowd is not None
    counts = set()
    for of_support in (True, False):
        for _ in range(30):
            laid = crowd.gather(of_support, SIZE, random)
            clip = torch.zeros(5, *SIZE)
            once, again = laid(clip), laid(clip)
            assert torch.equal(once, again)
            assert not clip.any()
            counts.add(bool(once.any()))
            rows = once[-1].any(1).nonzero()
            if rows.numel():
                assert crowd.rows[0] <= rows.min()
                assert rows.max() < crowd.rows[1] + 12
    assert counts == {True, False}
    support, queries = (
        {round(float(thing.pixels[0, 0, 0]), 4) for thing in things}
        for things in (crowd.support, crowd.queries)
    )
    assert len(support) == len(queries) == 5
    assert not support & queries


def test_where_too_little_moves_there_is_no_crowd() -> None:
    things = chain([make_thing(0.5)] * 3, repeat(None))
    assert draw_crowd(lambda: next(things), SIZE, np.random.default_rng(0)) is None


def test_a_crowd_walks_through_support_and_queries_and_is_no_anomaly() -> None:
    options = EpisodeOptions(crop_hw=(64, 80), shots=(4,), queries=4, crowd_share=1.0)
    lively = {True: 0.0, False: 0.0}
    for crowded in lively:
        share = replace(options, crowd_share=1.0 if crowded else 0.0)
        sampler = EpisodeSampler(make_scenes(), share, seed=2)
        for _ in range(24):
            episode = sampler.draw()
            moved = (episode.support[:, -1] - episode.support[:, 0]).abs() > 0.2
            lively[crowded] += float(moved.float().mean())
            assert set(episode.target.unique().tolist()) <= {-1.0, 0.0, 1.0}
            assert (episode.target == 0).float().mean() > 0.5
    assert lively[True] > 1.1 * lively[False]


def test_clips_to_measure_on_have_no_composed_crowd() -> None:
    drawn = []
    for crowded in (0.0, 1.0):
        options = EpisodeOptions(crop_hw=(64, 80), augment=False, crowd_share=crowded)
        sampler = MeasuringSampler(make_scenes(), options, seed=1)
        drawn.append(sampler.normal_and_planted("scene0", 3, 4)[1])
    assert torch.equal(*drawn)
