"""MQTT: events, camera states, and device discovery of Home Assistant."""

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pipeline.config import Mqtt
from pipeline.notifiers.home_assistant import device_payload
from pipeline.notifiers.mqtt_commands import CameraView, command_of, subscriptions
from pipeline.notifiers.mqtt_connection import MqttLink, Will
from pipeline.notifiers.mqtt_topics import (
    OFFLINE,
    ONLINE,
    Payload,
    RetainedTopics,
    Topics,
    is_significant_change,
)
from pipeline.notifiers.outbox_message import OutboxMessage
from pipeline.notifiers.retained_state import RetainedState
from pipeline.notifiers.retry_policy import Delivered, Disconnected, Outcome, Refused
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.commands import Command, CommandError
from pipeline.transport.messages import CameraState

LOG = logging.getLogger(__name__)

_THRESHOLD_INTERVAL_SECONDS = 60.0
_STATE_INTERVAL_SECONDS = 1.0
_VIEW_SECONDS = 15.0
"""How long the status from the supervisor takes precedence over the status from scores."""
_LEARNING_STEP_SECONDS, _LEARNT_STEP_SECONDS = 5.0, 60.0
_SNAPSHOT_INTERVAL_SECONDS = 1.0
_MAX_PICTURE_BYTES = 8 << 20


class MqttNotifier:
    """One broker. Events come from the outbox; of each state only the newest is published."""

    def __init__(
        self,
        settings: Mqtt,
        wake: Callable[[], None],
        count_failure: Callable[[], None],
        announced: RetainedState | None = None,
        command: Callable[[Command], None] | None = None,
    ) -> None:
        """Prepare; `start` connects.

        Args:
            settings: Section `mqtt`.
            wake: Wakes the delivery worker.
            count_failure: Called for each connection that is lost or cannot be made.
            announced: Topics that earlier runs left retained at the broker; None: unknown.
            command: Called for each received command; None: commands are not accepted.

        Raises:
            PermanentError: the settings cannot be used.
        """
        self._settings = settings
        self._topics = topics = Topics(settings.topic_prefix, settings.discovery.prefix)
        self._wake = wake
        self._count_failure = count_failure
        self._retained = RetainedTopics()
        self._announced = announced
        self._command = command if settings.commands else None
        self._cameras: set[str] = set()
        self._viewed_at = -float("inf")
        self._retained.set(topics.available, ONLINE.encode())
        self._scores: dict[str, float] = {}
        self._limited_log = LimitedWarning(LOG)
        self._logged_refusals: dict[str, str] = {}
        self._link = MqttLink(
            settings,
            Will(topics.available, OFFLINE),
            self._subscriptions(),
            self._connected,
            self._receive,
            lambda _reason: count_failure(),
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection, and it is not known to be lost."""
        return self._link.connected

    def start(self) -> None:
        """Start to connect; retried until the broker is available."""
        self._link.start()

    def withdraw_obsolete(self, cameras: Collection[str]) -> None:
        """Clear retained topics of earlier runs that this run does not use; call it first.

        Args:
            cameras: Names of all cameras.
        """
        if self._announced is None:
            return
        kept = {self._topics.available}
        for camera in cameras:
            kept.update(self._topics.retained(camera, announced=self._settings.discovery.enabled))
        for topic in sorted(self._announced.topics - kept):
            self._set(topic, b"")

    def announce(self, camera: str) -> None:
        """Publish the discovery message of a camera, if discovery is enabled."""
        self._cameras.add(camera)
        if self._settings.discovery.enabled:
            payload = device_payload(self._topics, camera, commands=self._command is not None)
            self._set(self._topics.device(camera), payload)

    def withdraw(self, camera: str) -> None:
        """Clear all retained topics of a camera that was removed."""
        self._cameras.discard(camera)
        for topic in self._topics.retained(camera, announced=True):
            self._set(topic, b"")
        self._scores.pop(camera, None)

    def set_status(self, camera: str, status: CameraState) -> None:
        """Publish a camera status derived from scores, unless the supervisor gave one recently."""
        if time.monotonic() - self._viewed_at > _VIEW_SECONDS:
            self._set_status(camera, status, "")

    def publish_views(self, views: Sequence[CameraView]) -> None:
        """Publish the states of all cameras as given by the supervisor; from any thread."""
        self._viewed_at = time.monotonic()
        for view in views:
            if view.name not in self._cameras:
                continue
            self._set_status(view.name, view.state, view.reason)
            if self._command is not None:
                on = b"ON" if view.enabled else b"OFF"
                self._set(self._topics.of(view.name, "enabled/state"), on)
                if view.threshold is not None:
                    text = f"{view.threshold:g}".encode()
                    self._set(self._topics.of(view.name, "threshold/state"), text)

    def _set_status(self, camera: str, status: str, reason: str) -> None:
        self._set(self._topics.of(camera, "status"), status.encode(), _STATE_INTERVAL_SECONDS)
        details = json.dumps({"status": status, "reason": reason})
        self._set(self._topics.of(camera, "details"), details.encode(), _STATE_INTERVAL_SECONDS)

    def set_anomaly(self, camera: str, *, active: bool) -> None:
        """Publish whether an event is active."""
        self._set(
            self._topics.of(camera, "anomaly"), b"ON" if active else b"OFF", _STATE_INTERVAL_SECONDS
        )

    def set_score(self, camera: str, score: float, threshold: float | None) -> None:
        """Publish the score, and the energy at which it is 1; both at a limited rate."""
        if is_significant_change(self._scores.get(camera), score):
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
        """Publish the progress of the calibration, rounded to steps to limit the rate."""
        step = _LEARNT_STEP_SECONDS if learning["trusted"] else _LEARNING_STEP_SECONDS
        normal = learning["normal_seconds"] // step * step
        left = -(-learning["trusted_in_seconds"] // step) * step
        shown = {**learning, "normal_seconds": normal, "trusted_in_seconds": left}
        self._set(self._topics.of(camera, "learning"), json.dumps(shown).encode(), 1.0)

    def set_snapshot(self, camera: str, file: Path) -> None:
        """Publish the picture in a file."""
        topic = self._topics.of(camera, "snapshot")
        if self._retained.set(topic, file, _SNAPSHOT_INTERVAL_SECONDS, force=True):
            self._wake()

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Publish one event."""
        body = queued_message.body.encode()
        match self._link.publish(queued_message.key, self._topics.events, body, retain=False):
            case "acknowledged":
                return Delivered()
            case "refused":
                return Refused(self._link.refusal)
        return Disconnected()

    def refresh(self, now: float) -> None:
        """Publish the states that have changed since their last publication."""
        while self._link.connected and (due := self._retained.due(now)) is not None:
            topic, payload, version = due
            content = self._content(payload)
            if content is not None:
                if self._announced is not None and content:
                    self._announced.add(topic)
                    self._announced.save()
                sent = self._link.publish(f"{topic} {version}", topic, content, retain=True)
                if sent == "waiting":
                    return
                if sent == "refused":
                    self._count_failure()
                    self._log_refusal(topic, self._link.refusal)
                elif self._announced is not None and not content:
                    self._announced.remove(topic)
            self._retained.mark_published(topic, version, now)
        if self._announced is not None:
            self._announced.save()

    def close(self) -> None:
        """Publish that Vedette is offline, and disconnect."""
        self._link.close(Will(self._topics.available, OFFLINE))

    def _log_refusal(self, topic: str, reason: str) -> None:
        if self._logged_refusals.get(topic) != reason:
            self._logged_refusals[topic] = reason
            LOG.warning("mqtt: not published on %s: %s", topic, reason)

    def _set(self, topic: str, payload: Payload, interval_seconds: float = 0.0) -> None:
        if self._retained.set(topic, payload, interval_seconds):
            self._wake()

    def _content(self, payload: Payload) -> bytes | None:
        if isinstance(payload, bytes):
            return payload
        try:
            if payload.stat().st_size > _MAX_PICTURE_BYTES:
                return None
            return payload.read_bytes()
        except OSError:  # removed meanwhile
            return None

    def _connected(self) -> None:
        """Publish all states again: the broker may have lost them, and has published our will."""
        self._retained.republish()
        self._wake()

    def _subscriptions(self) -> tuple[str, ...]:
        birth = (self._topics.birth,) if self._settings.discovery.enabled else ()
        return (*birth, *(subscriptions(self._topics) if self._command is not None else ()))

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.birth and payload == ONLINE.encode():
            marker = f"{self._settings.discovery.prefix}/device/"
            self._retained.republish(lambda known: known.startswith(marker))
            self._wake()
            return
        try:
            command = command_of(self._topics, topic, payload)
        except CommandError as error:
            self._limited_log.warn(f"mqtt: {error}")
            return
        if command is None or self._command is None:
            return
        if retained:  # it would be executed again at every start
            self._limited_log.warn(f"mqtt: {topic}: want commands that are not retained, got one")
            return
        self._command(command)
