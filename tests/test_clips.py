"""Clips are sampled by time: what each holds, when it is full, and what is refused."""

import numpy as np
import pytest

from pipeline.scoring.clips import ClipBuffer


def picture(number: int, size_hw: tuple[int, int] = (2, 3)) -> np.ndarray:
    return np.full((*size_hw, 3), number, dtype=np.uint8)


def numbers(clip: np.ndarray) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in clip]


def push_all(buffer: ClipBuffer, times: list[float]) -> list[list[int]]:
    return [numbers(buffer.push(time, picture(number))) for number, time in enumerate(times)]


def test_first_clips_repeat_the_earliest_frame() -> None:
    buffer = ClipBuffer(3, 0.1)
    clips = push_all(buffer, [5.0, 5.1, 5.2, 5.3])
    assert clips == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]


def test_shape_and_type() -> None:
    clip = ClipBuffer(5, 0.1).push(0.0, picture(7, (4, 6)))
    assert clip.shape == (5, 4, 6, 3)
    assert clip.dtype == np.uint8
    assert clip.flags.c_contiguous


def test_a_faster_camera_is_sampled_by_time() -> None:
    buffer = ClipBuffer(3, 0.1)
    clips = push_all(buffer, [number / 30 for number in range(12)])
    assert clips[-1] == [5, 8, 11]


def test_a_slower_camera_repeats_what_was_newest_then() -> None:
    buffer = ClipBuffer(3, 0.1)
    clips = push_all(buffer, [0.0, 0.25, 0.5])
    assert clips[-1] == [1, 1, 2]


def test_a_quarter_interval_late_still_counts() -> None:
    assert push_all(ClipBuffer(2, 0.1), [0.0, 0.01, 0.1001])[-1] == [1, 2]
    assert push_all(ClipBuffer(2, 0.1), [0.0, 0.03, 0.1001])[-1] == [0, 2]


def test_after_a_gap_the_newest_frame_before_it_is_used() -> None:
    clips = push_all(ClipBuffer(3, 0.1), [0.0, 0.1, 0.2, 5.0, 5.1])
    assert clips[-2:] == [[2, 2, 3], [2, 3, 4]]


def test_full_once_no_frame_is_repeated() -> None:
    buffer = ClipBuffer(3, 0.1)
    assert not buffer.full
    states = []
    for number in range(4):
        buffer.push(number / 10, picture(number))
        states.append(buffer.full)
    assert states == [False, False, True, True]


def test_one_frame_clips_are_always_full() -> None:
    buffer = ClipBuffer(1, 0.1)
    assert numbers(buffer.push(3.0, picture(9))) == [9]
    assert buffer.full
    assert buffer.reach_seconds == 0


def test_reset_forgets() -> None:
    buffer = ClipBuffer(3, 0.1)
    push_all(buffer, [7.0, 7.1, 7.2])
    buffer.reset()
    assert not buffer.full
    assert numbers(buffer.push(0.0, picture(4))) == [4, 4, 4]


def test_the_reach_and_one_frame_before_it_are_enough_to_go_on() -> None:
    """What the ingest worker sends again after a restart of the scorer gives the same clips."""
    times = [0.0, 0.05, 0.3, 0.34, 0.41, 0.9, 1.0, 1.05, 1.2, 1.3, 1.31, 1.5]
    whole = push_all(ClipBuffer(4, 0.1), times)
    for begin in range(1, len(times)):
        buffer = ClipBuffer(4, 0.1)
        reach = times[begin] - buffer.reach_seconds
        first = max([n for n in range(begin) if times[n] <= reach], default=0)
        for number in range(first, begin):
            buffer.push(times[number], picture(number))
        rest = [numbers(buffer.push(times[n], picture(n))) for n in range(begin, len(times))]
        assert rest == whole[begin:]


def test_keeps_no_more_than_it_needs() -> None:
    buffer = ClipBuffer(5, 0.1)
    push_all(buffer, [number / 10 for number in range(100)])
    assert buffer.depth == 5


def test_refuses_time_that_stands_still_and_goes_on() -> None:
    buffer = ClipBuffer(2, 0.1)
    buffer.push(1.0, picture(1))
    with pytest.raises(ValueError, match=r"want one after 1\.000000 s"):
        buffer.push(1.0, picture(2))
    assert numbers(buffer.push(1.1, picture(3))) == [1, 3]


def test_refuses_another_size_and_goes_on() -> None:
    buffer = ClipBuffer(2, 0.1)
    buffer.push(1.0, picture(1))
    with pytest.raises(ValueError, match=r"want pixels of shape \(2, 3, 3\) as before"):
        buffer.push(1.1, picture(2, (4, 4)))
    assert numbers(buffer.push(1.2, picture(3))) == [1, 3]


@pytest.mark.parametrize(("length", "interval"), [(0, 0.1), (3, 0.0), (3, -1.0)])
def test_refuses_impossible_clips(length: int, interval: float) -> None:
    with pytest.raises(ValueError, match="want >"):
        ClipBuffer(length, interval)


def test_ages_are_those_of_the_frames_that_were_taken() -> None:
    """At 15 a second thinned out to 10 the steps are 67 and 133 ms, never the 100 of the clip."""
    buffer = ClipBuffer(3, 0.1)
    times = [0.0, 0.0667, 0.2, 0.2667, 0.4]
    for number, time in enumerate(times):
        buffer.push(time, picture(number))
    assert buffer.ages == pytest.approx((0.2, 0.1333, 0.0))
    buffer.push(0.87, picture(9))  # frames were lost
    assert buffer.ages == pytest.approx((0.47, 0.47, 0.0))
