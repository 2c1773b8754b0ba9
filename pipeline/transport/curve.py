"""CurveZMQ: everything is encrypted, and both ends prove by keys that they belong to the run.

A client that does not know the server's key gets no further than the greeting, and a server without
the right secret is not believed. Of clients, by itself, libzmq would take everybody who knows the
server's public key: the doorkeeper lets in those alone that have the workers' key.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Self

import zmq
from zmq.utils import z85

from pipeline.telemetry.log_rate_limit import LimitedWarning

LOG = logging.getLogger(__name__)
_QUESTIONS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_DOMAIN = b"vedette"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key to prove who one is, and the one to check that by; 40 characters of Z85 each."""

    public: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        """A pair that nobody has seen."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """The keys of one run: made by the parent, told to its workers, and never written down."""

    server: KeyPair
    """Of the ends that bind."""
    worker: KeyPair
    """Of the ends that connect."""

    @classmethod
    def fresh(cls) -> Self:
        """Keys for another run."""
        return cls(KeyPair.fresh(), KeyPair.fresh())

    @property
    def secrets(self) -> set[str]:
        """What no log may show."""
        return {self.server.secret, self.worker.secret}

    def fit(self, socket: zmq.Socket[bytes], *, server: bool) -> None:
        """Give a socket its keys, before it binds or connects."""
        own = self.server if server else self.worker
        socket.setsockopt(zmq.CURVE_PUBLICKEY, own.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret.encode())
        if server:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            # So that without a doorkeeper nobody is let in, rather than everybody.
            socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        else:
            socket.setsockopt(zmq.CURVE_SERVERKEY, self.server.public.encode())


class ZapAuthenticator:
    """Tells the servers of one context whom to let in (ZAP, RFC 27), in a thread of its own.

    Ends when its context is terminated, which waits for that.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: CurveKeys, door: str) -> None:
        """Begin to answer.

        Args:
            context: Of the servers.
            keys: Of the run.
            door: What strangers knock at, for the log.
        """
        self._welcome = z85.decode(keys.worker.public)
        self._door = door
        self._floods = LimitedWarning(LOG)
        # Made here, so that servers find it, and from now on used by the thread alone.
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._thread = threading.Thread(target=self._run, name=f"door:{door}", daemon=True)
        try:
            self._socket.bind(_QUESTIONS)
            self._thread.start()
        except BaseException:
            self._socket.close()
            raise

    def join(self) -> None:
        """Wait for the thread, once the context is terminated."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            return
        finally:
            self._socket.close()

    def _answer(self, question: list[bytes]) -> list[bytes]:
        _, request, domain, address, _, mechanism, *credentials = question
        known = (domain, mechanism, credentials) == (_DOMAIN, b"CURVE", [self._welcome])
        if not known:
            self._floods.warn(f"{self._door}: refused a stranger at {address.decode()}")
        verdict = [b"200", b"OK"] if known else [b"400", b"not one of us"]
        return [_VERSION, request, *verdict, b"", b""]
