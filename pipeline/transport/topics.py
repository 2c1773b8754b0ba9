"""The table of topics: the only place that defines addresses, bounds and rates.

The sockets of one run are Unix domain sockets (`ipc://`) in one private folder, so that no other
user of the machine can receive or send messages; or ports (`tcp://`), protected by keys.
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
"""Length of `sockaddr_un.sun_path` on Linux, without the terminating zero byte."""
LARGEST_HEADER_BYTES = 4 * 2**20
LARGEST_BUFFER_BYTES = 64 * 2**20
"""A 4K frame takes 24 MiB."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A direction of messages, from senders to a receiver."""

    name: str
    """Also the file name of the Unix domain socket."""
    sender: zmq.SocketType
    receiver: zmq.SocketType
    binds: Literal["sender", "receiver"]
    """The end that exists exactly once and binds the address."""
    high_water_mark: int
    """Maximum number of messages that either end queues for one peer."""
    largest_bytes: int
    """Largest part of a message; a peer that sends more is disconnected."""
    rate_hz: float | None
    """Messages per second and sender; None: at the rate of the frames."""
    policy: str
    """What bounds the flow, and what happens to a message when the queue is full."""
    linger_ms: int = 0
    """How long closing a sender waits for its queued messages."""


FRAMES = Topic(
    name="frames",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=256,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=None,
    policy="credits granted by the scorer; ingest keeps frames until done; only the mailbox drops",
)
SCORES = Topic(
    name="scores",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=4096,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=None,
    policy="kept by the scorer until acknowledged, retransmitted in order; never dropped",
)
HEARTBEATS = Topic(
    name="heartbeats",
    # Not PUB: that drops what is sent before the receiver has subscribed, which for a short-lived
    # worker is everything.
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
    policy="dropped for a slow subscriber",
)
CONTROL = Topic(
    name="control",
    sender=zmq.DEALER,
    receiver=zmq.ROUTER,
    binds="receiver",
    high_water_mark=64,
    largest_bytes=LARGEST_BUFFER_BYTES,
    rate_hz=1.0,
    policy="a request is answered or expires at its deadline; workers repeat their revision",
)
TOPICS = (FRAMES, SCORES, HEARTBEATS, LIVE, CONTROL)

TCP_PING_SECONDS = 2.0
"""Interval of the ZMTP heartbeats of a connection over TCP."""
TCP_DEAD_SECONDS = 10.0
"""Heartbeat timeout after which a connection is closed: a host that is cut off sends nothing,
while for a process that ends on this machine the kernel closes the connection at once."""
SCORES_RESEND_SECONDS = 1.0
"""Time without any acknowledgement after which all unacknowledged scores are retransmitted."""
SCORES_OUTBOX_CAPACITY = 4096
"""Maximum number of unacknowledged scores; credits keep it far below, so more is a defect."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses and keys of one run."""

    addresses: dict[str, str]
    """ZeroMQ address of each topic, by its name."""
    keys: CurveKeys | None = field(default=None, repr=False)
    """None: every process that can connect is trusted."""

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Place the sockets of all topics in a folder.

        Raises:
            ValueError: the path of a socket is longer than the operating system allows.
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
    """Reserve the addresses of one run, and generate keys if the transport is encrypted.

    Raises:
        OSError: the ports are not available.
        ValueError: the path of the folder for temporary files is too long for sockets, or
            encryption is configured and libzmq does not support it.
    """
    if transport.kind == "ipc":
        with private_socket_folder() as folder:
            yield Endpoints.in_folder(folder)
        return
    if transport.curve and not zmq.has("curve"):
        raise ValueError(
            f"transport.curve: want a libzmq with CURVE, got {zmq.zmq_version()} without it; "
            "install pyzmq as a wheel, or set transport.kind to ipc"
        )
    if not transport.curve:
        LOG.warning(
            "transport.curve is false: every host that can reach %s can watch the cameras and "
            "forge frames, scores and commands",
            transport.host,
        )
    keys = CurveKeys.generate() if transport.curve else None
    with reserved_ports(transport.host, transport.port) as ports:
        yield Endpoints.at_ports(transport.host, ports, keys)


@contextmanager
def private_socket_folder() -> Iterator[Path]:
    """A new folder for the sockets of one run: mode 0700, short name, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ports_from(first: int) -> list[int]:
    """The ports of all topics; 0: any free port for each."""
    return [first + number if first else 0 for number in range(len(TOPICS))]


@contextmanager
def reserved_ports(host: str, first: int) -> Iterator[list[int]]:
    """Reserve a port for each topic for the whole run, also while a worker restarts.

    The ports are bound here without listening: the workers can listen on them, the system does not
    assign them as free ports, and a client of a worker that has ended cannot connect to itself.

    Raises:
        OSError: the address is not of this machine, or a port is in use.
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
                reason = (error.strerror or "not available").lower()
                raise OSError(
                    f"transport: {host}, port {port or 'any'}: {reason}; want an address of this "
                    f"machine and {len(TOPICS)} free ports (transport.host, transport.port)"
                ) from None
            ports.append(int(holder.getsockname()[1]))
        yield ports


def _is_ipv6(host: str) -> bool:
    return ipaddress.ip_address(host).version == 6
