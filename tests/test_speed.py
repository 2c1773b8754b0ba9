"""`vedette doctor` on speed: what is measured, and how many cameras fit."""

from pathlib import Path

import pytest
from makers import small_scorer
from stage_parts import small_config

from models.checkpoint import save_checkpoint
from pipeline.cli import doctor
from pipeline.config.model import Scoring
from pipeline.doctor import speed
from pipeline.doctor.speed import Speed, frames_per_second, judge_speed, measure

USUAL = Speed(wall_seconds=0.023, cpu_seconds=0.035)


def test_a_frame_is_really_scored(tmp_path: Path) -> None:
    save_checkpoint(small_scorer().model, tmp_path / "small", {})
    scoring = Scoring(weights=str(tmp_path / "small"), device="cpu", threads=1)
    small = measure(scoring, (48, 64), seconds=0.05)
    large = measure(scoring, (192, 256), seconds=0.05)
    assert 0 < small.wall_seconds < large.wall_seconds
    assert small.cpu_seconds > 0


@pytest.mark.parametrize(
    ("measured", "cores", "rate"),
    [
        (Speed(0.03, 0.035), 2, 0.8 / 0.03),  # the scoring worker has one after the other to do
        (USUAL, 1, 0.8 / 0.047),  # it shares the core
        (Speed(0.002, 0.002), 2, 0.8 * 2 / 0.005),  # a GPU scores; the decoders need the cores
    ],
)
def test_what_fits_is_bound_by_the_clock_and_by_the_cores(
    measured: Speed, cores: int, rate: float
) -> None:
    assert frames_per_second(measured, cores) == pytest.approx(rate, rel=0.01)


def test_cameras_that_do_not_fit_are_named() -> None:
    check = judge_speed(USUAL, 2, [10.0] * 3)
    assert check.verdict == "ok"
    assert "a frame takes 23 ms on 2 cores: about 3 cameras at 10 frames a second" in check.found
    check = judge_speed(USUAL, 2, [10.0] * 4)
    assert check.verdict == "warn"
    assert "4 cameras send 40 frames a second, and 34 can be scored" in check.advice
    assert judge_speed(USUAL, 2, []).verdict == "ok"
    assert "about 1 camera at" in judge_speed(Speed(0.08, 0.08), 2, []).found


def test_only_cameras_that_are_enabled_count(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def fast(_: Scoring, size_hw: tuple[int, int]) -> Speed:
        sizes.append(size_hw)
        return Speed(0.03, 0.03)

    monkeypatch.setattr(speed, "measure", fast)
    config = small_config(["a", "b", "c", "d"])
    assert speed.speed(config).verdict == "warn"
    off = small_config(["a", "b", "c", "d"], {"enabled": False})
    assert speed.speed(off).verdict == "ok"
    assert sizes == [(48, 64), (240, 320)]


def test_without_weights_nothing_is_measured() -> None:
    config = small_config(["a"], scoring={"weights": "/nonexistent/weights"})
    check = speed.speed(config)
    assert check.verdict == "warn"
    assert "not measured: /nonexistent/weights.json" in check.found


def test_the_doctor_looks_at_speed() -> None:
    assert "speed" in [name for name, _ in doctor._checks(None)]
