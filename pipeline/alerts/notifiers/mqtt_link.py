"""One connection to an MQTT broker, with one message on the way at a time.

That keeps the order of everything: after a loss the library sends what was not acknowledged again,
and a second message on the way could be overtaken by an older one, so that a wrong state stays.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.config import Mqtt
from pipeline.telemetry.floods import FloodCounter
from pipeline.worker import UnmendableError

LOG = logging.getLogger(__name__)

_QOS = 1
_ACKNOWLEDGED_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_SHORTEST_RECONNECT_SECONDS = 1
_LONGEST_RECONNECT_SECONDS = (15, 30)  # by chance, so that not all come back together
_GOODBYE_SECONDS = 1.0
_KEPT_SETTLED = 8  # an event, and states that have changed again before they were asked for


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
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is opened yet. The callbacks come from a thread of the library.

        Raises:
            UnmendableError: the file of the certificate authority cannot be used.
        """
        self._settings = settings
        self._subscriptions = subscriptions
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._floods = FloodCounter(LOG)
        self._changed = threading.Condition()
        self._connected = False
        self._refusal = ""
        self._pending: tuple[str, int] | None = None
        self._acknowledged: set[int] = set()
        # Arrived, and not asked for since: a message may be waited for again after other ones.
        self._settled: deque[str] = deque(maxlen=_KEPT_SETTLED)
        # A fixed name: should a lost connection still stand, the broker ends it, and publishes its
        # will, before it takes the new one.
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, settings.client_id, clean_session=True
        )
        library = logging.getLogger(f"{__name__}.paho")
        library.setLevel(logging.ERROR)
        library.addFilter(_is_news)
        client.enable_logger(library)
        client.connect_timeout = _CONNECT_SECONDS
        client.reconnect_delay_set(
            _SHORTEST_RECONNECT_SECONDS, random.randint(*_LONGEST_RECONNECT_SECONDS)
        )
        client.will_set(will.topic, will.payload, qos=_QOS, retain=True)
        if settings.user is not None:
            client.username_pw_set(settings.user, settings.password)
        if settings.tls:
            try:
                client.tls_set(ca_certs=None if settings.ca is None else str(settings.ca))
            except (OSError, ValueError) as error:
                raise UnmendableError(
                    f"mqtt.ca: want a file in PEM, got {settings.ca}: {error}"
                ) from None
        client.on_connect = self._connect_answered
        client.on_connect_fail = lambda *_: self._lost("cannot be reached")
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = lambda _client, _data, message: on_message(
            message.topic, bytes(message.payload)
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has answered, and is not known to be gone."""
        return self._connected

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive
        )
        self._client.loop_start()

    def publish(self, token: str, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Publish, and wait until the broker has it.

        Args:
            token: Names this message; called again with the same one, it is waited for again
                rather than sent twice.
            topic: Where.
            payload: What.
            retain: Whether the broker keeps it for those who come later.

        Returns:
            Whether the broker has it; False: not yet.
        """
        if not self._connected or not self._settle():
            return False
        if token not in self._settled:
            info = self._client.publish(topic, payload, _QOS, retain)
            if info.rc not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN):
                return False
            self._pending = token, info.mid
            if not self._settle():
                return False
        self._settled.remove(token)
        return True

    def close(self, goodbye: Will) -> None:
        """Say a last word in place of the will, and disconnect."""
        if self._connected:
            info = self._client.publish(goodbye.topic, goodbye.payload, _QOS, retain=True)
            with self._changed:
                self._changed.wait_for(lambda: info.mid in self._acknowledged, _GOODBYE_SECONDS)
        self._client.on_disconnect = None
        self._client.disable_logger()  # it takes the end of a lost connection for an error
        self._client.disconnect()
        # The library may be about to connect, or sleep: a daemon thread waits for it in our place.
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(_GOODBYE_SECONDS)

    def _settle(self) -> bool:
        """Wait for the message on the way; True: there is none any more."""
        if self._pending is None:
            return True
        token, mid = self._pending
        with self._changed:
            self._changed.wait_for(
                lambda: mid in self._acknowledged or not self._connected, _ACKNOWLEDGED_SECONDS
            )
            if mid not in self._acknowledged:
                return False
            self._acknowledged.clear()
        self._pending = None
        self._settled.append(token)
        return True

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
            self._connected = True
        self._on_connected()

    def _disconnected(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        refusal, self._refusal = self._refusal, ""
        self._lost(refusal or str(reason).lower())

    def _lost(self, reason: str) -> None:
        with self._changed:
            self._connected = False
            self._changed.notify_all()
        place = f"MQTT broker at {self._settings.host}:{self._settings.port}"
        self._floods.warn(f"{place}: {reason}; trying again")
        self._on_lost(reason)

    def _published(
        self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify_all()


def _is_news(record: logging.LogRecord) -> bool:
    # Of each attempt that fails the library says so as an error, right after we have told it.
    return not record.getMessage().startswith("Client is not connected")
