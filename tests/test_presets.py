"""Every preset through all that takes a model: train, load, replay, evaluate, a scoring worker."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import CLIP_HW, make_clips, small_scorer, walking_box, write_images, write_video
from rich.console import Console
from stage_parts import CollectingSink, noise_frames, send_all, small_config, worker_context
from typer.testing import CliRunner

from models import PRESETS, SceneScorer
from models.checkpoint import load_checkpoint, save_checkpoint
from models.scene_model import SceneModel
from models.training.langevin import Steps
from models.training.meta_training import Trainer
from models.training.objectives import Episode
from pipeline.cli.main import app
from pipeline.cli.train import run_train
from pipeline.cli.train_settings import TrainSettings, training_options
from pipeline.scoring import scoring_worker
from pipeline.worker import PermanentError, RunInfo

PRESET_NAMES = sorted(PRESETS)


@pytest.fixture(scope="module", params=PRESET_NAMES)
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the preset as `vedette train` writes them after one step."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    for number in range(2):
        place = folder / "scenes" / f"scene{number}"
        place.mkdir(parents=True)
        ground = np.random.default_rng(number).integers(40, 200, (48, 64, 3), dtype=np.uint8)
        pictures = [np.roll(ground, shift, axis=1) for shift in range(40)]
        write_video(place / "01.mp4", frames_per_second=10, pictures=pictures)
    options = training_options("discriminative", None, None, 1, 1, False, 0)
    settings = TrainSettings(
        preset=request.param, queries=1, augment=False, device="cpu", size_hw=(64, 96)
    )
    out = folder / "weights"
    run_train(folder / "scenes", out, options, [], False, Console(quiet=True), settings)
    return out


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("preset", ["paper", "paper-5"])
@pytest.mark.parametrize("langevin", ["bounded", "literal"])
def test_the_presets_of_the_paper_take_a_step_of_its_objective(
    preset: str, langevin: Steps
) -> None:
    torch.manual_seed(0)
    config = replace(PRESETS[preset], shrinkage="sigshrink", steps=3)
    model = SceneModel(config)
    shape = (2, config.clip_length, 3, 32, 32)
    support, normal, corrupted = (torch.rand(shape) for _ in range(3))
    episode = Episode(support, torch.empty(0), torch.empty(0), normal, corrupted)
    options = training_options("contrastive", None, None, 1, 1, False, 0, langevin)
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    Trainer(model, options).step(lambda: episode)
    assert all(
        not torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items()
    )


def test_the_five_frame_network_uses_time() -> None:
    scorer = SceneScorer.untrained("paper-5", seed=0)
    scene = scorer.adapt(make_clips(3, 5, seed=1))
    random = torch.Generator().manual_seed(0)
    moving = make_clips(1, 5, seed=3, intruder=True)
    newest = moving[:, -1:].expand_as(moving).contiguous()
    order = torch.randperm(4, generator=random).tolist()
    shuffled = moving[:, [*order, 4]]
    seen = [scorer.compute_features(clips).features for clips in (moving, newest, shuffled)]
    for other in seen[1:]:
        assert float((seen[0] - other).norm()) > 0.1 * float(seen[0].norm())
    energies = [float(scorer.score(clips, [scene]).energies) for clips in (moving, newest)]
    assert abs(energies[0] - energies[1]) > 0.001


def test_is_loaded_in_the_layout_of_2d_convolutions(weights: Path) -> None:
    model, _ = load_checkpoint(weights, torch.device("cpu"))
    flat = [weight for weight in model.parameters() if weight.dim() == 4]
    assert flat
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in flat)


def test_replays_a_recording(weights: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "yard.mp4", frames_per_second=10, pictures=walking_box(30))
    scores = tmp_path / "scores.jsonl"
    invoke("replay", tmp_path / "yard.mp4", "--support", tmp_path / "yard.mp4", "--shots", 3,
           "--weights", weights, "--json", scores, "--device", "cpu",
           "--out", tmp_path / "annotated.mp4", "--heatmap", "gradient")  # fmt: skip
    energies = [json.loads(line)["energy"] for line in scores.read_text().splitlines()]
    assert len(energies) == 30
    assert energies[-1] is not None
    assert (tmp_path / "annotated.mp4").stat().st_size > 1000


def test_is_measured_on_a_benchmark(weights: Path, tmp_path: Path) -> None:
    place = tmp_path / "UCSDped2"
    for clip in ("Train/Train001", "Test/Test001"):
        write_images(place / clip, walking_box(16))
    masks = [np.full((48, 64, 3), 255 * (number >= 8), np.uint8) for number in range(16)]
    write_images(place / "Test" / "Test001_gt", masks)
    (place / "Test" / "UCSDped2.m").write_text("x.gt_frame = [9:16];\n")
    said = invoke("evaluate", "ucsd-ped2", "--root", place, "--shots", 2, "--draws", 1,
                  "--weights", weights, "--device", "cpu", "--heatmap", "gradient")  # fmt: skip
    assert "16 frames, 8 anomalous" in said
    assert "gradient heatmap" in said


def test_watches_in_a_scoring_worker(weights: Path, run: RunInfo) -> None:
    scoring = {"weights": str(weights), "device": "cpu", "threads": 1}
    context = worker_context("scorer", small_config(["street"], scoring=scoring), run)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            scoring_worker.run(context)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with CollectingSink(run) as sink:
            send_all(run, noise_frames("street", 40, seed=0))
    finally:
        context.stop.set()
        thread.join(20)
    assert not errors
    assert sink.scores[-1].state in ("calibrating", "ready")
    assert sink.scores[-1].energy is not None


def test_a_model_that_cannot_score_a_clip_is_said_to_be_one(
    run: RunInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(small_scorer().model, tmp_path / "small", {})
    scoring = {"weights": str(tmp_path / "small"), "device": "cpu", "threads": 1}
    context = worker_context("scorer", small_config(["street"], scoring=scoring), run)

    def broken(*_: object) -> None:
        raise RuntimeError("required rank 4 tensor to use channels_last format")

    monkeypatch.setattr(SceneModel, "observe", broken)
    with pytest.raises(PermanentError, match=r"preset vedette .* 5 frames of 64x48: required"):
        scoring_worker.run(context)


def test_a_full_device_is_nothing_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = SceneScorer.untrained("vedette", seed=0)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(SceneModel, "observe", full)
    with pytest.raises(torch.OutOfMemoryError):
        scoring_worker.try_model(scorer, CLIP_HW)
