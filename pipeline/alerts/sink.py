"""The alert sink: scores in, events out.

For each score, in this order: into the score log; through the tracker; picture of the peak;
journal; store, events and trackers in one transaction; then the acknowledgement. A sink that dies
in between

- before the log: is sent the score again, and knows nothing of it;
- after the log: finds the scores that its stored trackers have not seen in the log, and makes the
  same events of them, with the same ids; the repetition of the last score still brings its pixels.

What cannot be written is counted and reported, and the watch goes on: events are kept until the
store takes them, and scores that the log does not take are acknowledged all the same, for a full
disk must not stop the cameras.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path

from pipeline.alerts.database import StoreError
from pipeline.alerts.events import Event, EventChange, EventSettings, EventTracker
from pipeline.alerts.journal import EventJournal
from pipeline.alerts.score_log import ScoreLog, record_of
from pipeline.alerts.snapshots import Snapshots
from pipeline.alerts.store import EventStore
from pipeline.alerts.watch import CameraWatch, shows_peak
from pipeline.config import Alert
from pipeline.telemetry.floods import FloodCounter
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Live, ScoreAck, ScoreMessage
from pipeline.transport.scores import ScoreReceiver
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_QUIET_SECONDS = 0.5
_DRAIN_SECONDS = 5.0
_SILENCE_SECONDS = 30.0  # beyond the merge gap: a restart of another worker takes less
_KEEP_TRACKERS_SECONDS = 5.0
_MEASURE_STORAGE_SECONDS = 60.0
_BUFFERS = ("anomaly_map", "pixels", "number", "after")


def run(context: WorkerContext) -> None:
    """Entry of the worker: take scores until told to stop and nothing more comes.

    Raises:
        OSError: the data folder cannot be written.
        StoreError: the event store cannot be used.
    """
    folder, endpoints = context.spec.run.data_folder, context.spec.run.endpoints
    with ExitStack() as stack:
        store = stack.enter_context(EventStore(folder / "events.sqlite"))
        journal = stack.enter_context(EventJournal(folder / "events.jsonl"))
        logs = {
            name: stack.enter_context(ScoreLog(folder / "scores", name))
            for name in context.spec.config.cameras
        }
        publisher = stack.enter_context(LivePublisher(endpoints))
        receiver = stack.enter_context(ScoreReceiver(endpoints))
        sink = AlertSink(context, store, journal, logs, publisher)
        sink.recover()
        sink.serve(receiver)


class AlertSink:
    """Moves scores through the watches of their cameras, and keeps and tells what comes out."""

    def __init__(
        self,
        context: WorkerContext,
        store: EventStore,
        journal: EventJournal,
        logs: dict[str, ScoreLog],
        publisher: LivePublisher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the watches; everything handed over is open.

        Raises:
            StoreError: the stored trackers cannot be read.
        """
        self._context = context
        self._metrics = context.metrics
        self._store = store
        self._journal = journal
        self._publisher = publisher
        self._snapshots = Snapshots(context.spec.run.data_folder / "events")
        self._clock = clock
        self._floods = FloodCounter(LOG)
        self._cameras = context.spec.config.cameras
        states = {name: store.tracker(name) for name in logs}
        self._known = {name for name, state in states.items() if state is not None}
        self._watches = {
            name: CameraWatch(
                log, EventTracker(event_settings(self._cameras[name].alert), states[name])
            )
            for name, log in logs.items()
        }
        self._unsaved: dict[str, Event] = {}
        self._unwritten: dict[str, Event] = {}
        self._saved_at = self._measured_at = -float("inf")
        self._rejected = 0

    def recover(self) -> None:
        """Make up for what a predecessor left undone.

        Raises:
            OSError: a score log cannot be read.
        """
        for name, watch in self._watches.items():
            watch.heard_at = self._clock()
            changes = watch.catch_up()
            for change in changes:
                self._keep(change)
                # Without a stored tracker the whole past is made again: that is no news.
                if name in self._known:
                    self._tell(change)
            self._metrics.event_active.labels(name).set(watch.tracker.active is not None)
        self._save()

    def serve(self, receiver: ScoreReceiver) -> None:
        """Take scores until stopped; then until none has come for a moment, and end all events."""
        stop, stopped_at, heard_at = self._context.stop, 0.0, 0.0
        while True:
            self._context.pulse.beat()
            messages = receiver.poll(_POLL_SECONDS)
            for message in messages:
                self.take(message)
                receiver.ack(ScoreAck(message.camera, message.connection, message.index))
            self.count_rejected(receiver.rejected)
            self.tick()
            now = self._clock()
            if messages:
                heard_at = now
            if not stop.is_set():
                stopped_at = now
            elif now - max(heard_at, stopped_at) > _QUIET_SECONDS or now - stopped_at > (
                _DRAIN_SECONDS
            ):
                break
        self.finish()

    def take(self, message: ScoreMessage) -> None:
        """Take one score, new or repeated; afterwards it may be acknowledged."""
        watch = self._watches.get(message.camera)
        if watch is None:
            self._fail("scores", f"camera {message.camera!r:.80}: not in the configuration")
            return
        watch.heard_at = begin = self._clock()
        changes: Sequence[EventChange] = ()
        is_new = watch.is_new(message)
        if is_new:
            record = record_of(message)
            with self._counted("score_log"):
                watch.log(record)
            changes = watch.track(record)
        watch.consider(message)
        self._save_picture(watch)
        self._handle(changes)
        if is_new:
            self._publish_score(message)
            latency = max(0.0, time.time() - message.captured_at)
            self._metrics.end_to_end_latency_seconds.labels(message.camera).observe(latency)
            self._metrics.stage_latency_seconds.labels("sink").observe(self._clock() - begin)

    def tick(self) -> None:
        """Do what is due: end the events of silent cameras, save again, measure the folder."""
        now = self._clock()
        for name, watch in self._watches.items():
            patience = self._cameras[name].alert.merge_gap + _SILENCE_SECONDS
            if watch.tracker.candidate is not None and now - watch.heard_at > patience:
                self._handle(watch.tracker.finish())
        if now - self._saved_at > _KEEP_TRACKERS_SECONDS:
            self._save()
        if now - self._measured_at > _MEASURE_STORAGE_SECONDS:
            self._measured_at = now
            used = folder_size_bytes(self._context.spec.run.data_folder)
            self._metrics.storage_used_bytes.set(used)

    def count_rejected(self, rejected: int) -> None:
        """Take the number of malformed messages so far into the metrics."""
        self._metrics.sink_failures.labels("scores").inc(rejected - self._rejected)
        self._rejected = rejected

    def finish(self) -> None:
        """End all events that go on, and keep everything."""
        for watch in self._watches.values():
            self._handle(watch.tracker.finish())
        self._save()

    def _handle(self, changes: Sequence[EventChange]) -> None:
        for change in changes:
            self._keep(change)
        if changes:
            self._save()
        for change in changes:
            self._tell(change)

    def _keep(self, change: EventChange) -> None:
        self._unsaved[change.event.id] = change.event
        if change.kind == "end":
            self._unwritten[change.event.id] = change.event

    def _save(self) -> None:
        """Write what waits for it; what fails goes on waiting."""
        self._saved_at = self._clock()
        for event in [*self._unwritten.values()]:
            with self._counted("journal"):
                self._journal.append(event)
                del self._unwritten[event.id]
        with self._counted("store"):
            states = {name: watch.tracker.state for name, watch in self._watches.items()}
            self._store.save(self._unsaved.values(), states)
            self._unsaved.clear()

    def _save_picture(self, watch: CameraWatch) -> None:
        event, picture = watch.tracker.active, watch.take_picture()
        if event is None or picture is None or picture.pixels is None or picture.score is None:
            return
        exists = self._snapshots.snapshot_path(event.camera, event.id).exists()
        if exists and not shows_peak(picture, event):
            return  # a predecessor has saved a better one
        with self._counted("snapshot"):
            self._snapshots.save(
                event.camera, event.id, picture.pixels, picture.anomaly_map, picture.score
            )

    def _tell(self, change: EventChange) -> None:
        event = change.event
        camera = self._metrics.event_active.labels(event.camera)
        camera.set(change.kind != "end")
        paths = {
            "snapshot": self._snapshots.snapshot_path(event.camera, event.id),
            "heatmap": self._snapshots.heatmap_path(event.camera, event.id),
        }
        shown = {name: str(path) if path.exists() else None for name, path in paths.items()}
        body = {"change": change.kind, **asdict(event), **shown}
        self._publisher.publish(Live(event.camera, "event", body))
        if change.kind in ("new", "suppressed"):
            self._metrics.events.labels(event.camera).inc()
        if change.kind != "update":
            LOG.info("%s", sentence(change), extra={"camera": event.camera})

    def _publish_score(self, message: ScoreMessage) -> None:
        names = (field.name for field in fields(message) if field.name not in _BUFFERS)
        body = {name: getattr(message, name) for name in names}
        self._publisher.publish(Live(message.camera, "score", body))

    @contextmanager
    def _counted(self, sink: str) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError) as error:
            self._fail(sink, str(error))

    def _fail(self, sink: str, reason: str) -> None:
        self._metrics.sink_failures.labels(sink).inc()
        self._floods.warn(f"{sink}: {reason}")


def event_settings(alert: Alert) -> EventSettings:
    """The tracker's settings from a camera's configuration."""
    return EventSettings(
        alert.enter, alert.exit, alert.min_duration, alert.merge_gap, alert.cooldown
    )


def sentence(change: EventChange) -> str:
    """A change of an event for people."""
    event = change.event
    score = f"score {event.peak_score:.2f}"
    if change.kind == "end":
        return f"event {event.id} ended after {event.duration_seconds:.1f} s, peak {score}"
    hushed = ", suppressed so soon after another one" if event.suppressed else ""
    return f"event {event.id} began, {score}{hushed}"


def folder_size_bytes(folder: Path) -> int:
    """Size of all files below a folder; those that vanish meanwhile count nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total
