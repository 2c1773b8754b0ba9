"""Sent frames stay in flight until they are done, over restarts of either side."""

import numpy as np
import pytest

from pipeline.ingest.in_flight import InFlight, Progress
from pipeline.scoring.clips import ClipBuffer
from pipeline.transport.messages import Done, FrameMessage, Welcome


def message(index: int, connection: int = 1, pts_seconds: float | None = None) -> FrameMessage:
    return FrameMessage(
        camera="street",
        connection=connection,
        index=index,
        pts_seconds=index / 10 if pts_seconds is None else pts_seconds,
        captured_at=0.0,
        sent_at=0.0,
        dropped=0,
        context=False,
        scorer=0,
        pixels=np.full((2, 2, 3), index, dtype=np.uint8),
    )


def greeting(incarnation: int = 1, credits: int = 8, context_seconds: float = 0.35) -> Welcome:
    return Welcome(incarnation, credits, context_seconds)


def keys(messages: list[FrameMessage]) -> list[tuple[int, bool]]:
    return [(one.index, one.context) for one in messages]


def finished(count: int) -> InFlight:
    """Frames 0 … count-1 sent and done."""
    in_flight = InFlight()
    in_flight.welcome(greeting())
    for index in range(count):
        in_flight.send(message(index))
        assert in_flight.done(Done(1, index))
    return in_flight


def test_no_credit_before_the_welcome() -> None:
    in_flight = InFlight()
    assert in_flight.credits == 0
    assert in_flight.welcome(greeting(credits=2)) == []
    assert in_flight.credits == 2


def test_credits_come_back_with_done() -> None:
    in_flight = InFlight()
    in_flight.welcome(greeting(credits=2))
    in_flight.send(message(0))
    in_flight.send(message(1))
    assert (in_flight.credits, in_flight.pending) == (0, 2)
    assert in_flight.done(Done(1, 0))
    assert (in_flight.credits, in_flight.pending) == (1, 1)


def test_fewer_credits_after_a_restart_never_go_below_zero() -> None:
    in_flight = InFlight()
    in_flight.welcome(greeting(credits=4))
    for index in range(4):
        in_flight.send(message(index))
    in_flight.welcome(greeting(incarnation=2, credits=2))
    assert in_flight.credits == 0


def test_the_same_scorer_is_sent_nothing_again() -> None:
    in_flight = InFlight()
    in_flight.welcome(greeting())
    in_flight.send(message(0))
    assert in_flight.welcome(greeting()) == []


def test_a_new_scorer_is_sent_the_context_and_all_that_is_pending() -> None:
    in_flight = finished(20)
    for index in (20, 21, 22):
        assert keys(in_flight.send(message(index))) == [(index, False)]
    again = in_flight.welcome(greeting(incarnation=2))
    assert keys(again) == [(n, True) for n in range(15, 20)] + [(n, False) for n in (20, 21, 22)]
    assert keys(in_flight.send(message(23))) == [(23, False)]


def test_without_pending_the_context_goes_before_the_next_frame() -> None:
    in_flight = finished(20)
    assert in_flight.welcome(greeting(incarnation=2)) == []
    assert keys(in_flight.send(message(20))) == [(n, True) for n in range(15, 20)] + [(20, False)]


def test_frames_are_addressed_to_the_scorer_that_granted_the_credit() -> None:
    in_flight = finished(2)
    sent = in_flight.send(message(2))
    again = in_flight.welcome(greeting(incarnation=77))
    assert [one.scorer for one in sent] == [1]
    assert [one.scorer for one in again] == [77, 77, 77]


def test_a_silent_scorer_is_sent_nothing_new_and_then_all_again() -> None:
    in_flight = finished(10)
    in_flight.send(message(10))
    in_flight.pause_until_handshake()
    assert not in_flight.welcomed
    assert in_flight.credits == 0
    again = in_flight.welcome(greeting(incarnation=1))
    assert keys(again) == [(n, True) for n in range(5, 10)] + [(10, False)]
    assert in_flight.welcome(greeting(incarnation=1)) == []


def test_a_second_done_changes_nothing() -> None:
    in_flight = finished(3)
    in_flight.send(message(3))
    assert not in_flight.done(Done(1, 2))
    assert not in_flight.done(Done(9, 3))
    assert in_flight.pending == 1


def test_progress_never_passes_a_frame_that_is_not_done() -> None:
    in_flight = finished(10)
    for index in (10, 11, 12):
        in_flight.send(message(index))
    assert in_flight.done(Done(1, 12))
    assert in_flight.done(Done(1, 11))
    assert not in_flight.done(Done(1, 11))
    assert in_flight.progress == Progress(connection=1, index=9, context_index=5)
    assert in_flight.done(Done(1, 10))
    assert in_flight.progress == Progress(connection=1, index=12, context_index=8)


def test_progress_before_the_first_done() -> None:
    in_flight = InFlight()
    in_flight.welcome(greeting())
    in_flight.send(message(0))
    assert in_flight.progress is None


def test_another_connection_has_its_own_context() -> None:
    in_flight = finished(10)
    in_flight.send(message(0, connection=2))
    in_flight.done(Done(2, 0))
    assert in_flight.progress == Progress(connection=2, index=0, context_index=0)


def test_a_later_worker_goes_on_with_what_it_remembers() -> None:
    in_flight = InFlight()
    for index in (5, 6, 7, 8, 9):
        in_flight.add_context(message(index))
    assert in_flight.progress == Progress(connection=1, index=9, context_index=5)
    in_flight.welcome(greeting())
    assert keys(in_flight.send(message(10))) == [(n, True) for n in range(5, 10)] + [(10, False)]


@pytest.mark.parametrize("seed", range(5))
def test_clips_after_a_restart_are_those_without_one(seed: int) -> None:
    """Uneven times, a restart of the scorer at a random place: the clips are the same."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.choice([0.03, 0.1, 0.1, 0.5], 40)).tolist()
    messages = [message(index, pts_seconds=times[index]) for index in range(40)]

    whole_buffer = ClipBuffer(5, 0.1)
    whole = [whole_buffer.push(one.pts_seconds, one.pixels) for one in messages]

    in_flight = InFlight()
    in_flight.welcome(greeting(context_seconds=whole_buffer.reach_seconds))
    restart = int(rng.integers(1, 39))
    pending = int(rng.integers(0, min(restart, 6)))
    for index in range(restart):
        in_flight.send(messages[index])
        if index < restart - pending:
            in_flight.done(Done(1, index))
    arriving = in_flight.welcome(greeting(2, context_seconds=whole_buffer.reach_seconds))
    for index in range(restart, 40):
        arriving += in_flight.send(messages[index])

    fresh = ClipBuffer(5, 0.1)
    for one in arriving:
        clip = fresh.push(one.pts_seconds, one.pixels)
        if not one.context:
            assert np.array_equal(clip, whole[one.index])
    assert [one.index for one in arriving if not one.context] == list(range(restart - pending, 40))
