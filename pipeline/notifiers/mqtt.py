"""MQTT: events, the states of the cameras, and their announcement to Home Assistant."""

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
    is_worth_telling,
)
from pipeline.notifiers.outbox import OutboxMessage
from pipeline.notifiers.retained_state import RetainedState
from pipeline.notifiers.retry_policy import Delivered, Disconnected, Outcome, Refused
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.commands import Command, CommandError
from pipeline.transport.messages import CameraState

LOG = logging.getLogger(__name__)

_THRESHOLD_INTERVAL_SECONDS = 60.0
_STATE_INTERVAL_SECONDS = 1.0
_VIEW_SECONDS = 15.0
"""For so long what the supervisor said last counts more than what scores tell."""
_LEARNING_STEP_SECONDS, _LEARNT_STEP_SECONDS = 5.0, 60.0
_SNAPSHOT_INTERVAL_SECONDS = 1.0
_LARGEST_PICTURE_BYTES = 8 << 20


class MqttNotifier:
    """One broker. Events come from the outbox; states are told as they are, newest only."""

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
            wake: Called when there is something to do for the delivery worker.
            count_failure: Called for each connection that is lost or not made.
            announced: What earlier runs left at the broker; None: nobody knows.
            command: Called for each command that comes; None: nobody carries them out.

        Raises:
            PermanentError: the settings cannot be used.
        """
        self._settings = settings
        self._topics = topics = Topics(settings.topic_prefix, settings.discovery.prefix)
        self._wake = wake
        self._count_failure = count_failure
        self._board = RetainedTopics()
        self._announced = announced
        self._command = command if settings.commands else None
        self._cameras: set[str] = set()
        self._seen_at = -float("inf")
        self._board.set(topics.available, ONLINE.encode())
        self._scores: dict[str, float] = {}
        self._floods = LimitedWarning(LOG)
        self._told_left_out: dict[str, str] = {}
        self._link = MqttLink(
            settings,
            Will(topics.available, OFFLINE),
            self._subscriptions(),
            self._connected,
            self._heard,
            lambda _reason: count_failure(),
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has answered, and is not known to be gone."""
        return self._link.connected

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._link.start()

    def take_back(self, cameras: Collection[str]) -> None:
        """Withdraw what earlier runs announced and this one does not; call it at the beginning.

        Args:
            cameras: All there are.
        """
        if self._announced is None:
            return
        kept = {self._topics.available}
        for camera in cameras:
            kept.update(self._topics.retained(camera, announced=self._settings.discovery.enabled))
        for topic in sorted(self._announced.topics - kept):
            self._set(topic, b"")

    def announce(self, camera: str) -> None:
        """Say that there is such a camera."""
        self._cameras.add(camera)
        if self._settings.discovery.enabled:
            payload = device_payload(self._topics, camera, commands=self._command is not None)
            self._set(self._topics.device(camera), payload)

    def withdraw(self, camera: str) -> None:
        """Say that a camera is no more: all that is retained of it goes."""
        self._cameras.discard(camera)
        for topic in self._topics.retained(camera, announced=True):
            self._set(topic, b"")
        self._scores.pop(camera, None)

    def set_status(self, camera: str, status: CameraState) -> None:
        """Say how a camera is, as far as scores tell: not while the supervisor says it."""
        if time.monotonic() - self._seen_at > _VIEW_SECONDS:
            self._set_status(camera, status, "")

    def show(self, views: Sequence[CameraView]) -> None:
        """Say how all cameras are, as the supervisor sees it; from any thread."""
        self._seen_at = time.monotonic()
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
        """Say whether an event goes on."""
        self._set(
            self._topics.of(camera, "anomaly"), b"ON" if active else b"OFF", _STATE_INTERVAL_SECONDS
        )

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

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Publish one event."""
        body = queued_message.body.encode()
        match self._link.publish(queued_message.key, self._topics.events, body, retain=False):
            case "taken":
                return Delivered()
            case "refused":
                return Refused(self._link.refusal)
        return Disconnected()

    def refresh(self, now: float) -> None:
        """Publish the states that have changed."""
        while self._link.connected and (due := self._board.due(now)) is not None:
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
                    self._left_out(topic, self._link.refusal)
                elif self._announced is not None and not content:
                    self._announced.remove(topic)
            self._board.told(topic, version, now)
        if self._announced is not None:
            self._announced.save()

    def close(self) -> None:
        """Say that nobody watches any more."""
        self._link.close(Will(self._topics.available, OFFLINE))

    def _left_out(self, topic: str, reason: str) -> None:
        if self._told_left_out.get(topic) != reason:
            self._told_left_out[topic] = reason
            LOG.warning("mqtt: left out on %s: %s", topic, reason)

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

    def _subscriptions(self) -> tuple[str, ...]:
        birth = (self._topics.birth,) if self._settings.discovery.enabled else ()
        return (*birth, *(subscriptions(self._topics) if self._command is not None else ()))

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.birth and payload == ONLINE.encode():
            marker = f"{self._settings.discovery.prefix}/device/"
            self._board.repeat(lambda known: known.startswith(marker))
            self._wake()
            return
        try:
            command = command_of(self._topics, topic, payload)
        except CommandError as error:
            self._floods.warn(f"mqtt: {error}")
            return
        if command is None or self._command is None:
            return
        if retained:  # it would be carried out again at every start
            self._floods.warn(f"mqtt: {topic}: want commands that are not retained, got one")
            return
        self._command(command)
