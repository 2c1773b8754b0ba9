"""Meta-training on scenes that the tests draw themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from models.config import VEDETTE
from models.scene_model import SceneModel
from models.training.meta_training import Trainer, TrainingOptions
from models.training.negatives import Material, plant
from models.training.objectives import Episode
from models.training.overlay import MovingCutOut
from pipeline.cli.train import run_train
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip
from pipeline.training.validation import leave_scenes_out, measure_priors

SMALL = EpisodeOptions(crop_hw=(64, 80), shots=(3,), queries=3)


def make_scenes() -> dict[str, list[SceneClip]]:
    """Three textured scenes in which one box walks to and fro."""
    scenes = {}
    for number in range(3):
        random = np.random.default_rng(number)
        background = random.integers(60, 160, (72, 96)).astype(np.int16)
        frames = np.repeat(background[None], 60, axis=0)
        for t in range(60):
            x = int(40 + 30 * np.sin(t / 6 + number))
            frames[t, 30:50, x : x + 10] = 220
        noisy = frames + random.integers(-3, 4, frames.shape)
        name = f"scene{number}"
        scenes[name] = [SceneClip(name, noisy.clip(0, 255).astype(np.uint8))]
    return scenes


def make_trainer(iterations: int) -> Trainer:
    torch.manual_seed(0)
    model = SceneModel(replace(VEDETTE, shared_atoms=32, cell_atoms=8))
    return Trainer(model, TrainingOptions(iterations, episodes=1))


def test_planted_anomalies_are_where_the_masks_say() -> None:
    random = torch.Generator().manual_seed(0)
    kinds = set()
    for _ in range(100):
        clip = torch.rand(5, 64, 80, generator=random) * 0.2
        foreign = torch.rand(5, 64, 80, generator=random) * 0.2 + 0.7
        fast = torch.rand(5, 64, 80, generator=random) * 0.2
        before = clip.clone()
        thing = MovingCutOut(foreign[:, :20, :12], torch.ones(5, 20, 12), 30)
        material = Material(lambda: foreign, lambda: fast, lambda: thing, lambda: thing)  # noqa: B023
        planted = plant(clip, material, random)
        kinds.add(planted.kind)
        assert torch.equal(clip, before)
        assert planted.clip.shape == clip.shape
        assert planted.clip.min() >= 0
        assert planted.clip.max() <= 1
        changed = (planted.clip != clip).any(0)
        assert not (changed & ~planted.touched).any() or planted.kind == "sped up"
        assert (planted.touched | ~planted.mask).all()
    patches = {"foreign", "copy", "constant", "noise", "blur"}
    assert kinds == {"sped up", "cut-out", "left", "fast mover", *patches}


def test_a_fast_mover_stays_near_the_row_that_it_was_cut_out_of() -> None:
    random = torch.Generator().manual_seed(1)
    clip = torch.full((5, 100, 200), 0.2)
    thing = MovingCutOut(torch.full((5, 20, 12), 0.9), torch.ones(5, 20, 12), 40)
    material = Material(lambda: clip, lambda: clip, lambda: None, lambda: thing)
    fast_movers = [
        one for _ in range(80) if (one := plant(clip, material, random)).kind == "fast mover"
    ]
    assert fast_movers
    for planted in fast_movers:
        rows = planted.mask.any(1).nonzero().flatten()
        assert 32 <= rows.min() <= 48
        newest, before = ((planted.clip[frame] > 0.5).nonzero() for frame in (-1, -2))
        if len(newest) == len(before):  # wholly in the picture in both frames
            step = (newest - before).float().mean(0)
            assert 2 <= abs(step[1]) <= 9
            assert abs(step[0]) <= 2


def test_the_same_seed_draws_the_same_episodes() -> None:
    one, other = (EpisodeSampler(make_scenes(), SMALL, seed=5) for _ in range(2))
    for _ in range(3):
        a, b = one.draw(), other.draw()
        assert torch.equal(a.support, b.support)
        assert torch.equal(a.query, b.query)
        assert torch.equal(a.target, b.target)
    third = EpisodeSampler(make_scenes(), SMALL, seed=6).draw()
    assert not torch.equal(third.query, a.query)


def test_episodes_have_the_shapes_that_training_wants() -> None:
    episode = EpisodeSampler(make_scenes(), SMALL, seed=0).draw("scene1")
    assert episode.support.shape == (3, 5, 64, 80)
    assert episode.query.shape == (3, 5, 64, 80)
    assert episode.target.shape == (3, 8, 10)
    assert set(episode.target.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_too_few_scenes_are_named() -> None:
    only = {"scene0": make_scenes()["scene0"]}
    with pytest.raises(ValueError, match=r"want at least 2 scenes .* got \['scene0'\]"):
        EpisodeSampler(only, SMALL, seed=0)


def test_training_parts_planted_from_normal() -> None:
    trainer = make_trainer(60)
    sampler = EpisodeSampler(make_scenes(), replace(SMALL, crowd_share=0.0), seed=0)
    steps = [trainer.step(sampler.draw) for _ in range(60)]
    first, last = steps[:10], steps[-10:]
    assert sum(step.loss for step in last) < 0.9 * sum(step.loss for step in first)
    gap = [step.measures["energy_planted"] - step.measures["energy_normal"] for step in last]
    assert sum(gap) / len(gap) > 0.05


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(tmp_path: Path) -> None:
    sampler = EpisodeSampler(make_scenes(), SMALL, seed=0)
    episodes = [sampler.draw() for _ in range(4)]

    def run(trainer: Trainer, some: list[Episode]) -> None:
        for episode in some:
            trainer.step(lambda episode=episode: episode)

    whole = make_trainer(4)
    run(whole, episodes)
    first = make_trainer(4)
    run(first, episodes[:2])
    torch.save(first.state(), tmp_path / "state.pt")
    second = make_trainer(4)
    second.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    run(second, episodes[2:])
    assert second.iteration == 4
    for name, value in whole.averaged.items():
        assert torch.allclose(value, second.averaged[name], atol=1e-6), name


def test_resuming_a_run_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="want a run of 5 iterations, got one of 4"):
        make_trainer(5).resume(make_trainer(4).state())


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04"])
def test_what_is_no_state_cannot_be_resumed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.train.pt").write_bytes(content)
    options = TrainingOptions(iterations=1)
    with pytest.raises(ValueError, match=r"run.train.pt is not a state of this training"):
        run_train(tmp_path, tmp_path / "run", options, [], resume=True, console=Console())


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    trainer = make_trainer(2)
    episode = EpisodeSampler(make_scenes(), SMALL, seed=0).draw()
    broken = Episode(episode.support, episode.query * float("nan"), episode.target)
    with pytest.raises(FloatingPointError, match="diverged at iteration 0"):
        trainer.step(lambda: broken)


def test_measuring_on_scenes_left_out() -> None:
    torch.manual_seed(0)
    model = SceneModel(VEDETTE).eval()
    mean, spread = measure_priors(model, make_scenes(), shots=3, queries=3)
    assert mean.shape == spread.shape == (3,)
    assert (spread > 0).all()
    (result,) = leave_scenes_out(model, make_scenes(), ["scene0"], shots=3, queries=4)
    assert result.scene == "scene0"
    assert 0 <= result.energy <= 1
    assert len(result.terms) == 3


def test_of_a_video_that_has_only_begun_the_first_frame_is_repeated() -> None:
    sampler = EpisodeSampler(make_scenes(), replace(SMALL, truncated_share=1.0), seed=0)
    pasts = set()
    for _ in range(20):
        episode = sampler.draw()
        kept = {len(clip.unique(dim=0)) for clip in torch.cat([episode.support, episode.query])}
        assert len(kept) == 1, "support and queries have the same past"
        assert torch.equal(episode.query[:, 0], episode.query[:, 5 - kept.pop()])
        pasts.add(len(episode.query[0].unique(dim=0)) - 1)
    assert pasts == {0, 1, 2, 3}


def test_a_single_picture_is_not_asked_for_what_only_motion_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.training.negatives._SPED_UP_SHARE", 1.0)
    sampler = EpisodeSampler(make_scenes(), replace(SMALL, truncated_share=1.0), seed=0)
    asked = {True: 0, False: 0}
    for _ in range(20):
        episode = sampler.draw()
        still = bool((episode.query == episode.query[:, :1]).all())
        asked[still] += int((episode.target == 1).sum())
    assert asked[True] == 0
    assert asked[False] > 0
