"""Base class of all ends of all topics: opens, waits, sends, rejects malformed messages."""

import logging
from types import TracebackType
from typing import Protocol, Self

import zmq

from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.curve import ZapAuthenticator
from pipeline.transport.topics import TCP_DEAD_SECONDS, TCP_PING_SECONDS, Endpoints, Topic
from pipeline.transport.wire import Message, Part, WireError, decode, encode

LOG = logging.getLogger(__name__)


class Port:
    """One end of one topic. Open it with `with`, in the thread that uses it.

    Malformed messages are counted, logged at most once a second, and otherwise ignored.
    """

    def __init__(
        self,
        topic: Topic,
        endpoints: Endpoints,
        *,
        sends: bool,
        identity: bytes = b"",
    ) -> None:
        self._topic = topic
        self._address = endpoints.address(topic)
        self._keys = endpoints.keys
        self._kind = topic.sender if sends else topic.receiver
        self._binds = (topic.binds == "sender") == sends
        self._identity = identity
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._authenticator: ZapAuthenticator | None = None
        self._limited_warning = LimitedWarning(LOG)
        self.rejected = 0
        """Malformed messages so far."""

    def __enter__(self) -> Self:
        """Open the socket; a sender may be opened before its receiver.

        Raises:
            zmq.ZMQError: the address is in use or invalid.
        """
        # A separate context costs two idle threads, and lets the `with` release everything.
        self._context = zmq.Context()
        try:
            self._socket = self._context.socket(self._kind)
            if self._keys is not None:
                if self._binds:
                    self._authenticator = ZapAuthenticator(
                        self._context, self._keys, self._topic.name
                    )
                self._keys.configure(self._socket, server=self._binds)
            self._open(self._socket)
        except BaseException:
            self._close(linger_ms=0)
            raise
        return self

    def _open(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = self._topic.linger_ms
        socket.set_hwm(self._topic.high_water_mark)
        socket.setsockopt(zmq.MAXMSGSIZE, self._topic.largest_bytes)
        if self._identity:
            socket.setsockopt(zmq.IDENTITY, self._identity)
        if self._kind == zmq.ROUTER:
            # A restarted worker takes over the identity of its previous process.
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if self._kind == zmq.DEALER:
            # Nothing is queued for a receiver that is not connected, nor for its next process.
            socket.setsockopt(zmq.IMMEDIATE, 1)
        if self._kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        if self._address.startswith("tcp://"):
            socket.setsockopt(zmq.IPV6, "[" in self._address)
            socket.setsockopt(zmq.HEARTBEAT_IVL, round(TCP_PING_SECONDS * 1000))
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, round(TCP_DEAD_SECONDS * 1000))
        if self._binds:
            socket.bind(self._address)
        else:
            socket.connect(self._address)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket; what was not sent within the topic's linger time is dropped."""
        self._close()

    def _close(self, linger_ms: int | None = None) -> None:
        if self._socket is not None:
            self._socket.close(linger_ms)
        if self._context is not None:
            self._context.term()
        if self._authenticator is not None:
            self._authenticator.join()
        self._socket = self._context = self._authenticator = None

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """The open socket, for a poller.

        Raises:
            RuntimeError: the port is not open.
        """
        if self._socket is None:
            raise RuntimeError(f"{self._topic.name}: want an open port; use it in a `with`")
        return self._socket

    def _send(self, message: Message, to: bytes | None = None) -> bool:
        """Pass a message to the socket; False: no peer is connected, or the queue is full."""
        parts: list[bytes | memoryview] = [*([] if to is None else [to]), *encode(message)]
        try:
            self.socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def _receive(self, timeout_seconds: float) -> list[tuple[bytes, Message]]:
        """Wait for a message, then return all that have arrived: (identity of sender, message).

        The identity is empty except on a ROUTER.
        """
        received: list[tuple[bytes, Message]] = []
        if not self.socket.poll(max(0, round(timeout_seconds * 1000))):
            return received
        # The bound ends the loop on a topic on which messages arrive faster than they are read.
        for _ in range(self._topic.high_water_mark):
            try:
                parts: list[Part] = list(self.socket.recv_multipart(zmq.NOBLOCK, copy=False))
            except zmq.Again:
                break
            sender = b""
            if self._kind == zmq.ROUTER:
                first = parts.pop(0)
                sender = first.bytes if isinstance(first, zmq.Frame) else bytes(first)
            try:
                received.append((sender, decode(parts)))
            except WireError as error:
                self._reject(str(error))
        return received

    def _reject(self, reason: str) -> None:
        self.rejected += 1
        self._limited_warning.warn(f"{self._topic.name}: malformed message ignored: {reason}")


class HasSocket(Protocol):
    """An object that `wait` can wait for."""

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """The open socket."""
        ...


def wait(timeout_seconds: float, *ports: HasSocket) -> list[HasSocket]:
    """Wait until a port has a message or the time is over; returns the ports that have one."""
    poller = zmq.Poller()
    for port in ports:
        poller.register(port.socket, zmq.POLLIN)
    ready = dict(poller.poll(max(0, round(timeout_seconds * 1000))))
    return [port for port in ports if port.socket in ready]
