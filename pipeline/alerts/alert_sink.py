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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cameras.shown_picture import display_pixels
from pipeline.alerts.absorption import Absorption
from pipeline.alerts.camera_watch import CameraWatch, shows_peak
from pipeline.alerts.event_commands import carry_out
from pipeline.alerts.live_updates import LiveUpdates
from pipeline.config import Camera
from pipeline.events.event_tracker import Event, EventChange
from pipeline.notifiers import Notifiers, open_notifiers
from pipeline.storage.database import (
    StoreDamagedError,
    StoreError,
    StoreUnreachableError,
    store_url,
)
from pipeline.storage.housekeeping import Housekeeper, folder_size_bytes
from pipeline.storage.journal import EventJournal
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.score_log import ScoreLog
from pipeline.storage.snapshots import Snapshots
from pipeline.storage.store import EventStore
from pipeline.storage.store_opening import open_store, put_store_aside
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.commands import Command
from pipeline.transport.control import ControlClient, ControlMember, read_cameras
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Answer, Request, ScoreAck, ScoreMessage
from pipeline.transport.ports import wait
from pipeline.transport.scores import ScoreReceiver
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_ASK_SECONDS = 5.0
_QUIET_SECONDS = 0.5
_DRAIN_SECONDS = 5.0
_SILENCE_SECONDS = 30.0  # beyond the merge gap: a restart of another worker takes less
_KEEP_TRACKERS_SECONDS = 5.0
_CLEAN_UP_SECONDS = 60.0
_CLEAN_UP_RATIO = 100  # of its duration, until the next time
_STORE_AGAIN_SECONDS = 15.0  # an attempt at a server that does not answer takes five


def run(context: WorkerContext) -> None:
    """Entry of the worker: take scores until told to stop and nothing more comes.

    Raises:
        OSError: the data folder cannot be written.
        StoreError: the event store cannot be used.
    """
    try:
        _work(context)
    except StoreDamagedError as error:
        # The next start of this worker makes a new one from the score logs.
        spec = context.spec
        put_store_aside(store_url(spec.config.store.url, spec.run.data_folder), error)
        raise


def _work(context: WorkerContext) -> None:
    folder, endpoints = context.spec.run.data_folder, context.spec.run.endpoints
    with ExitStack() as stack:
        store = open_store(context, stack)
        journal = stack.enter_context(EventJournal(folder / "events.jsonl"))

        def ask(command: Command) -> Answer:
            with ControlClient(endpoints) as client:
                return client.ask(command, _ASK_SECONDS)

        def open_log(camera: str) -> ScoreLog:
            return stack.enter_context(ScoreLog(folder / "scores", camera))

        logs = {name: open_log(name) for name in context.spec.config.cameras}
        publisher = stack.enter_context(LivePublisher(endpoints))
        notifiers = stack.enter_context(
            open_notifiers(context.spec.config, folder, context.metrics, context.problems, ask)
        )
        receiver = stack.enter_context(ScoreReceiver(endpoints))
        spec = context.spec
        control = stack.enter_context(ControlMember(endpoints, spec.name, spec.revision))
        absorption = stack.enter_context(Absorption.through(endpoints, store, context.metrics))
        sink = AlertSink(
            context, store, journal, logs, publisher, notifiers=notifiers, absorption=absorption
        )
        sink.recover()
        sink.serve(receiver, control, open_log)


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
        notifiers: Notifiers | None = None,
        absorption: Absorption | None = None,
    ) -> None:
        """Make the watches; everything handed over is open.

        Without `absorption` no anomaly ever becomes normal by staying.

        Raises:
            StoreError: the stored trackers cannot be read.
        """
        self._context = context
        self._metrics = context.metrics
        self._problems = context.problems
        self._store = store
        self._journal = journal
        self._news = LiveUpdates(publisher, context.metrics)
        self._snapshots = Snapshots(context.spec.run.data_folder / "events")
        self._clock = clock
        self._notifiers = notifiers or Notifiers.nobody(
            context.spec.run.data_folder, context.metrics
        )
        self._absorption = absorption
        self._floods = LimitedWarning(LOG)
        self._cameras: Mapping[str, Camera] = context.spec.config.cameras
        self._history = ScoreHistory()
        spec = context.spec
        self._housekeeper = Housekeeper(
            store, spec.run.data_folder, spec.config.record, context.metrics, self._fail
        )
        states = {name: store.tracker(name) for name in logs}
        self._known = {name for name, state in states.items() if state is not None}
        self._watches = {
            name: CameraWatch(log, self._cameras[name], states[name], self._history)
            for name, log in logs.items()
        }
        self._unsaved: dict[str, Event] = {}
        self._unwritten: dict[str, Event] = {}
        self._saved_at = self._clean_up_at = self._store_again_at = -float("inf")
        self._rejected = 0

    def recover(self) -> None:
        """Make up for what a predecessor left undone.

        Raises:
            OSError: a score log cannot be read.
        """
        for name in self._watches:
            self._recover(name)
        self._save()

    def _recover(self, name: str) -> None:
        watch = self._watches[name]
        watch.heard_at = self._clock()
        for change in watch.catch_up():
            self._keep(change)
            # Without a stored tracker the whole past is made again: that is no news.
            if name in self._known:
                self._notifiers.event(change, *self._pictures(change.event))
                self._news.event(change, *self._pictures(change.event))
        active, enabled = watch.tracker.active, self._cameras[name].enabled
        self._notifiers.watch(name, active, enabled=enabled)
        self._metrics.event_active.labels(name).set(watch.tracker.active is not None)

    def serve(
        self,
        receiver: ScoreReceiver,
        control: ControlMember | None = None,
        open_log: Callable[[str], ScoreLog] | None = None,
    ) -> None:
        """Take scores until stopped; then until none has come for a moment, and end all events.

        Args:
            receiver: Open.
            control: Open; None: nobody changes or commands anything.
            open_log: Opens the score log of a camera that is new.
        """
        ports = (receiver, *([control] if control else []))
        stop, stopped_at, heard_at = self._context.stop, 0.0, 0.0
        self._context.ready.set()
        while True:
            self._context.watchdog.beat()
            wait(_POLL_SECONDS, *ports)
            if control is not None and open_log is not None:
                self._obey(control, open_log)
            messages = receiver.poll(0.0)
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

    def _obey(self, control: ControlMember, open_log: Callable[[str], ScoreLog]) -> None:
        for message in control.poll():
            if isinstance(message, Request):
                control.answer(carry_out(message, self._store, self._fail))
                continue
            # What fails here is tried again: the supervisor repeats a table that is not in use.
            with self._counted("score_log"):
                self.work_by(read_cameras(message), open_log)
                control.acknowledge_revision(message.revision)

    def work_by(self, cameras: Mapping[str, Camera], open_log: Callable[[str], ScoreLog]) -> None:
        """Watch these cameras from now on; the events of those that are gone end.

        Raises:
            OSError: a score log cannot be opened or read.
            StoreError: a stored tracker cannot be read.
        """
        for name in [name for name in self._watches if name not in cameras]:
            self._handle(self._watches[name].tracker.finish())
            self._watches.pop(name).close()
            self._notifiers.forget(name)
            self._metrics.remove_camera(name)
        for name, camera in cameras.items():
            watch = self._watches.get(name)
            if watch is None:
                state, log = self._store.tracker(name), open_log(name)
                self._watches[name] = CameraWatch(log, camera, state, self._history)
                if state is not None:
                    self._known.add(name)
                self._cameras = {**self._cameras, name: camera}
                self._recover(name)
            else:
                before = self._cameras[name]
                if (camera.alert, camera.zones) != (before.alert, before.zones):
                    watch.read_by(camera)
        self._cameras = cameras
        self._save()

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
            record = watch.record(message)
            with self._counted("score_log"):
                watch.log(record)
            changes = watch.track(record)
        watch.consider(message)
        self._save_picture(watch)
        self._handle(changes)
        if is_new:
            self._notifiers.score(message)
            self._news.score(message)
            latency = max(0.0, time.time() - message.captured_at)
            self._metrics.end_to_end_latency_seconds.labels(message.camera).observe(latency)
            self._metrics.stage_latency_seconds.labels("sink").observe(self._clock() - begin)

    def tick(self) -> None:
        """Do what is due: end the events of silent cameras, save again, measure the folder."""
        now = self._clock()
        self._notifiers.tick()
        for name, watch in self._watches.items():
            patience = self._cameras[name].alert.merge_gap + _SILENCE_SECONDS
            if watch.tracker.candidate is not None and now - watch.heard_at > patience:
                self._handle(watch.tracker.finish())
        self._absorb()
        if now - self._saved_at > _KEEP_TRACKERS_SECONDS:
            self._save()
        if now > self._clean_up_at:
            busy = {one.tracker.active.id for one in self._watches.values() if one.tracker.active}
            if self._housekeeper.run(time.time(), busy | self._unsaved.keys(), self._watches):
                self._problems.clear("retention")
                self._problems.clear("snapshot")  # a picture that was lost is not made up for
            used = folder_size_bytes(self._context.spec.run.data_folder)
            self._metrics.storage_used_bytes.set(used)
            # Where a slow disk takes its time for that, seldom: no frame shall wait for it.
            self._clean_up_at = now + max(
                _CLEAN_UP_SECONDS, _CLEAN_UP_RATIO * (self._clock() - now)
            )

    def _absorb(self) -> None:
        """Let what has gone on for long enough become normal."""
        if self._absorption is None or self._clock() < self._store_again_at:
            return
        with self._counted("store", heals=False):
            for name, watch in self._watches.items():
                if watch.tracker.active is not None:
                    after_seconds = self._cameras[name].adapt.absorb_after
                    self._absorption.consider(watch.tracker.active, after_seconds)
            self._absorption.settle()

    def count_rejected(self, rejected: int) -> None:
        """Take the number of malformed messages so far into the metrics."""
        self._metrics.sink_failures.labels("scores").inc(rejected - self._rejected)
        self._rejected = rejected

    def finish(self) -> None:
        """End all events that go on, and keep everything."""
        for watch in self._watches.values():
            self._handle(watch.tracker.finish())
        self._store_again_at = -float("inf")
        self._save()

    def _handle(self, changes: Sequence[EventChange]) -> None:
        for change in changes:
            self._keep(change)
            # Before it is stored: whoever dies in between makes it again, and nobody misses it.
            self._notifiers.event(change, *self._pictures(change.event))
        if changes:
            self._save()
        for change in changes:
            self._news.event(change, *self._pictures(change.event))
            stopping = self._context.stop.is_set()
            if change.kind == "end" and self._absorption is not None and not stopping:
                times = self._cameras[change.event.camera].adapt.absorb_recurring
                with self._counted("store"):
                    self._absorption.consider_recurring(change.event, times)

    def _keep(self, change: EventChange) -> None:
        self._unsaved[change.event.id] = change.event
        if change.kind == "end":
            self._unwritten[change.event.id] = change.event
            self._housekeeper.expect_clip(change.event, self._clock())

    def _save(self) -> None:
        """Write what waits for it; what fails goes on waiting."""
        self._saved_at = self._clock()
        for event in [*self._unwritten.values()]:
            with self._counted("journal"):
                self._journal.append(event)
                del self._unwritten[event.id]
        if self._clock() < self._store_again_at:
            return
        with self._counted("store"):
            states = {name: watch.tracker.state for name, watch in self._watches.items()}
            self._store.save(self._unsaved.values(), states, self._history.waiting)
            self._unsaved.clear()
            self._history.written()
            self._housekeeper.note_new_clips(self._clock())

    def _save_picture(self, watch: CameraWatch) -> None:
        event, picture = watch.tracker.active, watch.take_picture()
        if event is None or picture is None or picture.pixels is None or picture.score is None:
            return
        exists = self._snapshots.snapshot_path(event.camera, event.id).exists()
        if exists and not shows_peak(picture, event):
            return  # a predecessor has saved a better one
        with self._counted("snapshot"):
            self._snapshots.save(
                event.camera,
                event.id,
                display_pixels(picture.pixels, picture.picture, picture.source_hw),
                picture.anomaly_map,
                picture.score,
                picture.captured_at,
                watch.zones.polygons,
            )

    def _pictures(self, event: Event) -> tuple[Path | None, Path | None]:
        """Snapshot and heatmap of an event, as far as they are there."""
        snapshot = self._snapshots.snapshot_path(event.camera, event.id)
        heatmap = self._snapshots.heatmap_path(event.camera, event.id)
        return snapshot if snapshot.exists() else None, heatmap if heatmap.exists() else None

    @contextmanager
    def _counted(self, sink: str, *, heals: bool = True) -> Iterator[None]:
        try:
            yield
            if heals:
                self._problems.clear(sink)
        except StoreDamagedError:
            raise  # see `run`
        except (OSError, StoreError) as error:
            if isinstance(error, StoreUnreachableError):
                self._store_again_at = self._clock() + _STORE_AGAIN_SECONDS
            self._fail(sink, str(error))

    def _fail(self, sink: str, reason: str) -> None:
        self._metrics.sink_failures.labels(sink).inc()
        if sink == "scores":
            self._floods.warn(f"{sink}: {reason}")
        else:
            self._problems.set(sink, reason)
