"""One connection to an MQTT broker, with one message on the way at a time.

That keeps the order of everything: a second message on the way could be overtaken by an older one
that is sent again after a loss, so that a wrong state stays. Each connection has a client of the
library of its own, so that nothing is sent again but by us.
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

Sent = Literal["taken", "waiting", "refused"]
_QOS = 1
_ACKNOWLEDGED_SECONDS = 5.0
_MOST_WAITS = 4  # of so many seconds for one acknowledgement
_CONNECT_SECONDS = 5.0
_SHORTEST_RECONNECT_SECONDS = 1
_LONGEST_RECONNECT_SECONDS = (15, 30)  # by chance, so that not all come back together
_STEADY_SECONDS = 10.0
_GOODBYE_SECONDS = 1.0
_KEPT_SETTLED = 8  # an event, and states that have changed again before they were asked for
_TELL_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says of us, retained, when the connection is lost."""

    topic: str
    payload: str


class MqttLink:
    """The connection; comes back by itself. `publish` belongs to one thread."""

    def __init__(
        self,
        settings: Mqtt,
        will: Will,
        subscriptions: tuple[str, ...],
        on_connected: Callable[[], None],
        on_message: Callable[[str, bytes, bool], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is opened yet. The callbacks come from a thread of the library.

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
        self._ended: str | None = None  # why the connection is no more
        self._refusal = ""
        self._was_connected = self._message_is_suspect = False
        self._pending: tuple[str, Message, int, int] | None = None
        self._sending: Message | None = None
        self._on_the_way: Message | None = None  # when the connection ended
        self._waits = 0
        self._acknowledged: set[int] = set()
        # Arrived, and not asked for since: a message may be waited for again after other ones.
        self._settled: deque[str] = deque(maxlen=_KEPT_SETTLED)
        self._losses = Losses()
        self._told: tuple[str, float] = "", -float("inf")
        self._stop = threading.Event()
        self._client: paho.Client | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self.refusal = ""
        """Why the message was refused that `publish` said so of last."""

    @property
    def connected(self) -> bool:
        """Whether the broker has answered, and is not known to be gone."""
        return self._connected

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._thread.start()

    def publish(self, token: str, topic: str, payload: bytes, *, retain: bool) -> Sent:
        """Publish, and wait until the broker has it.

        Args:
            token: Names this message; called again with the same one, it is waited for again
                rather than sent twice.
            topic: Where.
            payload: What.
            retain: Whether the broker keeps it for those who come later.

        Returns:
            "taken": the broker has it. "waiting": not yet; call again. "refused": the broker does
            not take it; `refusal` says why.
        """
        client = self._client
        if client is None or not self._connected or not self._settle():
            return "waiting"
        if token not in self._settled:
            message = topic, hash(payload)
            self.refusal = self._losses.refusal(message, len(payload), time.monotonic())
            if self.refusal:
                return "refused"
            self._sending = message  # first: the broker may be faster than this thread
            info = client.publish(topic, payload, _QOS, retain)
            if info.rc != paho.MQTT_ERR_SUCCESS:
                return "waiting"
            self._pending, self._waits = (token, message, len(payload), info.mid), 0
            if not self._settle():
                return "waiting"
        self._settled.remove(token)
        return "taken"

    def close(self, goodbye: Will) -> None:
        """Say a last word in place of the will, and disconnect."""
        self._stop.set()
        client = self._client
        if client is not None and self._connected:
            info = client.publish(goodbye.topic, goodbye.payload, _QOS, retain=True)
            with self._changed:
                self._changed.wait_for(lambda: info.mid in self._acknowledged, _GOODBYE_SECONDS)
            client.disconnect()
        with self._changed:
            self._ended = self._ended or "closed"
            self._changed.notify_all()
        # It may be about to connect: a daemon thread does that without us.
        if self._thread.is_alive():
            self._thread.join(_GOODBYE_SECONDS)

    def _settle(self) -> bool:
        """Wait for the message on the way; True: there is none any more."""
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
                    self._pending = None  # the next connection begins anew
                elif self._waits >= _MOST_WAITS:
                    self._on_the_way = message
                    seconds = self._waits * _ACKNOWLEDGED_SECONDS
                    self._ended = f"acknowledged nothing for {seconds:.0f} s"
                    self._changed.notify_all()
                return False
            self._acknowledged.clear()
        self._pending = self._sending = None
        self._losses.taken(message, size_bytes)
        self._settled.append(token)
        return True

    def _run(self) -> None:
        failures = 0
        longest = random.randint(*_LONGEST_RECONNECT_SECONDS)
        while not self._stop.is_set():
            began_at = time.monotonic()
            reason = self._hold(self._make_client())
            if self._stop.is_set():
                return
            lasted = time.monotonic() - began_at
            steady = self._was_connected and lasted > _STEADY_SECONDS
            failures = 0 if steady or self._message_is_suspect else failures + 1
            self._tell(reason)
            self._on_lost(reason)
            doublings = min(max(0, failures - 1), 10)
            self._stop.wait(min(longest, _SHORTEST_RECONNECT_SECONDS * 2.0**doublings))

    def _hold(self, client: paho.Client) -> str:
        """Connect, and wait until the connection is gone; why it is."""
        with self._changed:
            self._ended, self._refusal, self._on_the_way = None, "", None
            self._was_connected = self._message_is_suspect = False
            self._acknowledged.clear()
        try:
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive)
        except (OSError, ValueError) as error:  # also of TLS
            what = error.strerror if isinstance(error, OSError) else None
            return f"cannot be reached ({what or error or type(error).__name__})".lower()
        self._client = client
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._ended is not None)
            reason = self._ended or ""
            self._connected = False
            self._client = None
            message = self._on_the_way
            self._changed.notify_all()
        if self._was_connected and not self._stop.is_set():
            self._message_is_suspect = self._losses.lost(message, time.monotonic())
        client.on_disconnect = None
        client.disable_logger()  # it takes the end of a lost connection for an error
        client.disconnect()
        client.loop_stop()
        return reason

    def _make_client(self) -> paho.Client:
        # A fixed name: should a lost connection still stand, the broker ends it, and publishes its
        # will, before it takes the new one.
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._settings.client_id,
            clean_session=True,
            reconnect_on_failure=False,
        )
        library = logging.getLogger(f"{__name__}.paho")
        library.setLevel(logging.ERROR)
        library.addFilter(_is_news)
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
            self._refusal = str(reason).lower()  # `_disconnected` comes next, and knows no reason
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
        if text == "unspecified error":  # all that the library knows of an end without a word
            text = "closed the connection" if self._was_connected else "closed without an answer"
        with self._changed:
            self._ended = self._refusal or text
            self._on_the_way, self._sending = self._sending, None
            self._connected = False
            self._changed.notify_all()

    def _tell(self, reason: str) -> None:
        """Log a loss: at once what is new, else once a minute."""
        now = time.monotonic()
        hint = self._losses.hint(self._settings.client_id, now)
        kind = f"{reason} {bool(hint)}"
        if kind != self._told[0] or now - self._told[1] >= _TELL_AGAIN_SECONDS:
            self._told = kind, now
            place = f"MQTT broker at {self._settings.host}:{self._settings.port}"
            LOG.warning("%s: %s%s; trying again", place, reason, hint)

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


def _is_news(record: logging.LogRecord) -> bool:
    # Of each attempt that fails the library says so as an error, right after we have told it.
    return not record.getMessage().startswith(("Client is not connected", "failed to receive on"))
