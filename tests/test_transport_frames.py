import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq

from pipeline.transport.frames import FrameReceiver, FrameSender
from pipeline.transport.heartbeats import HeartbeatReceiver, HeartbeatSender
from pipeline.transport.live import LivePublisher, LiveSubscriber
from pipeline.transport.messages import Done, FrameMessage, Heartbeat, Hello, Live, Welcome
from pipeline.transport.ports import wait
from pipeline.transport.topics import FRAMES, Endpoints
from pipeline.transport.wire import encode


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come to be in time"
        time.sleep(0.005)


def frame(camera: str, index: int) -> FrameMessage:
    pixels = np.full((48, 64, 3), index % 256, np.uint8)
    return FrameMessage(camera, 1, index, 0.1 * index, 1.0, 1.0, 0, False, 9, pixels)


def test_frames_go_out_and_answers_come_back(endpoints: Endpoints) -> None:
    with (
        FrameReceiver(endpoints) as scorer,
        FrameSender(endpoints, "front") as front,
        FrameSender(endpoints, "back") as back,
    ):
        until(lambda: front.hello(Hello("front", 1)))
        until(lambda: back.hello(Hello("back", 2)))
        hellos = scorer.poll(2) + scorer.poll(0.2)
        assert {hello.camera for hello in hellos} == {"front", "back"}
        scorer.welcome("back", Welcome(9, 4, 0.5))
        assert wait(2, front, back) == [back]
        assert back.poll(0) == [Welcome(9, 4, 0.5)]
        for index in range(20):
            assert front.send(frame("front", index))
        received: list[FrameMessage | Hello] = []
        until(lambda: received.extend(scorer.poll(0.1)) or len(received) == 20)
        for index, message in enumerate(received):
            assert isinstance(message, FrameMessage)
            assert message.index == index
            assert np.all(message.pixels == index)
        scorer.done("front", Done(1, 19))
        assert front.poll(2) == [Done(1, 19)]
        assert back.poll(0) == []


def test_nothing_is_queued_for_a_scorer_that_is_not_connected(endpoints: Endpoints) -> None:
    with FrameSender(endpoints, "front") as front:
        assert not front.hello(Hello("front", 1))
        with FrameReceiver(endpoints) as scorer:
            until(lambda: front.hello(Hello("front", 2)))
            assert scorer.poll(2) == [Hello("front", 2)]
            front.send(frame("front", 0))
        until(lambda: not front.send(frame("front", 1)))
        with FrameReceiver(endpoints) as scorer:
            until(lambda: front.hello(Hello("front", 3)))
            assert scorer.poll(2) == [Hello("front", 3)]


def test_restarted_ingest_worker_takes_over_its_identity(endpoints: Endpoints) -> None:
    with FrameReceiver(endpoints) as scorer, FrameSender(endpoints, "front") as old:
        until(lambda: old.hello(Hello("front", 1)))
        scorer.poll(2)
        with FrameSender(endpoints, "front") as new:
            until(lambda: new.hello(Hello("front", 2)))
            assert scorer.poll(2) == [Hello("front", 2)]
            scorer.welcome("front", Welcome(9, 4, 0.5))
            assert new.poll(2) == [Welcome(9, 4, 0.5)]
            assert old.poll(0) == []


def test_malformed_message_is_counted_and_the_next_one_read(
    endpoints: Endpoints, caplog: pytest.LogCaptureFixture
) -> None:
    with FrameReceiver(endpoints) as scorer, zmq.Context() as context:
        other = context.socket(zmq.DEALER)
        other.linger = 0
        other.setsockopt(zmq.IDENTITY, b"front")
        if endpoints.keys:
            endpoints.keys.configure(other, server=False)
        other.connect(endpoints.address(FRAMES))
        with caplog.at_level(logging.WARNING):
            for _ in range(50):
                other.send_multipart([b"frame", b"nonsense"])
            other.send_multipart(encode(Done(1, 1)))
            other.send_multipart(encode(frame("back", 0)))
            other.send_multipart(encode(Hello("front", 1)))
            received: list[object] = []
            until(lambda: received.extend(scorer.poll(0.1)) or received)
        other.close()
        assert received == [Hello("front", 1)]
        assert scorer.rejected == 52
        assert len(caplog.records) == 1
        assert "frames: malformed message ignored: frame: want a JSON header" in caplog.text


def test_heartbeats_of_several_workers_arrive(endpoints: Endpoints) -> None:
    with (
        HeartbeatReceiver(endpoints) as parent,
        HeartbeatSender(endpoints) as one,
        HeartbeatSender(endpoints) as other,
    ):
        received: set[str] = set()

        def both() -> bool:
            one.send(Heartbeat("one", 1, 1, 1.0))
            other.send(Heartbeat("other", 2, 1, 1.0))
            received.update(beat.worker for beat in parent.poll(0.05))
            return received == {"one", "other"}

        until(both)


def test_last_heartbeat_is_not_lost_by_closing(endpoints: Endpoints) -> None:
    with HeartbeatReceiver(endpoints) as parent:
        with HeartbeatSender(endpoints) as worker:
            until(lambda: worker.send(Heartbeat("w", 1, 1, 0.0)) or parent.poll(0.05))
            worker.send(Heartbeat("w", 1, 1, 9.0))
        assert [beat.sent_at for beat in parent.poll(2)][-1] == 9.0


def test_subscriber_survives_a_restart_of_the_sink(endpoints: Endpoints) -> None:
    with LiveSubscriber(endpoints) as watcher:
        for number in range(2):
            live = Live("front", "score", {"index": number})
            with LivePublisher(endpoints) as sink:
                until(lambda: sink.publish(live) or live in watcher.poll(0.02))  # noqa: B023


def test_folder_with_a_long_path_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    with pytest.raises(ValueError, match=f"socket path .*{folder.name}/.*: want at most 107 bytes"):
        Endpoints.in_folder(folder)


def test_closed_port_raises(endpoints: Endpoints) -> None:
    with pytest.raises(RuntimeError, match="frames: want an open port"):
        FrameSender(endpoints, "front").hello(Hello("front", 1))
