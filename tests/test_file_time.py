import math
import random
from itertools import pairwise

import pytest

from cameras.file_time import RecordingClock


def mapped(
    *stamps: float | None, origin: float | None = None, rate: float | None = 10.0
) -> list[float]:
    clock = RecordingClock(origin, rate)
    return [seconds for seconds, _ in clock.run((stamp, None) for stamp in stamps)]


def steady(begin: float, count: int, step: float = 0.1) -> list[float]:
    return [begin + step * number for number in range(count)]


def test_valid_time_stamps_start_at_the_origin() -> None:
    assert mapped(7.0, 7.1, 7.25, 9.0) == pytest.approx([0.0, 0.1, 0.25, 2.0])
    assert mapped(7.0, 7.1, origin=5.0) == pytest.approx([2.0, 2.1])


@pytest.mark.parametrize("gap", [8.0, 60.0, 3600.0, 80_000.0])
def test_gaps_are_preserved(gap: float) -> None:
    stamps = steady(0.0, 20) + steady(2.0 + gap, 20)
    assert mapped(*stamps) == pytest.approx(stamps)


def test_recording_of_one_frame_per_minute() -> None:
    stamps = steady(0.0, 30, 60.0)
    assert mapped(*stamps, rate=1 / 60) == pytest.approx(stamps)


@pytest.mark.parametrize("count", [1, 3, 6])
@pytest.mark.parametrize(
    "stray", [1e9, 95_443.7, 50.0, 12.0, -3.0, -70.0, None, math.nan, math.inf]
)
def test_stray_time_stamps_do_not_shift_the_rest(stray: float | None, count: int) -> None:
    stamps: list[float | None] = list(steady(5.0, 60))
    good = mapped(*stamps)
    # Constant, as a camera repeats them, or advancing from the stray value.
    for step in (0.0, 0.1):
        for n in range(count):
            stamps[20 + n] = None if stray is None else stray + step * n
        assert mapped(*stamps) == pytest.approx(good, abs=0.11)


def test_stray_time_stamp_at_the_end_advances_one_step() -> None:
    assert mapped(0.0, 0.1, 0.2, 7e6) == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_stray_first_time_stamp() -> None:
    assert mapped(500.0, 0.1, 0.2, 0.3, origin=0.0)[1:] == pytest.approx([0.1, 0.2, 0.3])


def test_gap_right_after_a_stray_time_stamp() -> None:
    stamps = [*steady(0.0, 10), 5e5, *steady(61.0, 10)]
    assert mapped(*stamps)[11:] == pytest.approx(steady(61.0, 10))


def test_announced_rate_is_ignored_once_a_step_is_known() -> None:
    """A recording with gaps announces its mean rate, which no two frames have."""
    stamps: list[float | None] = list(steady(0.0, 30, 0.04))
    stamps[10] = None
    assert mapped(*stamps, rate=0.5) == pytest.approx(steady(0.0, 30, 0.04))


def test_restarted_time_stamps_continue() -> None:
    """As in two concatenated recordings."""
    taken = mapped(*steady(100.0, 30), *steady(0.0, 30))
    assert taken == pytest.approx(steady(0.0, 60))


def test_set_clock_is_no_gap() -> None:
    taken = mapped(*steady(0.0, 30), *steady(1.7e9, 30))
    assert taken == pytest.approx(steady(0.0, 60))


@pytest.mark.parametrize("stamp", [None, 3.0])
def test_without_time_stamps_it_advances_at_its_rate(stamp: float | None) -> None:
    assert mapped(*[stamp] * 50) == pytest.approx(steady(0.0, 50))


def test_missing_first_time_stamp() -> None:
    assert mapped(None, 5.0, 5.1) == pytest.approx([0.0, 0.1, 0.2])


def test_output_is_strictly_increasing_for_any_input() -> None:
    rng = random.Random(1)
    wild = [None, math.nan, 0.0, -1e9, 1e300, -1e300, 5.0, 5.01, 4.99, 2.0**60, 60.0, 90_000.0]
    for origin in (None, 0.0, 5.0, 1e300):
        taken = mapped(*[rng.choice(wild) for _ in range(3000)], origin=origin)
        assert len(taken) == 3000
        assert all(math.isfinite(seconds) for seconds in taken)
        assert all(early < late for early, late in pairwise(taken))
