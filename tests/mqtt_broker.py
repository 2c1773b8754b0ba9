"""A real MQTT broker for tests: Debian's mosquitto on a loopback port."""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

PASSWORD = "planted-broker-pass"


def tool(name: str) -> str:
    """Path of one of the broker's programs; without it the test is skipped, or fails in CI."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if path is None:
        if os.environ.get("FAIL_WITHOUT_MOSQUITTO") == "1":
            pytest.fail(f"FAIL_WITHOUT_MOSQUITTO=1 and there is no {name}")
        pytest.skip(f"no {name} on this machine (on Debian: apt-get install mosquitto)")
    return path


def free_port() -> int:
    """A free port below the ephemeral range, so that no other process gets it meanwhile."""
    for port in random.sample(range(20_000, 30_000), 20):
        with suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


class Broker:
    """A broker that can be killed and started again on the same port."""

    def __init__(
        self,
        folder: Path,
        *,
        password: bool = False,
        tls: Path | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        """Prepare it.

        Args:
            folder: For its files.
            password: Whether it wants one.
            tls: PEM file with key and certificate of the server.
            lines: Further ones of its configuration.
        """
        self.port = free_port()
        self._program = tool("mosquitto")
        configuration = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if password else 'true'}",
            "persistence false",
            *lines,
        ]
        if os.getuid() == 0:
            configuration.append("user root")
        if password:
            users = folder / "users"
            command = [tool("mosquitto_passwd"), "-b", "-c", str(users), "vedette", PASSWORD]
            subprocess.run(command, check=True, capture_output=True)
            users.chmod(0o600)
            configuration.append(f"password_file {users}")
        if tls is not None:
            configuration += [f"certfile {tls}", f"keyfile {tls}"]
        self._file = folder / "mosquitto.conf"
        self._file.write_text("\n".join(configuration) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "the broker ended"
            time.sleep(0.01)
        raise AssertionError("the broker does not listen")

    def pause(self) -> None:
        """Connections stand, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def broker(
    folder: Path, *, password: bool = False, tls: Path | None = None, lines: tuple[str, ...] = ()
) -> Iterator[Broker]:
    it = Broker(folder, password=password, tls=tls, lines=lines)
    it.start()
    try:
        yield it
    finally:
        it.kill()


class Listener:
    """Receives and stores everything that is published; reconnects after the broker was killed."""

    def __init__(self, port: int, user: str | None = None, ca: Path | None = None) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        self._subscribed = False
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2)
        client.reconnect_delay_set(1, 1)
        if user:
            client.username_pw_set(user, PASSWORD)
        if ca:
            client.tls_set(str(ca))
        client.on_connect = lambda *_: client.subscribe("#", qos=1)
        client.on_subscribe = lambda *_: self._note(None)
        client.on_disconnect = lambda *_: setattr(self, "_subscribed", False)
        client.on_message = lambda _c, _d, m: self._note((m.topic, bytes(m.payload), m.retain))
        client.connect_async("127.0.0.1", port)
        client.loop_start()
        self.wait(lambda: self._subscribed)

    def _note(self, message: tuple[str, bytes, bool] | None) -> None:
        with self._changed:
            if message is None:
                self._subscribed = True
            else:
                self.received.append(message)
            self._changed.notify_all()

    def wait(self, done: object, seconds: float = 10.0) -> None:
        assert callable(done)
        with self._changed:
            assert self._changed.wait_for(done, seconds), self.received[-20:]

    def wait_subscribed(self) -> None:
        self.wait(lambda: self._subscribed)

    def of(self, topic: str) -> list[bytes]:
        return [payload for known, payload, _ in self.received if known == topic]

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def publish_retained(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(port: int, user: str | None = None, ca: Path | None = None) -> Iterator[Listener]:
    listener = Listener(port, user, ca)
    try:
        yield listener
    finally:
        listener.close()
