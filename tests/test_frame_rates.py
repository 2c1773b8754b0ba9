"""A frame rate below that of the model is said: by validate, by doctor and in the log."""

import json
import logging
from pathlib import Path

import pytest
from makers import small_scorer
from stage_parts import small_config, worker_context
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.config import load_config
from pipeline.config.frame_rates import expected_fps
from pipeline.doctor import software
from pipeline.scoring.camera_set import CameraSet
from pipeline.worker import RunInfo

SAID = "camera yard: detect.fps is 5, and the model expects 10 frames/s"


def written(folder: Path, yard: str, door: str = "") -> Path:
    path = folder / "vedette.yaml"
    path.write_text(
        f"cameras:\n  yard: {{source: /tmp/a.mp4{yard}}}\n  door: {{source: /tmp/b.mp4{door}}}\n"
    )
    return path


def test_what_a_checkpoint_expects(tmp_path: Path) -> None:
    assert expected_fps("vedette") == pytest.approx(10)
    assert expected_fps("nosuch") is None
    head = {"config": {"clip_interval_seconds": 0.2, "clip_length": 5}}
    for name, text in (("x.json", json.dumps(head)), ("y.json", "{}"), ("z.json", "no JSON")):
        (tmp_path / name).write_text(text)
    assert expected_fps(str(tmp_path / "x")) == pytest.approx(5)
    assert expected_fps(str(tmp_path / "x.safetensors")) == pytest.approx(5)
    assert expected_fps(str(tmp_path / "y")) is None
    assert expected_fps(str(tmp_path / "z")) is None
    head["config"]["clip_length"] = 1
    (tmp_path / "x.json").write_text(json.dumps(head))
    assert expected_fps(str(tmp_path / "x")) is None


def test_validate_and_doctor(tmp_path: Path) -> None:
    path = written(tmp_path, ", detect: {fps: 5}", ", enabled: false, detect: {fps: 5}")
    result = CliRunner().invoke(app, ["validate", "-c", str(path)])
    assert result.exit_code == 0
    assert f"! {SAID}" in result.output
    assert "door" not in result.output.partition("!")[2]
    check = software.frame_rates(load_config(path))
    assert (check.verdict, check.found) == ("warn", "the model expects 10 frames/s")
    assert SAID in check.advice
    for fps in ("", ", detect: {fps: 10}", ", detect: {fps: 25}"):
        path = written(tmp_path, fps)
        assert "!" not in CliRunner().invoke(app, ["validate", "-c", str(path)]).output
        assert software.frame_rates(load_config(path)).verdict == "ok"


def test_the_log_of_the_scorer(run: RunInfo, caplog: pytest.LogCaptureFixture) -> None:
    detect = {"fps": 5, "height": 48, "width": 64}
    config = small_config({"yard": "/tmp/a.mp4"}, {"detect": detect})
    with caplog.at_level(logging.WARNING):
        CameraSet(worker_context("scorer", config, run), small_scorer(), config.cameras).close()
    assert SAID in caplog.text
