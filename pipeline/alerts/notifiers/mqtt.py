"""MQTT: events, the states of the cameras, and their announcement to Home Assistant."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.alerts.notifiers.delivery import Away, Delivered, Outcome
from pipeline.alerts.notifiers.discovery import device_payload
from pipeline.alerts.notifiers.mqtt_link import MqttLink, Will
from pipeline.alerts.notifiers.mqtt_topics import (
    OFFLINE,
    ONLINE,
    Board,
    Payload,
    Status,
    Topics,
    is_worth_telling,
)
from pipeline.alerts.outbox import Letter
from pipeline.config import Mqtt

_THRESHOLD_INTERVAL_SECONDS = 60.0
_LEARNING_STEP_SECONDS, _LEARNT_STEP_SECONDS = 5.0, 60.0
_SNAPSHOT_INTERVAL_SECONDS = 1.0
_LARGEST_PICTURE_BYTES = 8 << 20


class MqttNotifier:
    """One broker. Events come from the outbox; states are told as they are, newest only."""

    def __init__(
        self, settings: Mqtt, wake: Callable[[], None], count_failure: Callable[[], None]
    ) -> None:
        """Prepare; `start` connects.

        Args:
            settings: Section `mqtt`.
            wake: Called when there is something to do for the courier.
            count_failure: Called for each connection that is lost or not made.

        Raises:
            UnmendableError: the settings cannot be used.
        """
        self._settings = settings
        self._topics = topics = Topics(settings.topic_prefix, settings.discovery.prefix)
        self._wake = wake
        self._count_failure = count_failure
        self._board = Board()
        self._board.set(topics.available, ONLINE.encode())
        self._scores: dict[str, float] = {}
        self._link = MqttLink(
            settings,
            Will(topics.available, OFFLINE),
            (topics.birth,) if settings.discovery.enabled else (),
            self._connected,
            self._heard,
            lambda _reason: count_failure(),
        )

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._link.start()

    def announce(self, camera: str) -> None:
        """Say that there is such a camera."""
        if self._settings.discovery.enabled:
            self._set(self._topics.device(camera), device_payload(self._topics, camera))

    def withdraw(self, camera: str) -> None:
        """Say that a camera is no more: all that is retained of it goes."""
        for what in ("status", "anomaly", "score", "threshold", "learning", "snapshot"):
            self._set(self._topics.of(camera, what), b"")
        self._set(self._topics.device(camera), b"")
        self._scores.pop(camera, None)

    def set_status(self, camera: str, status: Status) -> None:
        """Say how a camera is."""
        self._set(self._topics.of(camera, "status"), status.encode())

    def set_anomaly(self, camera: str, *, active: bool) -> None:
        """Say whether an event goes on."""
        self._set(self._topics.of(camera, "anomaly"), b"ON" if active else b"OFF")

    def set_score(self, camera: str, score: float, threshold: float | None) -> None:
        """Say how high the score is, and at which energy it is 1; both rarely enough."""
        if is_worth_telling(self._scores.get(camera), score):
            self._scores[camera] = score
            self._set(
                self._topics.of(camera, "score"),
                f"{score:.2f}".encode(),
                self._settings.score_interval,
            )
        if threshold is not None:
            self._set(
                self._topics.of(camera, "threshold"),
                f"{threshold:.4g}".encode(),
                _THRESHOLD_INTERVAL_SECONDS,
            )

    def set_learning(self, camera: str, learning: Mapping[str, float | bool]) -> None:
        """Say how far the scene is learnt, in steps that are worth a message."""
        step = _LEARNT_STEP_SECONDS if learning["trusted"] else _LEARNING_STEP_SECONDS
        normal = learning["normal_seconds"] // step * step
        left = -(-learning["trusted_in_seconds"] // step) * step
        shown = {**learning, "normal_seconds": normal, "trusted_in_seconds": left}
        self._set(self._topics.of(camera, "learning"), json.dumps(shown).encode(), 1.0)

    def set_snapshot(self, camera: str, file: Path) -> None:
        """Show the picture in a file."""
        topic = self._topics.of(camera, "snapshot")
        if self._board.set(topic, file, _SNAPSHOT_INTERVAL_SECONDS, again=True):
            self._wake()

    def deliver(self, letter: Letter) -> Outcome:
        """Publish one event."""
        body = letter.body.encode()
        if self._link.publish(letter.key, self._topics.events, body, retain=False):
            return Delivered()
        return Away()

    def refresh(self, now: float) -> None:
        """Publish the states that have changed."""
        while self._link.connected and (due := self._board.due(now)) is not None:
            topic, payload, version = due
            content = self._content(payload)
            if content is not None and not self._link.publish(
                f"{topic} {version}", topic, content, retain=True
            ):
                return
            self._board.told(topic, version, now)

    def close(self) -> None:
        """Say that nobody watches any more."""
        self._link.close(Will(self._topics.available, OFFLINE))

    def _set(self, topic: str, payload: Payload, interval_seconds: float = 0.0) -> None:
        if self._board.set(topic, payload, interval_seconds):
            self._wake()

    def _content(self, payload: Payload) -> bytes | None:
        if isinstance(payload, bytes):
            return payload
        try:
            if payload.stat().st_size > _LARGEST_PICTURE_BYTES:
                return None
            return payload.read_bytes()
        except OSError:  # removed meanwhile
            return None

    def _connected(self) -> None:
        """Say everything again: the broker may have lost it, and has published our will."""
        self._board.repeat()
        self._wake()

    def _heard(self, topic: str, payload: bytes) -> None:
        if topic == self._topics.birth and payload == ONLINE.encode():
            marker = f"{self._settings.discovery.prefix}/device/"
            self._board.repeat(lambda known: known.startswith(marker))
            self._wake()
