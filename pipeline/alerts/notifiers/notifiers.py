"""The one thing that the alert sink knows of all receivers: tell it what happens, and go on."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from pipeline.alerts.events import Event, EventChange
from pipeline.alerts.notifiers.delivery import Courier, Notifier
from pipeline.alerts.notifiers.message import event_message, letter_to
from pipeline.alerts.notifiers.mqtt import MqttNotifier
from pipeline.alerts.notifiers.mqtt_topics import status_of
from pipeline.alerts.notifiers.webhook import WebhookNotifier
from pipeline.alerts.outbox import Bounds, Kind, Letter, Outbox, OutboxError
from pipeline.config import Config, Mqtt
from pipeline.telemetry.floods import FloodCounter
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import ScoreMessage

LOG = logging.getLogger(__name__)

OUTBOX_NAME = "outbox.sqlite"
OFFLINE_SECONDS = 30.0
"""Without a score for so long, a camera is told to be offline."""
_MEASURE_SECONDS = 2.0
_PRUNE_SECONDS = 60.0
_MOST_UNWRITTEN = 1000
_DRAIN_SECONDS = 2.0
_JOIN_SECONDS = 0.5
_ALL: frozenset[Kind] = frozenset({"new", "update", "end"})


@dataclass(frozen=True, slots=True)
class Receiver:
    """One sink of messages."""

    notifier: Notifier
    courier: Courier
    kinds: frozenset[Kind]
    """Which messages it wants."""


class Notifiers:
    """Tells all receivers; no call ever waits for one of them.

    Belongs to the thread of the alert sink. Without receivers, every call does nothing.
    """

    def __init__(
        self,
        outbox: Outbox | None,
        receivers: Mapping[str, Receiver],
        mqtt: MqttNotifier | None,
        data_folder: Path,
        metrics: Metrics,
        *,
        api: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Take receivers whose couriers run.

        Args:
            outbox: Open; None only if there are no receivers.
            receivers: By name of the sink.
            mqtt: The one among them that takes states as well.
            data_folder: Of the run; pictures are named relative to it.
            metrics: Of the worker.
            api: Whether the REST API is served.
            clock: Monotonic.
            wall_clock: Unix seconds.
        """
        self._outbox = outbox
        self._receivers = receivers
        self._mqtt = mqtt
        self._data_folder = data_folder
        self._metrics = metrics
        self._api = api
        self._clock = clock
        self._wall_clock = wall_clock
        self._floods = FloodCounter(LOG)
        self._unwritten: deque[Letter] = deque()
        self._heard_at: dict[str, float] = {}
        self._measured_at = self._pruned_at = -float("inf")

    @classmethod
    def nobody(cls, data_folder: Path, metrics: Metrics) -> Self:
        """Without any receiver: every call does nothing."""
        return cls(None, {}, None, data_folder, metrics)

    def watch(self, camera: str, active: Event | None, *, enabled: bool = True) -> None:
        """Say that a camera is watched from now on, or disabled, and which event goes on there."""
        if self._mqtt is not None:
            self._mqtt.announce(camera)
            self._mqtt.set_status(camera, "starting" if enabled else "disabled")
            self._mqtt.set_anomaly(camera, active=active is not None and not active.suppressed)
            if enabled:
                self._heard_at[camera] = self._clock()

    def forget(self, camera: str) -> None:
        """Say that a camera is no longer watched."""
        if self._mqtt is not None:
            self._mqtt.withdraw(camera)
            self._heard_at.pop(camera, None)

    def event(self, change: EventChange, snapshot: Path | None, heatmap: Path | None) -> None:
        """Tell a change of an event; call it before the event is stored.

        A sink that dies in between makes the same change again, and it is told once all the same.

        Args:
            change: As the tracker made it.
            snapshot: Picture of the peak, below the data folder; None: there is none yet.
            heatmap: Likewise.
        """
        message = event_message(
            change, self._relative(snapshot), self._relative(heatmap), api=self._api
        )
        if message is None:
            return
        now = self._wall_clock()
        for name, receiver in self._receivers.items():
            if message.type in receiver.kinds:
                self._unwritten.append(letter_to(name, message, now))
        self._write()
        if self._mqtt is not None:
            self._mqtt.set_anomaly(message.camera, active=message.type != "end")
            if snapshot is not None:
                self._mqtt.set_snapshot(message.camera, snapshot)

    def score(self, message: ScoreMessage) -> None:
        """Tell a score, if it is worth telling."""
        if self._mqtt is None:
            return
        self._heard_at[message.camera] = self._clock()
        self._mqtt.set_status(message.camera, status_of(message.state))
        if message.learning is not None:
            self._mqtt.set_learning(message.camera, message.learning)
        if message.score is not None:
            self._mqtt.set_score(message.camera, message.score, message.threshold)

    def tick(self) -> None:
        """Do what is due: silent cameras, what could not be written, what is too old, gauges."""
        now = self._clock()
        if self._mqtt is not None:
            for camera, heard_at in self._heard_at.items():
                if now - heard_at > OFFLINE_SECONDS:
                    self._mqtt.set_status(camera, "offline")
        if self._outbox is None or now - self._measured_at < _MEASURE_SECONDS:
            return
        self._measured_at = now
        self._write()
        try:
            if now - self._pruned_at > _PRUNE_SECONDS:
                self._pruned_at = now
                for sink, lost in self._outbox.prune(self._wall_clock()).items():
                    self._count_lost(sink, "age", lost)
            self._measure(self._outbox)
        except OutboxError as error:
            self._fail(str(error))

    def close(self) -> None:
        """Give the receivers a moment to take what waits, and say goodbye."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for receiver in self._receivers.values():
            receiver.courier.drain(deadline)
        deadline = time.monotonic() + _JOIN_SECONDS
        for receiver in self._receivers.values():
            receiver.courier.stop(deadline)
            receiver.notifier.close()

    def _write(self) -> None:
        """Put what is new into the outbox; what fails waits in memory, in order."""
        while self._outbox is not None and self._unwritten:
            letter = self._unwritten[0]
            try:
                for bound, lost in self._outbox.put(letter).items():
                    self._count_lost(letter.sink, bound, lost)
            except OutboxError as error:
                self._fail(str(error))
                break
            self._unwritten.popleft()
            self._receivers[letter.sink].courier.wake()
        while len(self._unwritten) > _MOST_UNWRITTEN:
            self._count_lost(self._unwritten.popleft().sink, "count", 1)

    def _measure(self, outbox: Outbox) -> None:
        now = self._wall_clock()
        for name in self._receivers:
            backlog = outbox.backlog(name)
            age = 0.0 if backlog.oldest_at is None else max(0.0, now - backlog.oldest_at)
            self._metrics.outbox_messages.labels(name).set(backlog.messages)
            self._metrics.outbox_oldest_seconds.labels(name).set(age)

    def _count_lost(self, sink: str, reason: str, count: int) -> None:
        self._metrics.outbox_dropped.labels(sink, reason).inc(count)
        self._floods.warn(f"{sink}: {count} messages dropped that nobody took (bound: {reason})")

    def _fail(self, reason: str) -> None:
        self._metrics.sink_failures.labels("outbox").inc()
        self._floods.warn(reason)

    def _relative(self, file: Path | None) -> str | None:
        return None if file is None else file.relative_to(self._data_folder).as_posix()


@contextmanager
def open_notifiers(config: Config, data_folder: Path, metrics: Metrics) -> Iterator[Notifiers]:
    """The receivers of a configuration, at work until the end of the block.

    Raises:
        UnmendableError: a receiver cannot be used as it is configured.
        OutboxError: the outbox cannot be used.
    """
    if not (config.mqtt.enabled or config.webhooks or config.apprise):
        yield Notifiers.nobody(data_folder, metrics)
        return
    bounds = Bounds(
        config.outbox.max_messages,
        int(config.outbox.max_size_mb * 1_000_000),
        config.outbox.max_age,
    )
    with Outbox(data_folder / OUTBOX_NAME, bounds) as outbox:
        receivers, mqtt = make_receivers(config, outbox, data_folder, metrics)
        for name, receiver in receivers.items():
            # The series are there from the beginning, for those who watch them.
            metrics.sink_failures.labels(name)
            receiver.courier.start()
        if mqtt is not None:
            mqtt.start()
        notifiers = Notifiers(outbox, receivers, mqtt, data_folder, metrics, api=config.api.enabled)
        try:
            yield notifiers
        finally:
            notifiers.close()


def make_receivers(
    config: Config, outbox: Outbox, data_folder: Path, metrics: Metrics
) -> tuple[dict[str, Receiver], MqttNotifier | None]:
    """All receivers of a configuration, by name of the sink, and the one for MQTT; none runs yet.

    Raises:
        UnmendableError: one cannot be used as it is configured.
    """
    receivers: dict[str, Receiver] = {}

    def add(name: str, notifier: Notifier, rate: float, kinds: frozenset[Kind]) -> None:
        courier = Courier(name, notifier, outbox, rate, metrics)
        receivers[name] = Receiver(notifier, courier, kinds)

    mqtt = None
    if config.mqtt.enabled:
        warn_of_open_password(config.mqtt)
        mqtt = MqttNotifier(
            config.mqtt,
            lambda: receivers["mqtt"].courier.wake(),
            metrics.sink_failures.labels("mqtt").inc,
        )
        add("mqtt", mqtt, config.mqtt.max_rate, _ALL)
    for name, webhook in config.webhooks.items():
        kinds = _ALL if webhook.updates else _ALL - {"update"}
        add(f"webhook:{name}", WebhookNotifier(name, webhook), webhook.max_rate, kinds)
    for name, service in config.apprise.items():
        from pipeline.alerts.notifiers.apprise_service import AppriseNotifier

        told: frozenset[Kind] = frozenset({"new", "end"} if service.ends else {"new"})
        add(f"apprise:{name}", AppriseNotifier(name, service, data_folder), service.max_rate, told)
    return receivers, mqtt


def warn_of_open_password(settings: Mqtt) -> None:
    """Say so if a password would travel in clear through a network."""
    try:
        local = ip_address(settings.host).is_loopback
    except ValueError:
        local = settings.host == "localhost"
    if settings.password is not None and not settings.tls and not local:
        LOG.warning("mqtt: the password travels in clear to %s; want tls: true", settings.host)
