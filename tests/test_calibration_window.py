"""Samples of a calibration window: one each half second, up to a maximum."""

from itertools import pairwise

import pytest
import torch

from models.scene_model import Observation
from pipeline.scenes.calibration_window import CalibrationWindow, max_candidates


def cached_features() -> Observation:
    return Observation(torch.zeros(1, 1, 1, 1, dtype=torch.float16), None)


def see(minute: CalibrationWindow, begin: float, frames: int, rate: float = 10.0) -> None:
    for number in range(frames):
        minute.add(begin + number / rate, cached_features)


def test_a_sample_is_stored_each_half_second() -> None:
    minute = CalibrationWindow(3.0)
    see(minute, 1000.0, 31)
    assert minute.seconds == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    assert len(minute.features) == 7
    assert minute.over


def test_it_is_over_when_its_time_has_passed() -> None:
    minute = CalibrationWindow(3.0)
    see(minute, 0.0, 30)
    assert not minute.over
    minute.add(3.0, cached_features)
    assert minute.over


def test_a_gap_is_no_time() -> None:
    minute = CalibrationWindow(20.0)
    see(minute, 0.0, 11)
    see(minute, 500.0, 1)  # the stream jumps: one second at most
    minute.interrupted()
    see(minute, 7.0, 11)  # another connection, whose time starts again
    assert minute.seconds == pytest.approx([0.0, 0.5, 1.0, 2.0, 2.5, 3.0])
    minute.add(6.0, cached_features)  # time that runs backwards adds nothing
    assert len(minute.features) == 6


def test_unusable_frames_are_not_stored() -> None:
    minute = CalibrationWindow(3.0)
    see(minute, 0.0, 11)
    for number in range(11, 40):
        minute.add(number / 10, None)
    assert minute.seconds == pytest.approx([0.0, 0.5, 1.0])
    assert minute.step_seconds == pytest.approx(0.5)
    assert minute.over, "or it would never end for a camera that goes blind in it"


def test_unusable_frames_do_not_lengthen_the_steps() -> None:
    minute = CalibrationWindow(40.0)
    see(minute, 0.0, 101)
    for number in range(101, 301):
        minute.add(number / 10, None)
    see(minute, 30.1, 100)
    assert minute.step_seconds == pytest.approx(0.5)


def test_it_records_unusual_spans() -> None:
    """Also between the moments that are kept, and in unfit pictures."""
    for seconds in (20.0, 600.0):
        minute = CalibrationWindow(seconds)
        for number in range(round(10 * seconds) + 1):
            unusual = number == 77 or 100 <= number <= 120
            minute.add(number / 10, cached_features if number % 50 else None, usual=not unusual)
        assert minute.unusual == [pytest.approx((7.7, 7.7)), pytest.approx((10.0, 12.0))]
        assert minute.unusual_seconds == pytest.approx(0.1 + 2.1)


def test_the_last_seconds_can_be_discarded() -> None:
    minute = CalibrationWindow(20.0)
    see(minute, 0.0, 32)
    minute.discard_last(1.0)
    assert minute.seconds == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert len(minute.features) == 5
    assert minute.now_seconds == pytest.approx(2.1)
    minute.interrupted()
    see(minute, 50.0, 5)
    assert minute.seconds[-1] == pytest.approx(2.5)
    minute.discard_last(9.0)
    assert (minute.seconds, minute.features, minute.now_seconds) == ([], [], 0.0)


@pytest.mark.parametrize(
    ("seconds", "candidates"), [(20.0, 21), (60.0, 61), (200.0, 201), (300.0, 151), (600.0, 151)]
)
def test_number_of_candidates_for_a_support(seconds: float, candidates: int) -> None:
    assert max_candidates(seconds) == candidates
    minute = CalibrationWindow(seconds)
    see(minute, 0.0, round(10 * seconds) + 1)
    assert len(minute.features[:: minute.every]) == candidates


def test_features_are_copied_only_if_stored() -> None:
    copies = []
    minute = CalibrationWindow(20.0)
    for number in range(100):
        minute.add(number / 30, lambda: copies.append(1) or cached_features())  # type: ignore[func-returns-value]
    assert len(copies) == len(minute.features) == 7


def test_a_long_window_drops_every_second_sample() -> None:
    minute = CalibrationWindow(600.0)
    for second in range(601):
        minute.add(float(second), cached_features)
        assert len(minute.features) <= 240
    assert minute.over
    assert minute.step_seconds == pytest.approx(4.0)
    gaps = {later - earlier for earlier, later in pairwise(minute.seconds)}
    assert gaps == {4.0}, "spread evenly over all of it"
    assert minute.seconds[0] == 0.0
    assert minute.seconds[-1] >= 596.0
