import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.transport.delivery import (
    ScoreDeduplicator,
    UnacknowledgedFullError,
    UnacknowledgedScores,
)
from pipeline.transport.messages import ScoreAck, ScoreMessage
from pipeline.transport.scores import ScoreReceiver, ScoreSender
from pipeline.transport.topics import Endpoints
from pipeline.transport.wire import WireError


def score(index: int, camera: str = "front", energy: float = 1.0) -> ScoreMessage:
    heat = np.zeros((60, 80), np.float32)
    return ScoreMessage(
        camera, 1, index, 0.1 * index, 1.0, 1.0, 0, "ready", "", energy, 0.5, 2.0, heat
    )


def ack(index: int, camera: str = "front") -> ScoreAck:
    return ScoreAck(camera, 1, index)


def sent(outbox: UnacknowledgedScores, index: int, now: float = 0.0) -> ScoreMessage:
    numbered = outbox.put(score(index), now)
    assert numbered is not None
    return numbered


def test_outbox_retransmits_in_order_after_a_time_without_progress() -> None:
    outbox = UnacknowledgedScores(capacity=10, resend_seconds=1.0)
    for index in range(3):
        sent(outbox, index, now=10.0)
    assert outbox.due(10.9) == []
    assert outbox.acknowledge(ack(1), 10.9)
    assert outbox.due(11.8) == []
    again = outbox.due(11.9)
    assert [(s.index, s.number, s.after) for s in again] == [(0, 1, 0), (2, 3, 1)]
    assert outbox.due(12.8) == []
    assert len(outbox.due(12.9)) == 2


def test_outbox_that_was_empty_waits_the_full_time() -> None:
    outbox = UnacknowledgedScores(capacity=10, resend_seconds=1.0)
    sent(outbox, 0, now=100.0)
    assert outbox.due(100.5) == []


def test_outbox_removes_once_and_keeps_no_duplicates() -> None:
    outbox = UnacknowledgedScores(capacity=10, resend_seconds=1.0)
    sent(outbox, 0)
    assert outbox.put(score(0), 0.0) is None
    assert len(outbox) == 1
    assert outbox.acknowledge(ack(0), 0.0)
    assert not outbox.acknowledge(ack(0), 0.0)
    assert outbox.due(99.0) == []


def test_outbox_is_bounded() -> None:
    outbox = UnacknowledgedScores(capacity=2, resend_seconds=1.0)
    sent(outbox, 0)
    sent(outbox, 1)
    with pytest.raises(UnacknowledgedFullError, match="want at most 2 unacknowledged scores"):
        outbox.put(score(2), 0.0)


def test_receiver_waits_for_scores_lost_with_its_previous_process() -> None:
    outbox, inbox = UnacknowledgedScores(capacity=10, resend_seconds=1.0), ScoreDeduplicator()
    lost, overtaking = sent(outbox, 5), sent(outbox, 6)
    assert not inbox.accepts(b"scorer", overtaking)
    first, second = outbox.due(1.0)
    assert inbox.accepts(b"scorer", first)
    assert inbox.accepts(b"scorer", second)
    assert inbox.accepts(b"scorer", lost), "a repetition is let through, to be acknowledged again"


def test_receiver_accepts_scores_after_acknowledged_ones() -> None:
    outbox = UnacknowledgedScores(capacity=10, resend_seconds=1.0)
    sent(outbox, 5)
    outbox.acknowledge(ack(5), 0.0)
    assert ScoreDeduplicator().accepts(b"scorer", sent(outbox, 6))


def test_receiver_distinguishes_senders() -> None:
    inbox = ScoreDeduplicator()
    old, new = UnacknowledgedScores(10, 1.0), UnacknowledgedScores(10, 1.0)
    for index in range(5):
        assert inbox.accepts(b"old", sent(old, index))
    sent(new, 5)
    assert not inbox.accepts(b"new", sent(new, 6))


def test_score_that_cannot_be_encoded_is_not_stored(endpoints: Endpoints) -> None:
    with ScoreSender(endpoints) as scorer:
        with pytest.raises(WireError, match="want finite JSON data"):
            scorer.send(score(0, energy=float("inf")))
        assert scorer.unacknowledged == 0


SINK = """
import sys
from pydantic import TypeAdapter
from pipeline.transport.messages import ScoreAck
from pipeline.transport.scores import ScoreReceiver
from pipeline.transport.topics import Endpoints

kept = open(sys.argv[1], "a")
with ScoreReceiver(TypeAdapter(Endpoints).validate_json(sys.stdin.buffer.readline())) as sink:
    while True:
        for score in sink.poll(0.1):
            print(score.camera, score.index, file=kept, flush=True)
            sink.ack(ScoreAck(score.camera, score.connection, score.index))
"""


def test_every_score_arrives_in_order_though_the_sink_is_killed(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    log = tmp_path / "kept"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SINK, str(log)]
        sink = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
        assert sink.stdin
        sink.stdin.write(TypeAdapter(Endpoints).dump_json(endpoints))
        sink.stdin.close()
        return sink

    cameras, number = ("front", "back"), 300
    deadline = time.monotonic() + 40
    sink = start()
    kills = 0
    try:
        with ScoreSender(endpoints, resend_seconds=1.0) as scorer:
            acks: list[ScoreAck] = []
            following = 0
            while len(acks) < 2 * number:
                assert time.monotonic() < deadline
                if following < number and scorer.unacknowledged < 400:
                    # More than a sink's absence uses up: new ones come to it before the lost ones.
                    for camera in cameras:
                        scorer.send(score(following, camera))
                    following += 1
                acks += scorer.poll(0.005)
                if kills < 2 and len(acks) > 60 * (kills + 1):
                    # In the middle of the stream: some scores are in its buffers.
                    sink.send_signal(signal.SIGKILL)
                    sink.wait()
                    kills += 1
                    sink = start()
    finally:
        sink.kill()
        sink.wait()
    assert len(set(acks)) == len(acks) == 2 * number
    assert kills == 2
    for camera in cameras:
        kept = [int(line.split()[1]) for line in log.read_text().splitlines() if camera in line]
        new = [index for place, index in enumerate(kept) if index > max(kept[:place], default=-1)]
        assert new == list(range(number)), "the first time of each, in order and without holes"


def test_restarted_scorer_begins_a_new_stream(endpoints: Endpoints) -> None:
    with ScoreReceiver(endpoints) as sink:
        for life in range(2):
            with ScoreSender(endpoints, resend_seconds=0.05) as scorer:
                for index in range(3):
                    scorer.send(score(index + life))
                indices: list[int] = []
                deadline = time.monotonic() + 5
                while scorer.unacknowledged and time.monotonic() < deadline:
                    for message in sink.poll(0.02):
                        indices.append(message.index)
                        sink.ack(ack(message.index))
                    scorer.poll(0.02)
                assert sorted(set(indices)) == [life, life + 1, life + 2]
                assert scorer.unacknowledged == 0
