"""From energies to scores: what a person reads must mean what it says."""

import random

import pytest

from models.calibration import Calibration, provisional, refine, update_provisional


def normal_energies(count: int, middle: float = 2.0, spread: float = 0.5) -> list[float]:
    source = random.Random(0)
    return [source.gauss(middle, spread) for _ in range(count)]


def test_median_is_zero_and_threshold_is_one() -> None:
    calibration = Calibration(median=2.0, threshold=6.0, spread=0.5, samples=10, final=True)
    assert calibration.score(2.0) == 0.0
    assert calibration.score(6.0) == 1.0
    assert calibration.score(8.0) == 1.5


def test_the_first_threshold_is_above_all_that_the_support_showed() -> None:
    energies = normal_energies(10)
    calibration = provisional(energies)
    assert calibration.threshold > max(energies)
    assert not calibration.final


def test_what_follows_corrects_a_support_that_was_too_much_alike() -> None:
    first = provisional([0.0, 0.1, 0.0, 0.2, 0.1])
    energies = normal_energies(600, middle=2.0, spread=1.4)
    early, late = (update_provisional(first, energies[:count], count / 10) for count in (20, 600))
    assert first.median < early.median < late.median <= 2.1
    assert max(energies) > first.threshold  # it would have been an alarm
    assert first.threshold < early.threshold < late.threshold
    assert max(energies) < late.threshold
    assert not late.final


def test_a_calmer_life_does_not_lower_the_first_threshold() -> None:
    first = provisional(normal_energies(10))
    assert update_provisional(first, [0.0] * 600, 60.0).threshold == first.threshold


def test_without_energies_there_is_still_a_calibration() -> None:
    calibration = provisional([])
    assert calibration.score(0.0) == 0.0
    assert calibration.threshold > 0


def test_equal_energies_do_not_make_a_zero_scale() -> None:
    calibration = refine(provisional([1.0] * 10), [1.0] * 600, 0.1, 1.0)
    assert calibration.threshold > 1.0


def test_a_minute_brings_the_threshold_down_to_what_is_needed() -> None:
    first = provisional(normal_energies(10), prior_spread=2.0)
    energies = normal_energies(600)
    calibration = refine(first, energies, 0.1, 24.0)
    assert calibration.final
    assert max(energies) < calibration.threshold < first.threshold


def test_an_anomaly_in_the_calibration_window_does_not_become_normal() -> None:
    first = provisional(normal_energies(10))
    clean = normal_energies(600)
    contaminated = clean + [first.threshold + 5.0] * 60
    assert refine(first, contaminated, 0.1, 1.0) == refine(first, clean, 0.1, 1.0)


def test_too_few_energies_keep_the_first_calibration() -> None:
    first = provisional(normal_energies(10))
    calibration = refine(first, normal_energies(5), 0.1, 1.0)
    assert calibration.threshold == first.threshold
    assert calibration.final


@pytest.mark.parametrize(
    "values", [(1.0, 1.0, 0.1), (2.0, 1.0, 0.1), (float("nan"), 1.0, 0.1), (0.0, float("inf"), 0.1)]
)
def test_impossible_scales_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="calibration: want"):
        Calibration(*values, samples=1, final=True)
