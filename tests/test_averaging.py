"""The mean of several weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from models.averaging import mean_of
from models.checkpoint import load_checkpoint, read_provenance, save_checkpoint
from models.config import PAPER, VEDETTE
from models.scene_model import SceneModel
from pipeline.cli.main import app


def make_model(seed: int) -> SceneModel:
    torch.manual_seed(seed)
    model = SceneModel(replace(VEDETTE, widths=(16, 16, 16, 16), motion_weight=1.0))
    model.prior_mean.copy_(torch.tensor([0.1 * seed, -2.0]))
    return model


def test_every_weight_and_typical_energy_is_the_mean() -> None:
    models = [make_model(seed) for seed in (1, 2, 3)]
    mean = mean_of(models)
    for name, value in mean.state_dict().items():
        expected = sum(model.state_dict()[name] for model in models) / 3
        torch.testing.assert_close(value, expected)
    assert float(mean.prior_mean[0]) == pytest.approx(0.2)


def test_a_scene_is_judged_as_the_preset_says_today() -> None:
    mean = mean_of([make_model(1), make_model(2)])
    assert mean.config == replace(VEDETTE, widths=(16, 16, 16, 16))


def test_what_cannot_be_averaged_is_refused() -> None:
    with pytest.raises(ValueError, match="want at least 2 weights, got 1"):
        mean_of([make_model(1)])
    with pytest.raises(ValueError, match="want weights of one preset and widths"):
        mean_of([make_model(1), SceneModel(VEDETTE)])
    with pytest.raises(ValueError, match="want weights of one preset and widths"):
        mean_of([make_model(1), SceneModel(PAPER)])


def test_the_command_says_what_the_mean_is_of(tmp_path: Path) -> None:
    for seed, held_out in ((1, ["a", "b"]), (2, ["b"])):
        provenance: dict[str, object] = {"scenes": [f"s{seed}"], "held_out": held_out}
        save_checkpoint(make_model(seed), tmp_path / f"run{seed}", provenance)
    out = tmp_path / "mean"
    names = [str(tmp_path / "run1"), str(tmp_path / "run2")]
    result = CliRunner().invoke(app, ["average", *names, "--out", str(out)])
    assert result.exit_code == 0, result.output
    told = read_provenance(out)
    assert (told["scenes"], told["held_out"]) == (["s1", "s2"], ["b"])
    fingerprints = [load_checkpoint(name, torch.device("cpu"))[1] for name in names]
    origins = json.loads(json.dumps(told["mean_of"]))
    assert [one["fingerprint"] for one in origins] == fingerprints
    assert [one["name"] for one in origins] == ["run1", "run2"]
    mean, _ = load_checkpoint(out, torch.device("cpu"))
    weights = [load_checkpoint(name, torch.device("cpu"))[0].state_dict() for name in names]
    name = "backbone.head.weight"
    torch.testing.assert_close(mean.state_dict()[name], (weights[0][name] + weights[1][name]) / 2)
