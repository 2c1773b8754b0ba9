"""The table of topics: the only place that knows addresses, bounds and rates.

All sockets of one run live in one private folder as Unix domain sockets (`ipc://`), so nobody else
on the machine can listen in or speak.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import zmq

LONGEST_SOCKET_PATH_BYTES = 107
"""What `sockaddr_un.sun_path` holds on Linux, without the closing zero byte."""
LARGEST_HEADER_BYTES = 4 * 2**20
LARGEST_BUFFER_BYTES = 64 * 2**20
"""A picture of 4K takes 24 MiB."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One way that messages go, from its senders to its receiver."""

    name: str
    """Also the file name of the Unix domain socket."""
    sender: zmq.SocketType
    receiver: zmq.SocketType
    binds: Literal["sender", "receiver"]
    """The end of which there is exactly one, and which owns the address."""
    high_water_mark: int
    """Messages that either end queues for one peer."""
    largest_bytes: int
    """Largest part of a message; whoever sends more is disconnected."""
    rate_hz: float | None
    """Messages a second and sender; None: as the frames of the cameras come."""
    policy: str
    """What bounds the flow, and what happens to a message that finds no room."""
    linger_ms: int = 0
    """How long closing a sender waits for what it was handed."""


FRAMES = Topic(
    name="frames",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=256,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=None,
    policy="credits granted by the scorer, kept by ingest until done; the mailbox drops, not we",
)
SCORES = Topic(
    name="scores",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=4096,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=None,
    policy="kept by the scorer until acknowledged, sent again in order; never dropped",
)
HEARTBEATS = Topic(
    name="heartbeats",
    # Not PUB: that drops what is sent before the receiver has subscribed, which for a worker
    # that has little to do is everything.
    sender=zmq.PUSH,
    receiver=zmq.PULL,
    binds="receiver",
    high_water_mark=16,
    largest_bytes=LARGEST_HEADER_BYTES,
    rate_hz=2.0,
    policy="the next one replaces a lost one; the last one carries the final counts",
    linger_ms=1000,
)
LIVE = Topic(
    name="live",
    sender=zmq.PUB,
    receiver=zmq.SUB,
    binds="sender",
    high_water_mark=256,
    largest_bytes=2**20,
    rate_hz=10.0,
    policy="for watchers only: dropped for a watcher that is slow",
)
CONTROL = Topic(
    name="control",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=64,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=1.0,
    policy="a request is answered, or forgotten at its deadline; workers ask again for the cameras",
)
TOPICS = (FRAMES, SCORES, HEARTBEATS, LIVE, CONTROL)

SCORES_RESEND_SECONDS = 1.0
"""Without any acknowledgement for so long, everything unacknowledged is sent again."""
SCORES_OUTBOX_CAPACITY = 4096
"""Unacknowledged scores at most; credits keep the number far below, so more is a defect."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of one run."""

    folder: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Place the sockets of all topics in a folder.

        Raises:
            ValueError: a socket's path is longer than the operating system takes.
        """
        for topic in TOPICS:
            path = folder.absolute() / topic.name
            length = len(bytes(path))
            if length > LONGEST_SOCKET_PATH_BYTES:
                raise ValueError(
                    f"socket path {path}: want at most {LONGEST_SOCKET_PATH_BYTES} bytes, "
                    f"got {length}; set TMPDIR to a folder with a shorter name"
                )
        return cls(folder.absolute())

    def address(self, topic: Topic) -> str:
        """ZeroMQ address of a topic."""
        return f"ipc://{self.folder / topic.name}"


@contextmanager
def private_socket_folder() -> Iterator[Path]:
    """A fresh folder for the sockets of one run: mode 0700, short name, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
