"""Which samples of a calibration window count, and which clips may show the same occurrence."""

import pytest
import torch

from models.scene_model import Observation
from pipeline.scenes.calibration_window import CalibrationWindow
from pipeline.scenes.refit import neighbours, usual_samples


def minute_of(usual: list[bool]) -> CalibrationWindow:
    """Two frames a second, each a moment."""
    minute = CalibrationWindow(30.0)
    for number, one in enumerate(usual):
        minute.add(number / 2, cached_features, one)
    return minute


def cached_features() -> Observation:
    return Observation(torch.zeros(1, 1, 1, 1, dtype=torch.float16), None)


def test_the_larger_part_of_a_window_is_normal() -> None:
    minute = minute_of([True] * 10 + [False] * 5 + [True] * 5)
    # What is within a second of something unusual does not count either.
    assert usual_samples(minute) == {*range(8), 17, 18, 19}
    assert usual_samples(minute_of([True] * 20)) == set(range(20))
    mostly = minute_of([True] * 9 + [False] * 11)
    assert usual_samples(mostly) == set(range(20))


def test_enough_is_left_or_all_samples_count() -> None:
    minute = minute_of([True] * 10 + [False] * 5 + [True] * 5)
    # Every second moment may become part of a support: 0, 2, 4, 6 and 18 of those that are left.
    assert usual_samples(minute, least=5) == {*range(8), 17, 18, 19}
    assert usual_samples(minute, least=6) == set(range(20))


def test_what_recurs_all_the_time_is_normal() -> None:
    """A fifth of the moments, but hardly one is a second away from all of them."""
    minute = minute_of([number % 5 != 0 for number in range(60)])
    assert usual_samples(minute) == set(range(60))
    rarely = minute_of([number % 15 != 7 for number in range(60)])
    assert len(usual_samples(rarely)) == 40


def test_the_share_does_not_depend_on_the_length() -> None:
    """One second in seven is unusual, ten frames a second: in ten minutes a moment is kept each
    four seconds, and three in seven seconds are near to what was unusual."""
    for seconds, unusual in ((60, 8.9), (600, 85.9)):
        minute = CalibrationWindow(float(seconds))
        for number in range(10 * seconds + 1):
            minute.add(number / 10, cached_features, usual=number % 70 >= 10)
        assert minute.unusual_seconds == pytest.approx(unusual)
        share = len(usual_samples(minute)) / len(minute.seconds)
        assert share == pytest.approx(4 / 7, abs=0.05)


def test_a_crossing_person_does_not_count_as_usual() -> None:
    seconds = [float(second) for second in range(60)]
    found = neighbours(seconds)
    assert found[30] == list(range(20, 41))
    assert found[0] == list(range(11))
    few = neighbours(seconds[:20])
    assert few[10] == list(range(6, 15)), "at most a quarter on each side, so that samples are left"
    assert neighbours([0.0]) == [[0]]
