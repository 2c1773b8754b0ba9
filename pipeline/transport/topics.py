"""The table of topics: the only place that knows addresses, bounds and rates.

The sockets of one run are Unix domain sockets (`ipc://`) in one private folder, so that nobody else
on the machine can listen in or speak; or ports (`tcp://`), where keys have the same effect.
"""

import ipaddress
import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import zmq

from pipeline.config import TransportSection
from pipeline.transport.curve import CurveKeys

LOG = logging.getLogger(__name__)
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

TCP_PING_SECONDS = 2.0
"""How often one end of a connection over TCP asks the other whether it is there."""
TCP_DEAD_SECONDS = 10.0
"""Without any answer for so long the connection is given up: a host that is cut off says nothing,
while for a process that dies on this machine the kernel hangs up at once."""
SCORES_RESEND_SECONDS = 1.0
"""Without any acknowledgement for so long, everything unacknowledged is sent again."""
SCORES_OUTBOX_CAPACITY = 4096
"""Unacknowledged scores at most; credits keep the number far below, so more is a defect."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of one run, and the keys to them."""

    addresses: dict[str, str]
    """ZeroMQ address of each topic, by its name."""
    keys: CurveKeys | None = field(default=None, repr=False)
    """None: whoever reaches the addresses is trusted."""

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Place the sockets of all topics in a folder.

        Raises:
            ValueError: a socket's path is longer than the operating system takes.
        """
        paths = {topic.name: folder.absolute() / topic.name for topic in TOPICS}
        for path in paths.values():
            length = len(bytes(path))
            if length > LONGEST_SOCKET_PATH_BYTES:
                raise ValueError(
                    f"socket path {path}: want at most {LONGEST_SOCKET_PATH_BYTES} bytes, "
                    f"got {length}; set TMPDIR to a folder with a shorter name"
                )
        return cls({name: f"ipc://{path}" for name, path in paths.items()})

    @classmethod
    def at_ports(cls, host: str, ports: Sequence[int], keys: CurveKeys | None) -> Self:
        """Place the sockets of all topics at ports, in the order of `TOPICS`."""
        host = f"[{host}]" if _is_ipv6(host) else host
        places = zip(TOPICS, ports, strict=True)
        return cls({topic.name: f"tcp://{host}:{port}" for topic, port in places}, keys)

    def address(self, topic: Topic) -> str:
        """ZeroMQ address of a topic."""
        return self.addresses[topic.name]


@contextmanager
def run_endpoints(transport: TransportSection) -> Iterator[Endpoints]:
    """Addresses for one run, and where it takes them keys: nobody else gets them meanwhile.

    Raises:
        OSError: the ports cannot be had.
        ValueError: the folder for temporary files has too long a name for sockets, or keys are
            wanted and libzmq has none.
    """
    if transport.kind == "ipc":
        with private_socket_folder() as folder:
            yield Endpoints.in_folder(folder)
        return
    if transport.curve and not zmq.has("curve"):
        raise ValueError(
            f"transport.curve: want a libzmq with CURVE, got {zmq.zmq_version()} without; install "
            "pyzmq as a wheel, or set transport.kind to ipc"
        )
    if not transport.curve:
        LOG.warning(
            "transport.curve is false: whoever reaches %s can watch the cameras, and forge frames, "
            "scores and commands",
            transport.host,
        )
    keys = CurveKeys.fresh() if transport.curve else None
    with held_ports(transport.host, transport.port) as ports:
        yield Endpoints.at_ports(transport.host, ports, keys)


@contextmanager
def private_socket_folder() -> Iterator[Path]:
    """A fresh folder for the sockets of one run: mode 0700, short name, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ports_from(first: int) -> list[int]:
    """The ports of all topics; 0: any free one for each."""
    return [first + number if first else 0 for number in range(len(TOPICS))]


@contextmanager
def held_ports(host: str, first: int) -> Iterator[list[int]]:
    """Keep a port for each topic, for a worker that starts again as well.

    They are bound here and never listened on: so a process of ours may listen, the system gives
    them to nobody as free ones, and none that connects to a dead worker finds itself there.

    Raises:
        OSError: the address is not of this machine, or a port is taken.
    """
    family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
    with ExitStack() as stack:
        ports = []
        for port in ports_from(first):
            holder = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq does
            try:
                holder.bind((host, port))
            except OSError as error:
                reason = (error.strerror or "cannot be had").lower()
                raise OSError(
                    f"transport: {host}, port {port or 'any'}: {reason}; want an address of this "
                    f"machine and {len(TOPICS)} free ports (transport.host, transport.port)"
                ) from None
            ports.append(int(holder.getsockname()[1]))
        yield ports


def _is_ipv6(host: str) -> bool:
    return ipaddress.ip_address(host).version == 6
