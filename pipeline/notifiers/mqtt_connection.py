"""One connection to an MQTT broker, with one message in flight at a time.

That preserves the order: a second message in flight could be overtaken by an older one that is
resent after a loss, so that a wrong state would remain. Each connection uses a new client of the
library, so that the library never resends a message.
"""

import logging
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.config import Mqtt
from pipeline.notifiers.mqtt_losses import Losses, Message
from pipeline.worker import PermanentError

LOG = logging.getLogger(__name__)

Sent = Literal["acknowledged", "waiting", "refused"]
_QOS = 1
_ACKNOWLEDGED_SECONDS = 5.0
_MAX_WAITS = 4  # for one acknowledgement, of _ACKNOWLEDGED_SECONDS each
_CONNECT_SECONDS = 5.0
_MIN_RECONNECT_SECONDS = 1
_MAX_RECONNECT_SECONDS = (15, 30)  # random, so that clients do not reconnect at the same time
_STEADY_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_MAX_COMPLETED = 8  # an event, and states that changed again before `publish` was repeated
_LOG_INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Will:
    """Message that the broker publishes, retained, when the connection is lost."""

    topic: str
    payload: str


class MqttLink:
    """The connection; reconnects by itself. Only one thread may call `publish`."""

    def __init__(
        self,
        settings: Mqtt,
        will: Will,
        subscriptions: tuple[str, ...],
        on_connected: Callable[[], None],
        on_message: Callable[[str, bytes, bool], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is opened yet. The callbacks run in a thread of the library.

        Raises:
            PermanentError: the file of the certificate authority cannot be used.
        """
        self._settings = settings
        self._will = will
        self._subscriptions = subscriptions
        self._on_connected = on_connected
        self._on_message = on_message
        self._on_lost = on_lost
        self._tls = _tls(settings)
        self._changed = threading.Condition()
        self._connected = False
        self._ended: str | None = None  # why the connection ended
        self._refusal = ""
        self._was_connected = self._message_is_suspect = False
        self._pending: tuple[str, Message, int, int] | None = None
        self._sending: Message | None = None
        self._unacknowledged: Message | None = None  # in flight when the connection ended
        self._waits = 0
        self._acknowledged: set[int] = set()
        # Acknowledged after `publish` had returned "waiting", and not asked for since then.
        self._completed: deque[str] = deque(maxlen=_MAX_COMPLETED)
        self._losses = Losses()
        self._last_logged: tuple[str, float] = "", -float("inf")
        self._stop = threading.Event()
        self._client: paho.Client | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self.refusal = ""
        """Why `publish` last returned "refused"."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection, and it is not known to be lost."""
        return self._connected

    def start(self) -> None:
        """Start to connect; retried until the broker is available."""
        self._thread.start()

    def publish(self, token: str, topic: str, payload: bytes, *, retain: bool) -> Sent:
        """Publish, and wait for the acknowledgement of the broker.

        Args:
            token: Identifies this message; a call with the same token waits again instead of
                sending the message twice.
            topic: Topic.
            payload: Content.
            retain: Whether the broker retains it for later subscribers.

        Returns:
            "acknowledged": the broker has it. "waiting": not yet; call again. "refused": the
            broker does not accept it; `refusal` states why.
        """
        client = self._client
        if client is None or not self._connected or not self._await_acknowledgement():
            return "waiting"
        if token not in self._completed:
            message = topic, hash(payload)
            self.refusal = self._losses.refusal(message, len(payload), time.monotonic())
            if self.refusal:
                return "refused"
            self._sending = message  # before it is sent: the broker may be faster than this thread
            info = client.publish(topic, payload, _QOS, retain)
            if info.rc != paho.MQTT_ERR_SUCCESS:
                return "waiting"
            self._pending, self._waits = (token, message, len(payload), info.mid), 0
            if not self._await_acknowledgement():
                return "waiting"
        self._completed.remove(token)
        return "acknowledged"

    def close(self, last_message: Will) -> None:
        """Publish a last message in place of the will, and disconnect."""
        self._stop.set()
        client = self._client
        if client is not None and self._connected:
            info = client.publish(last_message.topic, last_message.payload, _QOS, retain=True)
            with self._changed:
                self._changed.wait_for(lambda: info.mid in self._acknowledged, _CLOSE_SECONDS)
            client.disconnect()
        with self._changed:
            self._ended = self._ended or "closed"
            self._changed.notify_all()
        # The thread may be about to connect: it is a daemon, and is not waited for.
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _await_acknowledgement(self) -> bool:
        """Wait for the message in flight; True: there is none any more."""
        if self._pending is None:
            return True
        token, message, size_bytes, mid = self._pending
        with self._changed:
            self._changed.wait_for(
                lambda: mid in self._acknowledged or not self._connected, _ACKNOWLEDGED_SECONDS
            )
            if mid not in self._acknowledged:
                self._waits += 1
                if not self._connected:
                    self._pending = None  # it is sent again on the next connection
                elif self._waits >= _MAX_WAITS:
                    self._unacknowledged = message
                    seconds = self._waits * _ACKNOWLEDGED_SECONDS
                    self._ended = f"acknowledged nothing for {seconds:.0f} s"
                    self._changed.notify_all()
                return False
            self._acknowledged.clear()
        self._pending = self._sending = None
        self._losses.acknowledged(message, size_bytes)
        self._completed.append(token)
        return True

    def _run(self) -> None:
        failures = 0
        longest = random.randint(*_MAX_RECONNECT_SECONDS)
        while not self._stop.is_set():
            began_at = time.monotonic()
            reason = self._run_connection(self._make_client())
            if self._stop.is_set():
                return
            lasted = time.monotonic() - began_at
            steady = self._was_connected and lasted > _STEADY_SECONDS
            failures = 0 if steady or self._message_is_suspect else failures + 1
            self._log_loss(reason)
            self._on_lost(reason)
            doublings = min(max(0, failures - 1), 10)
            self._stop.wait(min(longest, _MIN_RECONNECT_SECONDS * 2.0**doublings))

    def _run_connection(self, client: paho.Client) -> str:
        """Connect, and wait until the connection has ended; returns the reason."""
        with self._changed:
            self._ended, self._refusal, self._unacknowledged = None, "", None
            self._was_connected = self._message_is_suspect = False
            self._acknowledged.clear()
        try:
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive)
        except (OSError, ValueError) as error:  # TLS errors included
            what = error.strerror if isinstance(error, OSError) else None
            return f"cannot be reached ({what or error or type(error).__name__})".lower()
        self._client = client
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._ended is not None)
            reason = self._ended or ""
            self._connected = False
            self._client = None
            message = self._unacknowledged
            self._changed.notify_all()
        if self._was_connected and not self._stop.is_set():
            self._message_is_suspect = self._losses.lost(message, time.monotonic())
        client.on_disconnect = None
        client.disable_logger()  # it logs the end of a lost connection as an error
        client.disconnect()
        client.loop_stop()
        return reason

    def _make_client(self) -> paho.Client:
        # A fixed client id: if the broker still has a lost connection open, it ends it, and
        # publishes its will, before it accepts the new one.
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._settings.client_id,
            clean_session=True,
            reconnect_on_failure=False,
        )
        library = logging.getLogger(f"{__name__}.paho")
        library.setLevel(logging.ERROR)
        library.addFilter(_is_not_repeated)
        client.enable_logger(library)
        client.connect_timeout = _CONNECT_SECONDS
        client.will_set(self._will.topic, self._will.payload, qos=_QOS, retain=True)
        if self._settings.user is not None:
            client.username_pw_set(self._settings.user, self._settings.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect = self._connect_answered
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = lambda _client, _data, message: self._on_message(
            message.topic, bytes(message.payload), message.retain
        )
        return client

    def _connect_answered(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._refusal = str(reason).lower()  # `_disconnected` is called next, without a reason
            return
        for topic in self._subscriptions:
            client.subscribe(topic, qos=_QOS)
        LOG.info("connected to the MQTT broker at %s:%d", self._settings.host, self._settings.port)
        with self._changed:
            self._connected = self._was_connected = True
        self._on_connected()

    def _disconnected(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        text = str(reason).lower()
        if text == "unspecified error":  # the library's text if the broker gave no reason
            text = "closed the connection" if self._was_connected else "closed without an answer"
        with self._changed:
            self._ended = self._refusal or text
            self._unacknowledged, self._sending = self._sending, None
            self._connected = False
            self._changed.notify_all()

    def _log_loss(self, reason: str) -> None:
        """Log a loss: at once if the reason is new, else once a minute."""
        now = time.monotonic()
        hint = self._losses.hint(self._settings.client_id, now)
        kind = f"{reason} {bool(hint)}"
        if kind != self._last_logged[0] or now - self._last_logged[1] >= _LOG_INTERVAL_SECONDS:
            self._last_logged = kind, now
            broker = f"MQTT broker at {self._settings.host}:{self._settings.port}"
            LOG.warning("%s: %s%s; trying again", broker, reason, hint)

    def _published(
        self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify_all()


def _tls(settings: Mqtt) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise PermanentError(f"mqtt.ca: want a file in PEM, got {settings.ca}: {error}") from None


def _is_not_repeated(record: logging.LogRecord) -> bool:
    # The library logs each failed attempt as an error, directly after it was logged here.
    return not record.getMessage().startswith(("Client is not connected", "failed to receive on"))
