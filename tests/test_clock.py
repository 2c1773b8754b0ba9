import math
import random

import pytest

from cameras.clock import StreamClock, plausible_rate


def mapped(*stamps: float | None, rate: float | None = 10.0) -> list[float]:
    clock = StreamClock(rate)
    return [clock.map(stamp) for stamp in stamps]


def test_valid_time_stamps_start_at_zero() -> None:
    assert mapped(7.0, 7.1, 7.25, 9.0) == pytest.approx([0.0, 0.1, 0.25, 2.0])


def test_first_time_stamp_missing() -> None:
    assert mapped(None, 5.0, 5.1) == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_invalid_time_stamp_advances_one_step_and_does_not_shift_the_rest(
    bad: float | None,
) -> None:
    assert mapped(0.0, 0.1, bad, 0.35) == pytest.approx([0.0, 0.1, 0.2, 0.35])


def test_small_step_back_does_not_shift_the_rest() -> None:
    assert mapped(0.0, 0.4, 0.3, 0.8) == pytest.approx([0.0, 0.4, 0.5, 0.8])


def test_camera_clock_set_back_starts_a_new_time_base() -> None:
    assert mapped(100.0, 100.1, 0.0, 0.1) == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_jump_ahead_starts_a_new_time_base() -> None:
    assert mapped(0.0, 0.1, 95_443.0, 95_443.1) == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_jump_preserves_the_time_between_arrivals() -> None:
    clock = StreamClock(10.0)
    assert clock.map(0.0, 0.0) == 0.0
    assert clock.map(95_443.0, 12.5) == pytest.approx(12.5)


def test_plausible_gap_is_preserved() -> None:
    assert mapped(0.0, 8.0) == pytest.approx([0.0, 8.0])
    assert mapped(0.0, 60.0, 120.0, rate=1 / 60) == pytest.approx([0.0, 60.0, 120.0])


def test_stream_with_a_constant_time_stamp_advances_at_its_rate() -> None:
    assert mapped(*[3.0] * 50) == pytest.approx([number / 10 for number in range(50)])


def test_output_is_strictly_increasing_for_any_input() -> None:
    rng = random.Random(1)
    wild = [None, math.nan, 0.0, -1e9, 1e300, -1e300, 5.0, 5.01, 4.99, 2.0**60]
    clock = StreamClock(25.0)
    last = -math.inf
    for _ in range(5000):
        now = clock.map(rng.choice(wild), rng.choice([None, 0.0, 3.0, math.nan]))
        assert math.isfinite(now)
        assert now > last
        last = now


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, 90_000.0, math.nan, math.inf])
def test_implausible_rate(rate: float | None) -> None:
    assert plausible_rate(rate) is None


def test_plausible_rate() -> None:
    assert plausible_rate(29.97) == 29.97
