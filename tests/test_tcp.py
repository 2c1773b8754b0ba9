"""The topics over TCP: which ports, and peers that fall silent."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from pydantic import TypeAdapter
from test_transport_frames import until

from pipeline.config import TransportSection
from pipeline.config.transport import LAST_FIRST_PORT
from pipeline.transport import ports, topics
from pipeline.transport.frames import FrameReceiver, FrameSender
from pipeline.transport.messages import Hello
from pipeline.transport.topics import (
    FRAMES,
    TOPICS,
    Endpoints,
    ports_from,
    reserved_ports,
    run_endpoints,
)

PEER = """
import sys
from pydantic import TypeAdapter
from pipeline.transport.frames import FrameReceiver
from pipeline.transport.topics import Endpoints

with FrameReceiver(TypeAdapter(Endpoints).validate_json(sys.stdin.buffer.read())) as scorer:
    while True:
        scorer.poll(1.0)
"""


@pytest.mark.parametrize("keys", [False, True])
def test_silent_peer_is_disconnected(monkeypatch: pytest.MonkeyPatch, keys: bool) -> None:
    """A host that is cut off closes no connection; here its process is stopped."""
    monkeypatch.setattr(ports, "TCP_PING_SECONDS", 0.1)
    monkeypatch.setattr(ports, "TCP_DEAD_SECONDS", 1.0)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        run_endpoints(TransportSection(kind="tcp", curve=keys)) as endpoints,
        subprocess.Popen(
            [sys.executable, "-c", PEER], env=environment, stdin=subprocess.PIPE
        ) as peer,
        FrameSender(endpoints, "front") as own,
    ):
        try:
            assert peer.stdin
            peer.stdin.write(TypeAdapter(Endpoints).dump_json(endpoints))
            peer.stdin.close()
            until(lambda: own.hello(Hello("front", 1)), 20)
            for _ in range(25):  # idle for longer than the heartbeat timeout
                time.sleep(0.1)
                assert own.hello(Hello("front", 1))
            peer.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            until(lambda: not own.hello(Hello("front", 1)), 20)
            assert time.monotonic() - began > 0.5
            peer.send_signal(signal.SIGCONT)
            until(lambda: own.hello(Hello("front", 1)), 20)
        finally:
            peer.kill()


def test_ports_stay_reserved_while_a_worker_restarts() -> None:
    with reserved_ports("127.0.0.1", 0) as mine, reserved_ports("127.0.0.1", 0) as others:
        assert len({*mine, *others}) == 2 * len(TOPICS)
        endpoints = Endpoints.at_ports("127.0.0.1", mine, None)
        for _ in range(2):
            with FrameReceiver(endpoints):
                pass
        # No socket listens, and the port is not assigned to this end as a free one.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", mine[0]), 5)


def free_run_of_ports() -> int:
    """The first of enough free ports, below those that the system gives to everybody else."""
    for first in random.sample(range(20_000, 30_000, 10), 20):
        with suppress(OSError), reserved_ports("127.0.0.1", first):
            return first
    raise AssertionError("no free ports")


def test_ports_one_after_the_other() -> None:
    assert ports_from(LAST_FIRST_PORT)[-1] == 65535
    first = free_run_of_ports()
    with run_endpoints(TransportSection(kind="tcp", port=first)) as endpoints:
        numbers = [int(endpoints.address(topic).rpartition(":")[2]) for topic in TOPICS]
        assert numbers == list(range(first, first + len(TOPICS)))
        with (
            FrameReceiver(endpoints),
            pytest.raises(OSError, match=f"port {first}: address already in use; want an address"),
            run_endpoints(TransportSection(kind="tcp", port=first)),
        ):
            pass


def test_an_address_of_another_machine_is_refused() -> None:
    with (
        pytest.raises(
            OSError, match=r"192\.0\.2\.1, port any: .*; want an address of this machine"
        ),
        run_endpoints(TransportSection(kind="tcp", host="192.0.2.1")),
    ):
        pass


def test_ipv6() -> None:
    try:
        with run_endpoints(TransportSection(kind="tcp", host="::1")) as endpoints:
            assert endpoints.address(FRAMES).startswith("tcp://[::1]:")
            with FrameReceiver(endpoints) as scorer, FrameSender(endpoints, "front") as own:
                until(lambda: own.hello(Hello("front", 1)))
                assert scorer.poll(2) == [Hello("front", 1)]
    except OSError as error:
        if "cannot assign" in str(error) or "not supported" in str(error):
            pytest.skip("no IPv6 here")
        raise


def test_no_keys_where_libzmq_has_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(topics.zmq, "has", lambda what: what != "curve")
    with (
        pytest.raises(ValueError, match=r"transport.curve: want a libzmq with CURVE, got "),
        run_endpoints(TransportSection(kind="tcp")),
    ):
        pass
    assert not caplog.records
    with run_endpoints(TransportSection(kind="tcp", curve=False)) as endpoints:
        assert endpoints.keys is None
    assert "transport.curve is false: every host that can reach 127.0.0.1 can watch" in caplog.text
    with run_endpoints(TransportSection()) as endpoints:
        assert endpoints.address(FRAMES).startswith("ipc://")
