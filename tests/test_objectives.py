"""The paper's objective on scenes that the tests draw themselves, grey and in colour."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.config import PAPER, PAPER_5, VEDETTE, SceneModelConfig
from models.scene_model import SceneModel
from models.training.langevin import LangevinOptions, sample
from models.training.meta_training import Trainer, TrainingOptions
from models.training.objectives import ContrastiveOptions, Episode, mean_energy
from models.training.objectives import contrastive as judge
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.langevin_sheet import LangevinViewer
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip
from pipeline.training.validation import leave_scenes_out, measure_priors

TINY = replace(
    PAPER,
    feature_channels=16,
    receptive_field=1,
    size_hw=(64, 96),
    shrinkage="sigshrink",
    steps=4,
)


def make_scenes(frames: int = 12) -> dict[str, list[SceneClip]]:
    """Two coloured, softly textured scenes with a little camera noise."""
    scenes = {}
    for number in range(2):
        random = np.random.default_rng(number)
        coarse = random.integers(40, 200, (8, 12, 3), dtype=np.uint8)
        ground = cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        noisy = ground + random.integers(-4, 5, (frames, 64, 96, 3))
        name = f"scene{number}"
        scenes[name] = [SceneClip(name, noisy.clip(0, 255).astype(np.uint8))]
    return scenes


def make_sampler(patched: int = 4) -> EpisodeSampler:
    options = EpisodeOptions(
        clip_length=1,
        stride=32,
        crop_hw=(64, 96),
        shots=(3,),
        queries=0,
        patched=patched,
        gap=2,
        augment=False,
    )
    return EpisodeSampler(make_scenes(), options, seed=0)


def make_trainer(
    iterations: int,
    config: SceneModelConfig = TINY,
    ours: float = 0.0,
    contrastive: ContrastiveOptions | None = None,
) -> Trainer:
    torch.manual_seed(0)
    options = TrainingOptions(
        iterations,
        episodes=1,
        learning_rate=2e-2,  # while warming up, at most a third of it
        weight_decay=0.0,
        discriminative_weight=ours,
        contrastive_weight=1.0,
        contrastive=contrastive or ContrastiveOptions(),
    )
    return Trainer(SceneModel(config), options)


def test_episodes_carry_queries_and_the_same_under_patches() -> None:
    episode = make_sampler().draw()
    assert episode.support.shape == (3, 1, 3, 64, 96)
    assert episode.normal.shape == episode.corrupted.shape == (4, 1, 3, 64, 96)
    assert episode.query.numel() == episode.target.numel() == 0
    changed = (episode.normal != episode.corrupted).any(2).float().flatten(1).mean(1)
    assert (changed > 0).all()
    assert (changed < 0.1).all()


def test_the_contrastive_objective_parts_positives_from_negatives() -> None:
    one_step = ContrastiveOptions(langevin=LangevinOptions(steps=1))
    trainer, episode = make_trainer(40, contrastive=one_step), make_sampler(2).draw()
    steps = [trainer.step(lambda: episode).measures for _ in range(16)]
    assert steps[0]["energy_negative"] < steps[0]["energy_positive"]
    assert steps[-1]["energy_negative"] > steps[-1]["energy_positive"] + 0.2


def test_sampling_lowers_the_energy_of_corrupted_clips() -> None:
    torch.manual_seed(0)
    model, episode = SceneModel(TINY), make_sampler().draw()
    with torch.no_grad():
        dictionary = model.dictionary(model.observe_input(episode.support))
    energy = mean_energy(model, dictionary)
    random = torch.Generator().manual_seed(0)
    final = sample(energy, episode.corrupted, LangevinOptions(), random).final
    assert (energy(final) < energy(episode.corrupted)).all()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_reconstruction_alone_reaches_every_weight_of_the_network() -> None:
    torch.manual_seed(0)
    model = SceneModel(TINY)
    options = ContrastiveOptions(contrast=0.0, magnitude=0.0)
    random = torch.Generator().manual_seed(0)
    judge(model, make_sampler().draw(), options, random).loss.backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.any())
        for parameter in model.backbone.parameters()
    )


def test_bfloat16_judges_nearly_the_same() -> None:
    torch.manual_seed(0)
    model, episode = SceneModel(TINY), make_sampler(1).draw()
    options = ContrastiveOptions(langevin=LangevinOptions(steps=1))

    def energies(autocast: bool) -> float:
        random = torch.Generator().manual_seed(0)
        found = judge(model, episode, options, random, autocast)
        return found.measures["energy_positive"]

    rounded, exact = energies(True), energies(False)
    assert rounded == pytest.approx(exact, abs=0.05)
    assert rounded != exact


def test_the_first_convolution_over_time_is_not_rounded() -> None:
    """In bfloat16 on a CPU the gradient of its weight is not a number."""
    torch.manual_seed(0)
    model = SceneModel(PAPER_5)
    stem = model.backbone.get_submodule("space_time")
    seen: dict[str, torch.dtype] = {}
    for name in ("stem", "conv1"):
        stem.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.dtype})
        )
    model.features(torch.rand(1, 5, 3, 32, 32), autocast=True)
    assert seen == {"stem": torch.float32, "conv1": torch.bfloat16}


def test_a_gradient_that_is_no_number_changes_no_weight() -> None:
    trainer, episode = make_trainer(2), make_sampler(1).draw()
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    head = trainer.model.backbone.get_submodule("head")
    (weight,) = head.parameters()
    weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(FloatingPointError, match=r"at iteration 0: gradient of norm nan"):
        trainer.step(lambda: episode)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("config", [PAPER_5, VEDETTE], ids=lambda config: config.preset)
def test_mixtures_train_every_preset(config: SceneModelConfig) -> None:
    small = replace(config, feature_channels=16, receptive_field=1, size_hw=(64, 96), steps=3)
    scenes = make_scenes(30)
    if not config.colour:
        scenes = {
            name: [SceneClip(name, clips[0].frames.mean(-1).astype(np.uint8))]
            for name, clips in scenes.items()
        }
    options = EpisodeOptions(5, small.stride, (64, 96), (3,), 2, 2, augment=False)
    trainer = make_trainer(2, small, ours=1.0)
    done = trainer.step(EpisodeSampler(scenes, options, seed=0).draw)
    assert list(done.measures) == [
        "discriminative",
        "energy_normal",
        "energy_planted",
        "reconstruction",
        "contrast",
        "magnitude",
        "energy_positive",
        "energy_corrupted",
        "energy_negative",
    ]
    assert np.isfinite([done.loss, *done.measures.values()]).all()


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(tmp_path: Path) -> None:
    def run(trainer: Trainer, sampler: EpisodeSampler, steps: int) -> None:
        for _ in range(steps):
            trainer.step(sampler.draw)

    whole = make_trainer(4)
    run(whole, make_sampler(1), 4)
    first, sampler = make_trainer(4), make_sampler(1)
    run(first, sampler, 2)
    torch.save({**first.state(), "sampler": sampler.state()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second, later = make_trainer(4), make_sampler(1)
    second.resume(state)
    later.resume(state["sampler"])
    run(second, later, 2)
    for name, value in whole.averaged.items():
        assert torch.allclose(value, second.averaged[name], atol=1e-6), name


def test_resuming_a_run_of_another_objective_is_refused() -> None:
    state = make_trainer(4).state()
    with pytest.raises(ValueError, match=r"want a run with objectives weighing \[0.5, 1.0\]"):
        make_trainer(4, ours=0.5).resume(state)


def test_sheets_show_the_same_clips_every_few_iterations(tmp_path: Path) -> None:
    trainer, sampler = make_trainer(2), make_sampler()
    viewer = LangevinViewer(tmp_path / "sheets", every=2, episode=sampler.draw())
    paths = []
    for _ in range(2):
        trainer.step(sampler.draw)
        paths.append(viewer.draw(trainer))
    assert paths[0] is None
    assert paths[1] is not None
    sheet = cv2.imread(str(paths[1]))
    assert sheet.shape[0] > 4 * 64  # four queries
    assert sheet.shape[1] > 8 * 96  # query, corrupted, five steps, energy


def test_measuring_a_colour_model_on_scenes_left_out() -> None:
    torch.manual_seed(0)
    model = SceneModel(TINY).eval()
    mean, spread = measure_priors(model, make_scenes(), shots=3, queries=3)
    assert mean.shape == spread.shape == (1,)
    (result,) = leave_scenes_out(model, make_scenes(), ["scene0"], shots=3, queries=4)
    assert 0 <= result.energy <= 1


def test_training_without_an_objective_is_refused() -> None:
    with pytest.raises(ValueError, match="not both 0, got 0 and 0"):
        TrainingOptions(1, discriminative_weight=0.0)


def test_sampling_that_diverges_ends_the_run() -> None:
    trainer, episode = make_trainer(1), make_sampler().draw()
    broken = Episode(
        episode.support,
        episode.query,
        episode.target,
        episode.normal,
        episode.corrupted * float("nan"),
    )
    with pytest.raises(
        FloatingPointError, match="Langevin sampling diverged at step 0: energy nan"
    ):
        trainer.step(lambda: broken)
