"""CurveZMQ: every topic admits clients with the keys of the run, and no others."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from makers import walking_box, write_video
from pipeline_run import leftovers, pipeline_run
from pydantic import TypeAdapter
from test_transport_frames import until

from pipeline.config import Config, TransportSection
from pipeline.runtime.process_table import process_table
from pipeline.runtime.restart_policy import RestartRules
from pipeline.runtime.supervisor import Supervisor
from pipeline.transport import ports
from pipeline.transport.curve import CurveKeys, KeyPair
from pipeline.transport.frames import FrameReceiver, FrameSender
from pipeline.transport.messages import Heartbeat, Hello, Live, RevisionAck, Welcome
from pipeline.transport.ports import Port
from pipeline.transport.topics import (
    CONTROL,
    FRAMES,
    HEARTBEATS,
    LIVE,
    SCORES,
    TOPICS,
    Endpoints,
    Topic,
    run_endpoints,
)
from pipeline.transport.wire import Message
from pipeline.worker import RunInfo, WorkerSpec

MESSAGES: dict[Topic, Message] = {
    FRAMES: Hello("front", 1),
    SCORES: Hello("front", 1),
    HEARTBEATS: Heartbeat("front", 1, 1, 1.0),
    LIVE: Live("front", "score", {}),
    CONTROL: RevisionAck("sink", 1),
}


@pytest.fixture
def curve() -> Iterator[Endpoints]:
    with run_endpoints(TransportSection(kind="tcp")) as endpoints:
        assert endpoints.keys
        yield endpoints


def keys_of(endpoints: Endpoints) -> CurveKeys:
    assert endpoints.keys
    return endpoints.keys


def without_keys(endpoints: Endpoints) -> Endpoints:
    return replace(endpoints, keys=None)


def knows_the_public_key_only(endpoints: Endpoints) -> Endpoints:
    """The keys of a client that has only the server's public key."""
    server = KeyPair(keys_of(endpoints).server.public, "")
    return replace(endpoints, keys=CurveKeys(server, KeyPair.generate()))


def has_a_wrong_server_key(endpoints: Endpoints) -> Endpoints:
    """The keys of a client with the right own keys and a wrong key of the server."""
    return replace(endpoints, keys=CurveKeys(KeyPair.generate(), keys_of(endpoints).worker))


def of_another_run(endpoints: Endpoints) -> Endpoints:
    return replace(endpoints, keys=CurveKeys.generate())


def gets_through(server: Endpoints, client: Endpoints, topic: Topic, seconds: float) -> bool:
    """Whether a message comes over, within a time."""
    message = MESSAGES[topic]
    sender = Port(topic, server if topic.binds == "sender" else client, sends=True, identity=b"a")
    receiver = Port(topic, client if topic.binds == "sender" else server, sends=False)
    deadline = time.monotonic() + seconds
    with receiver, sender:
        while time.monotonic() < deadline:
            sender._send(message)
            if any(got == message for _, got in receiver._receive(0.02)):
                return True
    return False


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_admits_only_clients_of_the_run(curve: Endpoints, topic: Topic) -> None:
    unknown_clients = (
        without_keys,
        knows_the_public_key_only,
        has_a_wrong_server_key,
        of_another_run,
    )
    began = time.monotonic()
    assert gets_through(curve, curve, topic, 10.0)
    time_enough = max(0.5, 3 * (time.monotonic() - began))
    for unknown in unknown_clients:
        assert not gets_through(curve, unknown(curve), topic, time_enough), unknown.__name__
    assert gets_through(curve, curve, topic, 10.0)


def test_worker_sends_nothing_to_a_server_without_the_keys(curve: Endpoints) -> None:
    """Another process may listen on the port of a sink that has just ended."""
    for other_server in (without_keys(curve), of_another_run(curve)):
        for topic in TOPICS:
            assert not gets_through(other_server, curve, topic, 0.3)


def test_unknown_clients_have_no_effect(curve: Endpoints, caplog: pytest.LogCaptureFixture) -> None:
    unknown = knows_the_public_key_only(curve)
    with caplog.at_level(logging.WARNING), FrameReceiver(curve) as scorer:
        for _ in range(10):
            with FrameSender(unknown, "front") as refused:
                assert not refused.hello(Hello("front", 9))
                with FrameSender(curve, "front") as own:
                    until(lambda own=own: own.hello(Hello("front", 1)))
                    assert scorer.poll(2) == [Hello("front", 1)]
                    scorer.welcome("front", Welcome(9, 4, 0.5))
                    assert own.poll(2) == [Welcome(9, 4, 0.5)]
                time.sleep(0.02)
    said = [record.getMessage() for record in caplog.records]
    assert said, "no refusal was logged"
    assert all(line.startswith("frames: refused an unknown client at 127.0.0.1") for line in said)
    assert len(said) < 5


@contextmanager
def tapped(port: int, seen: bytearray) -> Iterator[int]:
    """Forward one connection from another port to a port and record both directions."""

    def pump(one: socket.socket, other: socket.socket) -> None:
        while part := one.recv(65536):
            seen.extend(part)
            other.sendall(part)
        other.shutdown(socket.SHUT_WR)

    def forward() -> None:
        inner, _ = listener.accept()
        with inner, socket.create_connection(("127.0.0.1", port)) as outer:
            back = threading.Thread(target=pump, args=(outer, inner))
            back.start()
            pump(inner, outer)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=forward)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("keys", [False, True])
def test_intercepted_traffic_is_encrypted(curve: Endpoints, keys: bool) -> None:
    endpoints = curve if keys else without_keys(curve)
    message, seen = RevisionAck("planted-pass", 1), bytearray()
    with tapped(int(endpoints.address(CONTROL).rpartition(":")[2]), seen) as port:
        over = {**endpoints.addresses, "control": f"tcp://127.0.0.1:{port}"}
        client = Port(CONTROL, replace(endpoints, addresses=over), sends=True, identity=b"a")
        with Port(CONTROL, endpoints, sends=False) as server, client:
            until(lambda: client._send(message))
            assert [got for _, got in server._receive(5.0)] == [message]
    assert len(seen) > 100
    assert (b"planted-pass" in seen) != keys


def test_without_an_authenticator_no_client_is_admitted(
    curve: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoAuthenticator:
        def __init__(self, *_: object) -> None:
            return

        def join(self) -> None:
            return

    monkeypatch.setattr(ports, "ZapAuthenticator", NoAuthenticator)
    assert not gets_through(curve, curve, FRAMES, 0.5)


def test_port_releases_its_threads_and_descriptors(curve: Endpoints) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    def use() -> None:
        with FrameReceiver(curve) as scorer, FrameSender(curve, "front") as own:
            until(lambda: own.hello(Hello("front", 1)))
            assert scorer.poll(2)

    use()
    children, descriptors, shared = leftovers()
    before = threads()
    for _ in range(20):
        use()
    with FrameReceiver(curve), pytest.raises(zmq.ZMQError), FrameReceiver(curve):
        pass  # the address is in use, and the objects created for it are released

    def given_back() -> bool:  # a thread that is joined may still be listed: now, or in ``before``
        now_children, now_descriptors, now_shared = leftovers()
        same = (now_children, now_shared) == (children, shared)
        return same and now_descriptors <= descriptors and threads() <= before

    until(given_back)


def secrets_in(keys: CurveKeys) -> list[str]:
    return [keys.server.public, keys.server.secret, keys.worker.public, keys.worker.secret]


def test_keys_are_in_no_repr_and_in_the_specification(curve: Endpoints, tmp_path: Path) -> None:
    config = Config.model_validate({"cameras": {"front": {"source": "a.mp4"}}})
    (spec, *_) = process_table(config, RunInfo(1, curve, tmp_path))
    text = f"{spec!r} {spec} {curve!r} {keys_of(curve)!r} {keys_of(curve).server!r}"
    document = spec.to_json()
    for key in secrets_in(keys_of(curve)):
        assert key not in text
        assert TypeAdapter(str).dump_json(key).decode() in document
    assert WorkerSpec.from_json(document) == spec
    assert keys_of(curve) != CurveKeys.generate()


def test_keys_are_removed_from_the_log_of_a_worker(
    curve: Endpoints, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = Config.model_validate({"cameras": {"front": {"source": "a.mp4"}}})
    run = RunInfo(1, curve, tmp_path)
    table = [
        WorkerSpec("ingest:front", "entries:reveal", "front", config, run),
        WorkerSpec("sink", "entries:wait", None, config, run),
    ]
    rules = RestartRules(restarts=0, start_seconds=20.0)
    outcome = Supervisor(table, rules, metrics_address=None).run(threading.Event())
    assert list(outcome.failed) == ["ingest:front"]
    said = capfd.readouterr().err + (tmp_path / "logs" / "ingest-front.log").read_text()
    assert said.count("ValueError: wrong key *** for ***") == 3  # two lines, and a traceback
    assert not [key for key in secrets_in(keys_of(curve)) if key in said]


FRAMES_OF_A_CLIP = 120


@pytest.mark.timeout(300)
def test_the_whole_pipeline_with_keys(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every worker is killed in turn, nothing is lost, and no key is to be found anywhere."""
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(FRAMES_OF_A_CLIP), frames_per_second=10)
    before = leftovers()
    shown = ""
    more: dict[str, Any] = {"transport": {"kind": "tcp"}, "api": {"enabled": True, "port": 0}}
    source = {"url": str(clip), "pace": "live"}
    with pipeline_run(tmp_path, {"file": source}, "DEBUG", **more) as run:
        keys = keys_of(run.supervisor.run_info.endpoints)
        run.wait_for(lambda: len(run.scores("file")) > 5)
        for worker in ("ingest:file", "scorer", "sink", "gateway"):
            run.kill(worker)
            had = len(run.scores("file"))
            if had < FRAMES_OF_A_CLIP:
                run.wait_for(lambda had=had: len(run.scores("file")) > had)
            for status in run.supervisor.statuses:
                shown += places_of(status.pid)
        run.wait_for(lambda: len(run.scores("file")) == FRAMES_OF_A_CLIP)
        shown += run.metrics() + run.statuses() + places_of(os.getpid())
        run.stop.set()
        assert run.wait(60).failed == {}
    assert leftovers() == before
    assert [score["index"] for score in run.scores("file")] == list(range(FRAMES_OF_A_CLIP))
    shown += "".join(capfd.readouterr())
    assert "pipeline.runtime.worker_process" in shown
    for path in run.data_folder.rglob("*"):
        if path.is_file():
            shown += path.read_bytes().decode("utf-8", "replace")
    for key in secrets_in(keys):
        assert key not in shown


def places_of(pid: int | None) -> str:
    """Arguments and environment of a process, which others may see."""
    if pid is None:
        return ""
    proc = Path(f"/proc/{pid}")
    return "".join((proc / name).read_text(errors="replace") for name in ("cmdline", "environ"))
