"""A live camera's mailbox keeps the newest frame and counts; a file's makes the decoder wait."""

import threading
import time

import numpy as np
import pytest

from cameras.frame import Frame
from pipeline.ingest.mailbox import Mailbox


def frame(index: int, connection: int = 1) -> Frame:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    return Frame("street", connection, index, index / 10, 0.0, pixels)


def taken(mailbox: Mailbox) -> list[tuple[int, int, int]]:
    queued_frames = []
    while queued_frame := mailbox.take(0.0):
        queued_frames.append(
            (queued_frame.frame.connection, queued_frame.frame.index, queued_frame.dropped)
        )
    return queued_frames


def test_newest_replaces_and_counts() -> None:
    mailbox = Mailbox("newest", capacity=9)
    assert mailbox.put(frame(0)) is None
    assert taken(mailbox) == [(1, 0, 0)]
    lost = [mailbox.put(frame(index)) for index in range(1, 5)]
    assert [one.index if one else None for one in lost] == [None, 1, 2, 3]
    assert mailbox.depth == 1
    assert taken(mailbox) == [(1, 4, 3)]
    mailbox.put(frame(5))
    assert taken(mailbox) == [(1, 5, 3)]


def test_every_gap_in_the_indexes_is_in_the_count() -> None:
    rng = np.random.default_rng(0)
    mailbox = Mailbox("newest", capacity=1)
    seen = []
    for index in range(200):
        mailbox.put(frame(index))
        if rng.random() < 0.3:
            seen += taken(mailbox)
    assert seen
    for number, (_, index, dropped) in enumerate(seen):
        assert index - dropped == number


def test_the_count_restarts_with_a_connection() -> None:
    mailbox = Mailbox("newest", capacity=1)
    for index in range(3):
        mailbox.put(frame(index))
    lost = mailbox.put(frame(0, connection=2))
    assert lost is not None
    assert lost.index == 2
    assert taken(mailbox) == [(2, 0, 0)]


def test_wait_loses_nothing() -> None:
    mailbox = Mailbox("wait", capacity=2)
    most = 0

    def decode() -> None:
        for index in range(50):
            assert mailbox.put(frame(index)) is None
        mailbox.close()

    decoder = threading.Thread(target=decode)
    decoder.start()
    queued_frames = []
    while not mailbox.exhausted:
        most = max(most, mailbox.depth)
        if queued_frame := mailbox.take(1.0):
            queued_frames.append((queued_frame.frame.index, queued_frame.dropped))
    decoder.join()
    assert queued_frames == [(index, 0) for index in range(50)]
    assert most <= 2


def test_wait_makes_the_decoder_wait() -> None:
    mailbox = Mailbox("wait", capacity=1)
    mailbox.put(frame(0))
    through = threading.Event()

    def decode() -> None:
        mailbox.put(frame(1))
        through.set()

    decoder = threading.Thread(target=decode)
    decoder.start()
    assert not through.wait(0.1)
    assert mailbox.take(0.0) is not None
    assert through.wait(5.0)
    decoder.join()


def test_close_frees_a_waiting_decoder_and_leaves_what_is_inside() -> None:
    mailbox = Mailbox("wait", capacity=1)
    mailbox.put(frame(0))
    lost: list[Frame | None] = []
    decoder = threading.Thread(target=lambda: lost.append(mailbox.put(frame(1))))
    decoder.start()
    mailbox.close()
    decoder.join(5.0)
    assert [one.index for one in lost if one] == [1]
    assert not mailbox.exhausted
    assert taken(mailbox) == [(1, 0, 0)]
    assert mailbox.exhausted


def test_take_gives_up_in_time() -> None:
    mailbox = Mailbox("newest", capacity=1)
    begin = time.monotonic()
    assert mailbox.take(0.05) is None
    assert 0.04 <= time.monotonic() - begin < 2.0


def test_context_is_marked() -> None:
    mailbox = Mailbox("wait", capacity=2)
    mailbox.put(frame(0), context=True)
    mailbox.put(frame(1))
    first, second = mailbox.take(0.0), mailbox.take(0.0)
    assert first is not None
    assert second is not None
    assert (first.context, second.context) == (True, False)


def test_needs_room() -> None:
    with pytest.raises(ValueError, match="want >= 1 frame, got 0"):
        Mailbox("wait", capacity=0)
