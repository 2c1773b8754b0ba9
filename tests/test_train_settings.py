"""What a person says to `vedette train`, and what it means."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import write_video
from rich.console import Console
from typer.testing import CliRunner

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import VEDETTE
from models.device import resolve_device
from models.scene_model import SceneModel
from pipeline.cli.main import app
from pipeline.cli.train import run_train
from pipeline.cli.train_settings import TrainSettings, training_options, training_shrinkage
from pipeline.training.scenes import load_scenes
from pipeline.training.views import random_part


def test_what_is_not_said_follows_the_objective() -> None:
    ours = training_options("discriminative", None, None, 10, 2, False, 0)
    assert (ours.learning_rate, ours.weight_decay) == (2e-3, 1e-4)
    assert (ours.discriminative_weight, ours.contrastive_weight) == (1.0, 0.0)
    paper = training_options("contrastive", None, None, 10, 2, False, 0)
    assert (paper.learning_rate, paper.weight_decay) == (1e-4, 0.0)
    assert (paper.discriminative_weight, paper.contrastive_weight) == (0.0, 1.0)
    assert (paper.contrastive.reconstruction, paper.contrastive.contrast) == (1.0, 0.25)
    both = training_options("both", 0.3, 5e-4, 10, 2, False, 0)
    assert (both.discriminative_weight, both.contrastive_weight) == (1.0, 0.3)
    assert both.learning_rate == 5e-4


def test_the_papers_model_learns_its_objective_with_smooth_shrinkage() -> None:
    assert training_shrinkage("paper", "contrastive") == "sigshrink"
    assert training_shrinkage("paper-5", "both") == "sigshrink"
    assert training_shrinkage("paper", "discriminative") is None
    assert training_shrinkage("vedette", "contrastive") is None


def test_episodes_hold_only_what_is_asked_for() -> None:
    paper = training_options("contrastive", None, None, 10, 2, False, 0)
    episodes = TrainSettings(preset="paper", augment=False, queries=10).episodes(paper)
    assert (episodes.queries, episodes.patched, episodes.gap) == (0, 10, 10)
    assert (episodes.clip_length, episodes.stride, episodes.crop_hw) == (1, 32, (240, 320))


def test_size_crop_and_shots_are_what_is_said() -> None:
    options = training_options("contrastive", None, None, 10, 2, False, 0, "literal")
    assert options.contrastive.langevin.kind == "literal"
    settings = TrainSettings(
        preset="paper", augment=False, size_hw=(120, 160), crop_hw=(64, 96), shots=(1, 5)
    )
    assert settings.config.size_hw == (120, 160)
    episodes = settings.episodes(options)
    assert (episodes.picture_hw, episodes.crop_hw) == ((120, 160), (64, 96))
    assert episodes.shots == (1, 5)


def test_a_part_of_the_frame_has_the_scale_of_the_whole() -> None:
    random = np.random.default_rng(0)
    column = np.arange(480, dtype=np.uint8)
    frames = np.broadcast_to(column, (1, 240, 480))
    for _ in range(20):
        view = random_part((240, 480), (120, 160), (60, 40), random)
        assert (view.height, view.width) == (120, 120)
        assert 0 <= view.top <= 120
        assert 0 <= view.left <= 360
        part = view.apply(frames)
        assert part.shape == (1, 60, 40)
        assert not view.mirrored
        assert float(part[0, 0, 0] * 255) == pytest.approx(column[view.left + 1], abs=0.6)


def test_widths_and_crowds_are_what_is_said() -> None:
    options = training_options("discriminative", None, None, 10, 2, False, 0)
    settings = TrainSettings(widths=(16, 16, 24, 24), crowd_share=0.2, truncated_share=0.1)
    assert settings.config.widths == (16, 16, 24, 24)
    assert settings.config.preset == "vedette"
    assert settings.episodes(options).crowd_share == 0.2
    assert settings.episodes(options).truncated_share == 0.1
    assert TrainSettings().episodes(options).crowd_share == 0.5
    assert TrainSettings().episodes(options).truncated_share == 0.2


def test_weights_to_begin_with_are_grown_where_wider_ones_are_wanted(tmp_path: Path) -> None:
    folder = make_scene_folders(tmp_path / "scenes", frames=40)
    options = training_options("discriminative", None, 1e-5, 1, 1, False, 0)
    small, wide = tmp_path / "small", tmp_path / "wide"
    save_checkpoint(SceneModel(replace(VEDETTE, widths=(16, 16, 16, 16))), small, {})
    widths = (16, 24, 16, 32)
    settings = TrainSettings(queries=1, init=str(small), widths=widths, device="cpu")
    run_train(folder, wide, options, [], False, Console(quiet=True), settings)
    assert load_checkpoint(wide, resolve_device("cpu"))[0].config.widths == widths
    settings = TrainSettings(queries=1, init=str(wide), widths=(16, 16, 16, 32), device="cpu")
    with pytest.raises(ValueError, match="want widths >= "):
        run_train(folder, small, options, [], False, Console(quiet=True), settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--widths", "0", "8", "8", "8"], "widths: want four multiples of 8 from 16 on, got (0,"),
        (["--contrastive-weight", "0.5"], "only for --objective both"),
        (["--objective", "both", "--contrastive-weight", "0"], "want more than 0, got 0"),
        (["--learning-rate", "-1"], "--learning-rate: want more than 0, got -1"),
        (["--blend", "0.5"], "want --init to blend with, got --blend 0.5 alone"),
        (["--crop", "64", "64"], "--crop: want --no-augment"),
        (["--preset", "paper", "--crop", "64", "400"], "want a part of 240 320 pixels"),
        (["--device", "tpu"], "want auto, cpu, cuda or cuda:N, got 'tpu'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path), "--out", "x", *arguments])
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)


@pytest.mark.parametrize("option", ["--preset", "--objective"])
def test_unknown_choices_are_wrong_usage(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path), "--out", "x", option, "best"])
    assert result.exit_code == 2


def make_scene_folders(folder: Path, frames: int = 20) -> Path:
    for number in range(2):
        place = folder / f"scene{number}"
        place.mkdir(parents=True)
        ground = np.random.default_rng(number).integers(40, 200, (48, 64, 3), dtype=np.uint8)
        pictures = [np.roll(ground, shift, axis=1) for shift in range(frames)]
        write_video(place / "01.mp4", frames_per_second=frames // 4, pictures=pictures)
    return folder


def test_scenes_are_kept_in_colour_where_the_model_looks_at_it(tmp_path: Path) -> None:
    scenes = load_scenes(make_scene_folders(tmp_path), height=24, frames_per_second=5, colour=True)
    (clip,) = scenes["scene1"]
    assert clip.frames.shape == (20, 24, 32, 3)
    assert clip.size_hw == (24, 32)
    assert np.abs(np.diff(clip.frames.astype(int), axis=-1)).max() > 10


def test_the_paper_preset_is_trained_and_written(tmp_path: Path) -> None:
    options = training_options("contrastive", None, None, 1, 1, False, 0)
    settings = TrainSettings(
        preset="paper",
        queries=1,
        augment=False,
        shrinkage="sigshrink",
        device="cpu",
        images=tmp_path / "sheets",
        images_every=2,
    )
    folder = make_scene_folders(tmp_path / "scenes")
    out = tmp_path / "paper"
    assert run_train(folder, out, options, [], False, Console(quiet=True), settings) == []
    model, _ = load_checkpoint(out, resolve_device("cpu"))
    assert (model.config.preset, model.config.shrinkage) == ("paper", "soft")
    assert (
        json.loads(out.with_suffix(".json").read_text())["provenance"]["shrinkage"] == "sigshrink"
    )
    with (tmp_path / "paper.train.csv").open() as log:
        (row,) = csv.DictReader(log)
    assert float(row["energy_positive"]) > 0
    assert list((tmp_path / "sheets").iterdir()) == []


def test_what_is_written_may_be_a_blend_with_the_weights_to_begin_with(tmp_path: Path) -> None:
    folder = make_scene_folders(tmp_path / "scenes", frames=40)
    weights = {}
    for blend in (0.0, 0.5, 1.0):
        out = tmp_path / f"blend{blend:g}"
        options = training_options("discriminative", None, 1e-2, 1, 1, False, 0)
        settings = TrainSettings(queries=1, init="vedette", blend=blend, device="cpu")
        run_train(folder, out, options, [], False, Console(quiet=True), settings)
        weights[blend] = load_checkpoint(out, resolve_device("cpu"))[0].backbone.state_dict()
    shipped = load_checkpoint("vedette", resolve_device("cpu"))[0].backbone.state_dict()
    for name, value in shipped.items():
        assert torch.equal(weights[0.0][name], value)
        assert not torch.equal(weights[1.0][name], value)
        torch.testing.assert_close(weights[0.5][name], (value + weights[1.0][name]) / 2)
