"""Real broker, webhook receiver and disk around the service in a chaos run."""

import hashlib
import hmac
import json
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.chaos.checks import Message

_DISK_BYTES = 256 << 20
_PATIENCE_SECONDS = 10.0


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Broker:
    """Mosquitto; undelivered messages persist over a restart."""

    def __init__(self, folder: Path) -> None:
        """Write its configuration.

        Raises:
            FileNotFoundError: there is no mosquitto on this machine.
        """
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise FileNotFoundError("no mosquitto (on Debian: apt-get install mosquitto)")
        self.port = free_port()
        folder.mkdir()
        user = "user root\n" if os.getuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{user}"
            f"persistence true\npersistence_location {folder}/\nmax_queued_messages 0\n"
        )
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            TimeoutError: it does not.
        """
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("mosquitto does not listen")

    def stop(self) -> None:
        """Stop."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


class Subscriber:
    """Records every event message from the broker."""

    def __init__(self, port: int) -> None:
        """Subscribe, and reconnect when the broker is back.

        Raises:
            TimeoutError: the broker does not answer.
        """
        self.received: list[tuple[float, Message]] = []
        self.payloads: list[bytes] = []
        self.published_at: list[float] = []
        """Times of all messages of the service, Unix seconds."""
        subscribed = threading.Event()
        # A persistent session: the broker queues messages while the client is disconnected.
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, "chaos-subscriber", clean_session=False
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda *_: client.subscribe("vedette/#", qos=1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _client, _data, message: self._receive(message)
        client.connect_async("127.0.0.1", port)
        client.loop_start()
        if not subscribed.wait(_PATIENCE_SECONDS):
            raise TimeoutError("mosquitto does not answer")

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # it keeps two sockets while it is referenced

    def _receive(self, message: paho.MQTTMessage) -> None:
        now, payload = time.time(), bytes(message.payload)
        self.payloads.append(payload)
        if not message.retain:  # retained messages are repetitions by the broker
            self.published_at.append(now)
        if message.topic == "vedette/events":
            self.received.append((now, message_of(payload)))


class WebhookReceiver:
    """An HTTP server that verifies signatures, and can stop or hang up without an answer."""

    def __init__(self, secret: str) -> None:
        """Choose a port; `start` listens."""
        self.port = free_port()
        self.received: list[tuple[float, Message]] = []
        self.forged = 0
        """Requests without a valid signature or with another key than their body."""
        self.hangs_up = False
        self._secret = secret
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        receiver = self

        class WebhookHandler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(dict(self.headers.items()), body)
                if receiver.hangs_up:
                    self.close_connection = True
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), WebhookHandler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def stop(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Record a message with a valid signature, verified as in docs/sinks.md."""
        timestamp = headers.get("X-Vedette-Timestamp", "0")
        signed = timestamp.encode() + b"." + body
        wanted = "sha256=" + hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(timestamp)) < 300
        genuine = hmac.compare_digest(wanted, headers.get("X-Vedette-Signature", ""))
        message = message_of(body) if genuine and fresh else None
        if message is None or headers.get("Idempotency-Key") != message.key:
            self.forged += 1
        else:
            self.received.append((time.time(), message))


def message_of(body: bytes) -> Message:
    """Read an event message as any receiver would."""
    found = json.loads(body)
    return Message(found["key"], found["type"], found["id"], found["revision"])


class Disk:
    """A place for the data folder that can be full.

    For root a small file system of its own; for others a file size limit of the processes.
    """

    def __init__(
        self, folder: Path, kind: Literal["tmpfs", "limit"], pids: Callable[[], Iterable[int]]
    ) -> None:
        """Prepare it; `pids`: the processes that are limited."""
        self.folder = folder
        self._kind = kind
        self._pids = pids

    def __enter__(self) -> Self:
        """Create it.

        Raises:
            subprocess.CalledProcessError: it cannot be mounted.
        """
        self.folder.mkdir()
        if self._kind == "tmpfs":
            options = f"size={_DISK_BYTES},mode=700"
            command = ["mount", "-t", "tmpfs", "-o", options, "vedette-chaos", str(self.folder)]
            subprocess.run(command, check=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unmount it."""
        if self._kind == "tmpfs":
            subprocess.run(["umount", str(self.folder)], check=True)

    def fill(self) -> None:
        """Fill the disk."""
        if self._kind == "limit":
            self._limit(0)
            return
        with open(self.folder / "filler", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))

    def free(self) -> None:
        """Free the space."""
        if self._kind == "limit":
            self._limit(resource.RLIM_INFINITY)
        else:
            (self.folder / "filler").unlink(missing_ok=True)

    def _limit(self, size_bytes: int) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):
                hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
