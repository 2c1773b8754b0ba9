"""Cost of encryption: frames over a private folder, over TCP, and over TCP with CurveZMQ.

    python -m benchmarks.transport

One process sends frames to another one, with as many credits as a scorer grants a camera, and
receives `Done` for each, as in the service. The ways take turns, so that a machine whose speed
drifts slows all alike. CPU time is that of both processes, with the threads of ZeroMQ.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from pipeline.config import TransportSection
from pipeline.gateway.usage import read_process
from pipeline.transport.frames import FrameReceiver, FrameSender
from pipeline.transport.messages import Done, FrameMessage, Hello, Welcome
from pipeline.transport.topics import Endpoints, run_endpoints

WAYS = {
    "ipc": TransportSection(),
    "tcp": TransportSection(kind="tcp", curve=False),
    "tcp, curve": TransportSection(kind="tcp"),
}
CAMERA = "street"
_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one frame, in seconds."""

    wall: float
    cpu: float


def receive() -> None:
    """The scorer's side, in a process of its own: answer every frame, until there is no more."""
    endpoints = TypeAdapter(Endpoints).validate_json(sys.stdin.buffer.readline())
    parent = os.getppid()
    with FrameReceiver(endpoints) as port:
        while os.getppid() == parent:
            for message in port.poll(0.5):
                if isinstance(message, Hello):
                    port.welcome(CAMERA, Welcome(1, 1, 0.0))
                else:
                    port.done(CAMERA, Done(message.connection, message.index))


class Way:
    """One way from here to another process."""

    def __init__(self, transport: TransportSection, size_hw: tuple[int, int], credits: int) -> None:
        self._credits = credits
        self._pixels = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
        self._stack = ExitStack()
        endpoints = self._stack.enter_context(run_endpoints(transport))
        self._peer = subprocess.Popen(
            [sys.executable, __file__, "--receive"], stdin=subprocess.PIPE
        )
        self._stack.callback(self._peer.wait)
        self._stack.callback(self._peer.kill)
        assert self._peer.stdin is not None
        self._peer.stdin.write(TypeAdapter(Endpoints).dump_json(endpoints) + b"\n")
        self._peer.stdin.close()
        self._port = self._stack.enter_context(FrameSender(endpoints, CAMERA))
        deadline = time.monotonic() + _WAIT_SECONDS
        while not (self._port.hello(Hello(CAMERA, 1)) and self._port.poll(1.0)):
            if time.monotonic() > deadline:
                raise TimeoutError("the other process does not answer")
            time.sleep(0.05)

    def close(self) -> None:
        """End the other process."""
        self._stack.close()

    def send(self, count: int) -> Cost:
        """Send so many frames and wait until all are done."""
        began, cpu = time.perf_counter(), self._cpu_seconds()
        sent = done = 0
        while done < count:
            while sent < count and sent - done < self._credits:
                now = time.time()
                frame = FrameMessage(
                    CAMERA, 1, sent, 0.1 * sent, now, now, 0, False, 1, self._pixels
                )
                if not self._port.send(frame):
                    raise ConnectionError("the other process is gone")
                sent += 1
            answers = self._port.poll(_WAIT_SECONDS)
            if not answers:
                raise TimeoutError("the other process does not answer")
            done += sum(isinstance(answer, Done) for answer in answers)
        return Cost((time.perf_counter() - began) / count, (self._cpu_seconds() - cpu) / count)

    def _cpu_seconds(self) -> float:
        """Of both processes so far."""
        return time.process_time() + read_process(self._peer.pid)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--credits", type=int, default=4, help="frames on the way at most")
    parser.add_argument("--frames", type=int, default=500, help="frames a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        receive()
        return
    logging.disable(logging.WARNING)  # the warning that TCP without CURVE is open is expected here
    size_hw = options.height, options.width
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    with ExitStack() as stack:
        ways = {}
        for name, transport in WAYS.items():
            ways[name] = Way(transport, size_hw, options.credits)
            stack.callback(ways[name].close)
        for turn in range(options.rounds + 1):
            for name, way in ways.items():
                cost = way.send(options.frames)
                if turn:  # the first one warms up
                    costs[name].append(cost)
    size = options.height * options.width * 3
    print(
        f"{size / 1e3:.0f} KB a frame, {options.credits} on the way, {os.cpu_count()} cores, "
        f"median of {options.rounds} rounds of {options.frames}"
    )
    base = _median(costs["ipc"])
    for name, some in costs.items():
        cost = _median(some)
        print(
            f"  {name:<11} {1e6 * cost.wall:6.0f} µs a frame ({cost.wall / base.wall:.1f} of ipc), "
            f"{1e6 * cost.cpu:6.0f} µs CPU ({cost.cpu / base.cpu:.1f})"
        )


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
    )


if __name__ == "__main__":
    main()
