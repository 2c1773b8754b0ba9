"""Frames that come in bursts go on when they are due, in order."""

import time

import numpy as np

from cameras.frame import Frame
from pipeline.ingest.playout import Playout


def frame(index: int) -> Frame:
    return Frame("yard", 1, index, index / 10, 0.0, np.zeros((2, 2, 3), np.uint8))


def test_frames_go_on_when_they_are_due_and_in_order() -> None:
    came: list[tuple[int, float]] = []

    def take(one: Frame) -> bool:
        came.append((one.index, time.monotonic()))
        return True

    playout, begin = Playout(take), time.monotonic()
    assert playout.offer(frame(0), begin)
    assert [index for index, _ in came] == [0], "what is due does not wait for a thread"
    dues = [begin + 0.05 * number for number in range(1, 7)]
    for number, due in enumerate(dues, start=1):
        assert playout.offer(frame(number), due)
    while len(came) < 7:
        assert time.monotonic() < begin + 20
        time.sleep(0.005)
    playout.close()
    assert [index for index, _ in came] == list(range(7))
    assert all(at >= due for (_, at), due in zip(came[1:], dues, strict=True))


def test_what_waits_is_bounded_and_goes_on_at_the_end() -> None:
    came: list[int] = []
    playout, later = Playout(lambda one: came.append(one.index) is None), time.monotonic() + 600
    for number in range(140):
        playout.offer(frame(number), later)
    assert came == list(range(12))
    playout.close()
    assert came == list(range(140))


def test_closing_drops_frames_that_are_not_due() -> None:
    playout = Playout(lambda one: False)
    assert not playout.offer(frame(0), 0.0)
    assert not playout.offer(frame(1), time.monotonic() + 600)
    playout.close()
