import json
import random

import numpy as np
import pytest

from pipeline.transport.messages import (
    Answer,
    CameraTable,
    Done,
    FrameMessage,
    Heartbeat,
    Hello,
    Live,
    Request,
    RevisionAck,
    ScoreAck,
    ScoreMessage,
    Welcome,
)
from pipeline.transport.wire import KINDS, Message, WireError, decode, encode


def frame(pixels: np.ndarray | None = None) -> FrameMessage:
    if pixels is None:
        pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    return FrameMessage("front", 7, 3, 0.3, 10.0, 10.5, 2, False, 99, pixels)


def score(**changes: object) -> ScoreMessage:
    values: dict[str, object] = {
        "camera": "front",
        "connection": 7,
        "index": 3,
        "pts_seconds": 0.3,
        "captured_at": 10.0,
        "scored_at": 11.0,
        "dropped": 0,
        "state": "ready",
        "progress": "",
        "energy": 1.5,
        "score": 0.25,
        "threshold": 4.0,
        "anomaly_map": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    }
    return ScoreMessage(**(values | changes))  # type: ignore[arg-type]


MESSAGES: list[Message] = [
    Hello("front", 5),
    Welcome(6, 8, 0.5),
    frame(),
    Done(7, 3),
    score(),
    score(state="collecting", progress="3/10", energy=None, score=None, anomaly_map=None),
    score(pixels=np.zeros((2, 2, 3), np.uint8)),
    ScoreAck("front", 7, 3),
    Heartbeat("scorer", 1, 2, 3.0, {"front": "watching"}, [["vedette_camera_up", {}, 1.0]]),
    Live("front", "event", {"began_at": 1.0, "peak": None}),
    Request("a1", "adapt", {"camera": "front"}, 12.5),
    Answer("a1", "conflict", problem="front: want a camera that is on"),
    Answer("a2", "ok", {}, "", np.zeros((2, 3), np.float32), np.ones((2, 2, 3), np.uint8)),
    RevisionAck("scorer", 4),
    CameraTable(4, {"front": {"enabled": True}}),
]


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return one == other


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_kind_survives_the_wire(message: Message) -> None:
    read = decode([bytes(part) for part in encode(message)])
    assert type(read) is type(message)
    for name in message.__slots__:
        assert same(getattr(read, name), getattr(message, name)), name


def test_every_kind_is_tested() -> None:
    assert {type(message) for message in MESSAGES} == set(KINDS.values())


def test_arrays_are_not_copied_and_read_only() -> None:
    message = frame()
    parts = encode(message)
    assert np.shares_memory(np.frombuffer(parts[2], np.uint8), message.pixels)
    read = decode(parts)
    assert isinstance(read, FrameMessage)
    assert np.shares_memory(read.pixels, message.pixels)
    assert not read.pixels.flags.writeable


def test_arrays_that_are_not_contiguous_are_sent_correctly() -> None:
    pixels = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)[::2, ::-1]
    read = decode(encode(frame(pixels)))
    assert isinstance(read, FrameMessage)
    assert np.array_equal(read.pixels, pixels)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (score(energy=float("nan")), "score: want finite JSON data"),
        (score(anomaly_map=np.zeros((2, 3))), r"score.anomaly_map: want <f4, got <f8"),
        (frame(np.zeros((4, 6), np.uint8)), r"frame.pixels: want shape .*, got \(4, 6\)"),
        (frame(np.zeros((0, 6, 3), np.uint8)), r"frame.pixels: want shape"),
        (Live("front", "event", {"at": object()}), "live: want finite JSON data"),
    ],
)
def test_invalid_messages_are_not_sent(message: Message, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        encode(message)


def changed(change: dict[str, object]) -> list[bytes]:
    kind, text, buffer = (bytes(part) for part in encode(frame()))
    header = json.loads(text)
    for path, value in change.items():
        place = header
        *way, last = path.split(".")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value
    return [kind, json.dumps(header).encode(), buffer]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "want a kind and a header, got 0 parts"),
        ([b"pickle", b"{}"], "want a kind among .*, got b'pickle'"),
        ([b"done", b"{"], "done: want a JSON header"),
        ([b"done", b"[" * 100_000], "done: want a JSON header"),
        ([b"done", b"\xff"], "done: want a JSON header"),
        ([b"done", b"[]"], "done: want a header of schema, fields and arrays"),
        ([b"done", b" " * (5 * 2**20)], "done: want a header of at most"),
        (changed({"schema": 2}), "frame: want schema version 1, got 2"),
        (changed({"fields": []}), "frame.fields: want"),
        (changed({"fields.index": "3"}), "frame.index: want .*int.*, got '3'"),
        (changed({"fields.index": True}), "frame.index: want .*int.*, got True"),
        (changed({"fields.pts_seconds": None}), "frame.pts_seconds: want .*float.*, got None"),
        (changed({"fields.more": 1}), r"frame: missing fields \[\], unknown fields \['more'\]"),
        (changed({"fields.pixels": 1}), "frame: field 'pixels' twice"),
        (changed({"arrays": []}), "frame: want 0 buffers, got 1"),
        (changed({"arrays.0.dtype": "|O"}), r"frame.pixels: want \|u1, got \|O"),
        (changed({"arrays.0.shape": [4, 7, 3]}), r"want 84 bytes for \|u1 \(4, 7, 3\), got 72"),
        (changed({"arrays.0.shape": [-4, -6, 3]}), "frame.pixels: want shape"),
        (changed({"arrays.0.shape": [10**6, 10**6, 3]}), "frame.pixels: want at most"),
        (changed({"arrays.0.shape": 5}), "frame: malformed description of an array"),
        (changed({"arrays.0.field": "camera"}), "frame.camera: want an array among"),
        (changed({"arrays.0.more": 1}), "frame: want field, dtype and shape of an array"),
        ([b"hello", b'{"schema":1,"fields":{"camera":"a"},"arrays":[]}'], "missing .*incarnation"),
    ],
)
def test_malformed_messages_are_refused(parts: list[bytes], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        decode(parts)


def test_damaged_messages_raise_only_wire_errors() -> None:
    chance = random.Random(0)
    read = refused = 0
    for _ in range(3000):
        parts = [bytearray(part) for part in encode(chance.choice(MESSAGES))]
        for _ in range(chance.randint(1, 3)):
            part = chance.choice(parts)
            if part:
                part[chance.randrange(len(part))] = chance.randrange(256)
        if chance.random() < 0.2:
            parts.pop(chance.randrange(len(parts)))
        try:
            decode([bytes(part) for part in parts])
            read += 1
        except WireError:
            refused += 1
    assert refused > 1000
    assert read > 100
