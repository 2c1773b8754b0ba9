"""All receivers behind one interface, which the alert sink calls and which never blocks it."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from pipeline.events.event import Event, EventChange
from pipeline.notifiers.delivery import Receiver
from pipeline.notifiers.links import Links
from pipeline.notifiers.message import FrigateEvent, event_message, message_for
from pipeline.notifiers.mqtt import MqttNotifier
from pipeline.notifiers.mqtt_topics import status_of
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import OutboxMessage
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems
from pipeline.telemetry.wall_clock import ClockWatch
from pipeline.transport.messages import ScoreMessage

LOG = logging.getLogger(__name__)

OFFLINE_SECONDS = 30.0
"""Without a score for so long, the status of a camera is published as offline."""
_MEASURE_SECONDS = 2.0
_PRUNE_SECONDS = 60.0
_MAX_PREVIOUS = 1000
_DRAIN_SECONDS = 2.0
_JOIN_SECONDS = 0.5


class Notifiers:
    """Passes events and scores to all receivers; no call ever waits for one of them.

    Used by the thread of the alert sink only. Without receivers, every call does nothing.
    """

    def __init__(
        self,
        outbox: Outbox | None,
        receivers: Mapping[str, Receiver],
        mqtt: MqttNotifier | None,
        data_folder: Path,
        metrics: Metrics,
        *,
        problems: OngoingProblems | None = None,
        api: bool = False,
        public_url: str | None = None,
        links: Links | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Use receivers whose delivery workers are running.

        Args:
            outbox: Open; None only if there are no receivers.
            receivers: By name of the sink.
            mqtt: The receiver among them that also publishes states.
            data_folder: Data folder of the run; pictures are named relative to it.
            metrics: Metrics of the worker.
            problems: Ongoing problems of the worker.
            api: Whether the REST API is served.
            public_url: `api.public_url`.
            links: Signs addresses; None: they are not signed.
            clock: Monotonic.
            wall_clock: Unix seconds.
        """
        self._outbox = outbox
        self._receivers = receivers
        self._mqtt = mqtt
        self._data_folder = data_folder
        self._metrics = metrics
        self._problems = problems or OngoingProblems()
        self._api = api
        self._public_url = public_url
        self._links = links
        self._previous: dict[str, FrigateEvent] = {}
        self._clock = clock
        self._wall_clock = wall_clock
        self._limited_log = LimitedWarning(LOG)
        self._last_score_at: dict[str, float] = {}
        self._clock_watch = ClockWatch()
        self._measured_at = self._pruned_at = -float("inf")

    @classmethod
    def without_receivers(cls, data_folder: Path, metrics: Metrics) -> Self:
        """Create one without receivers: every call does nothing."""
        return cls(None, {}, None, data_folder, metrics)

    def add_camera(self, camera: str, active: Event | None, *, enabled: bool = True) -> None:
        """Announce a camera, and publish whether it is enabled, and whether an event is active."""
        if self._mqtt is not None:
            self._mqtt.announce(camera)
            self._mqtt.set_status(camera, "starting" if enabled else "disabled")
            self._mqtt.set_anomaly(camera, active=active is not None and not active.suppressed)
            if enabled:
                self._last_score_at[camera] = self._clock()

    def remove_camera(self, camera: str) -> None:
        """Clear the states of a camera that was removed."""
        if self._mqtt is not None:
            self._mqtt.withdraw(camera)
            self._last_score_at.pop(camera, None)

    def notify(self, change: EventChange, snapshot: Path | None, heatmap: Path | None) -> None:
        """Queue a message about a change of an event; call it before the event is stored.

        After a crash in between the sink makes the same change again, and it is delivered once.

        Args:
            change: From the tracker.
            snapshot: Picture of the peak, below the data folder; None: there is none yet.
            heatmap: As `snapshot`.
        """
        now, subject = self._wall_clock(), change.event.id
        message = event_message(
            change,
            self._relative(snapshot),
            self._relative(heatmap),
            api=self._api,
            link=partial(self._link, now),
            before=self._previous.get(subject),
        )
        if message is None:
            return
        self._previous.pop(subject, None)
        if message.after is not None and message.type != "end":
            self._previous[subject] = message.after
            while len(self._previous) > _MAX_PREVIOUS:
                self._previous.pop(next(iter(self._previous)))
        for name, receiver in self._receivers.items():
            if message.type in receiver.kinds:
                self._put(message_for(name, message, now))
        if self._mqtt is not None:
            self._mqtt.set_anomaly(message.camera, active=message.type != "end")
            if snapshot is not None:
                self._mqtt.set_snapshot(message.camera, snapshot)

    def publish_score(self, message: ScoreMessage) -> None:
        """Publish the states that follow from a score, at a limited rate."""
        if self._mqtt is None:
            return
        self._last_score_at[message.camera] = self._clock()
        self._mqtt.set_status(message.camera, status_of(message.state))
        if message.learning is not None:
            self._mqtt.set_learning(message.camera, message.learning)
        if message.score is not None:
            self._mqtt.set_score(message.camera, message.score, message.threshold)

    def tick(self) -> None:
        """Do periodic work: offline cameras, retries of the outbox, old messages, gauges."""
        now = self._clock()
        if self._mqtt is not None:
            for camera, last_score_at in self._last_score_at.items():
                if now - last_score_at > OFFLINE_SECONDS:
                    self._mqtt.set_status(camera, "offline")
        if self._outbox is None or now - self._measured_at < _MEASURE_SECONDS:
            return
        self._measured_at = now
        self._outbox.sync()
        self._note_problem(self._outbox)
        wall = self._wall_clock()
        if step := self._clock_watch.step_seconds(wall, now):
            # Otherwise all waiting messages would be too old at once, or never.
            self._outbox.shift(step)
        if now - self._pruned_at > _PRUNE_SECONDS:
            self._pruned_at = now
            for sink, lost in self._outbox.prune(wall).items():
                self._count_lost(sink, "age", lost)
        self._measure(self._outbox)

    def close(self) -> None:
        """Deliver waiting messages for up to 2 s, then close the receivers."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for receiver in self._receivers.values():
            receiver.delivery_worker.drain(deadline)
        deadline = time.monotonic() + _JOIN_SECONDS
        for receiver in self._receivers.values():
            receiver.delivery_worker.stop(deadline)
            receiver.notifier.close()

    def _put(self, queued_message: OutboxMessage) -> None:
        assert self._outbox is not None
        for bound, lost in self._outbox.put(queued_message).items():
            self._count_lost(queued_message.sink, bound, lost)
        self._note_problem(self._outbox)
        self._receivers[queued_message.sink].delivery_worker.wake()

    def _note_problem(self, outbox: Outbox) -> None:
        if outbox.problem:
            self._metrics.sink_failures.labels("outbox").inc()
        self._problems.set("outbox", outbox.problem)

    def _measure(self, outbox: Outbox) -> None:
        now = self._wall_clock()
        for name in self._receivers:
            backlog = outbox.backlog(name)
            age = 0.0 if backlog.oldest_at is None else max(0.0, now - backlog.oldest_at)
            self._metrics.outbox_messages.labels(name).set(backlog.messages)
            self._metrics.outbox_oldest_seconds.labels(name).set(age)
            self._metrics.outbox_parked.labels(name).set(backlog.refused)

    def _count_lost(self, sink: str, reason: str, count: int) -> None:
        self._metrics.outbox_dropped.labels(sink, reason).inc(count)
        self._limited_log.warn(f"{sink}: {count} undelivered messages dropped (bound: {reason})")

    def _link(self, now: float, path: str) -> str:
        if self._public_url is None:
            return path
        return f"{self._public_url}{path}{self._links.query(path, now) if self._links else ''}"

    def _relative(self, file: Path | None) -> str | None:
        return None if file is None else file.relative_to(self._data_folder).as_posix()
