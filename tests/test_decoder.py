"""From pictures to numbered frames in the mailbox."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from cameras.pacing import Pace
from cameras.sampling import Sampler
from cameras.source import Picture
from pipeline.config import Camera
from pipeline.ingest.decoder import Decoder, number
from pipeline.ingest.in_flight import Progress
from pipeline.ingest.mailbox import Mailbox, QueuedFrame
from pipeline.telemetry.metrics import Metrics


def pictures(
    count: int, rate: float = 10.0, connection: int = 1, size_hw: tuple[int, int] = (64, 96)
) -> Iterator[tuple[int, Picture]]:
    for index in range(count):
        pixels = np.full((*size_hw, 3), index % 256, dtype=np.uint8)
        yield connection, Picture(index / rate, 1000 + index / rate, pixels)


def numbered(
    stream: Iterator[tuple[int, Picture]], done: Progress | None = None
) -> list[tuple[int, int, bool]]:
    frames = number(stream, lambda: Sampler(10.0), done)
    return [(frame.connection, frame.index, frame.context) for frame in frames]


def test_frames_are_counted_without_gaps_after_sampling() -> None:
    assert numbered(pictures(30, rate=30.0)) == [(1, index, False) for index in range(10)]


def test_each_connection_is_counted_from_0() -> None:
    def both() -> Iterator[tuple[int, Picture]]:
        yield from pictures(3)
        yield from pictures(2, connection=7)

    assert numbered(both()) == [
        (1, 0, False),
        (1, 1, False),
        (1, 2, False),
        (7, 0, False),
        (7, 1, False),
    ]


def test_the_numbers_of_a_later_life_are_those_of_the_first() -> None:
    whole = list(number(pictures(100, rate=25.0), lambda: Sampler(10.0)))
    later = list(number(pictures(100, rate=25.0), lambda: Sampler(10.0), Progress(1, 20, 16)))
    assert [frame.index for frame in later] == list(range(16, 40))
    assert [frame.context for frame in later] == [True] * 5 + [False] * 19
    for frame in later:
        assert frame.picture.pts_seconds == whole[frame.index].picture.pts_seconds


def test_earlier_connections_are_not_done_again() -> None:
    def passes() -> Iterator[tuple[int, Picture]]:
        for connection in (1, 2, 3):
            yield from pictures(3, connection=connection)

    assert numbered(passes(), Progress(2, 1, 1)) == [
        (2, 1, True),
        (2, 2, False),
        (3, 0, False),
        (3, 1, False),
        (3, 2, False),
    ]


def decoded(
    stream: Iterator[tuple[int, Picture]],
    mailbox: Mailbox,
    pace: Pace = "fast",
    done: Progress | None = None,
    **settings: object,
) -> Metrics:
    camera = Camera.model_validate(
        {"source": "clip.mp4", "detect": {"fps": 10, "height": 48, "width": 64}, **settings}
    )
    metrics = Metrics(CollectorRegistry())
    Decoder("street", camera, mailbox, metrics, pace, done).run(stream)
    return metrics


def emptied(mailbox: Mailbox) -> list[QueuedFrame]:
    queued_frames = []
    while queued_frame := mailbox.take(0.0):
        queued_frames.append(queued_frame)
    return queued_frames


def test_frames_are_made_ready() -> None:
    mailbox = Mailbox("wait", 9)
    masks = {"clock": {"coordinates": "0,0,0.5,0,0.5,0.5,0,0.5"}}
    decoded(pictures(5), mailbox, masks=masks)
    queued_frames = emptied(mailbox)
    assert mailbox.exhausted
    assert [queued_frame.frame.index for queued_frame in queued_frames] == list(range(5))
    frame = queued_frames[4].frame
    assert frame.size_hw == (48, 64)
    assert frame.captured_at == 1000.4
    assert frame.pixels[5, 5].tolist() == [0, 0, 0]
    assert frame.pixels[40, 60].tolist() == [4, 4, 4]


def test_what_a_live_camera_loses_is_counted() -> None:
    mailbox = Mailbox("newest", 1)
    metrics = decoded(pictures(10), mailbox)
    (queued_frame,) = emptied(mailbox)
    assert (queued_frame.frame.index, queued_frame.dropped) == (9, 9)
    labels = {"camera": "street", "reason": "replaced"}
    assert metrics.registry.get_sample_value("vedette_frames_dropped_total", labels) == 9


def test_a_paced_recording_takes_its_time_but_not_for_what_is_skipped() -> None:
    mailbox = Mailbox("wait", 99)
    begin = time.monotonic()
    decoded(pictures(60), mailbox, pace="live", done=Progress(1, 57, 53))
    seconds = time.monotonic() - begin
    queued_frames = emptied(mailbox)
    assert [queued_frame.frame.index for queued_frame in queued_frames] == list(range(53, 60))
    assert [queued_frame.context for queued_frame in queued_frames] == [True] * 5 + [False] * 2
    assert 0.09 < seconds < 3.0
    assert queued_frames[-1].frame.captured_at == pytest.approx(time.time(), abs=5.0)


def test_a_closed_mailbox_ends_it() -> None:
    mailbox = Mailbox("wait", 1)
    decoder = threading.Thread(target=decoded, args=(pictures(100), mailbox))
    decoder.start()
    mailbox.close()
    decoder.join(5.0)
    assert not decoder.is_alive()


def test_the_mailbox_is_closed_when_the_pictures_fail() -> None:
    def broken() -> Iterator[tuple[int, Picture]]:
        yield from pictures(1)
        raise OSError("torn cable")

    mailbox = Mailbox("wait", 9)
    with pytest.raises(OSError, match="torn cable"):
        decoded(broken(), mailbox)
    assert len(emptied(mailbox)) == 1
    assert mailbox.exhausted
