"""The alert sink: scores in, events out.

For each score, in this order: score log; tracker; picture of the peak; notifications; journal;
store, events and trackers in one transaction; then the acknowledgement. If the sink is killed

- before the log: the score is sent again, and processed as new;
- after the log: at the next start the sink reads the scores that its stored trackers do not
  include from the log, and makes the same events of them, with the same ids; the repetition of the
  last score still brings its pixels.

Failed writes are counted and reported, and processing continues: events are held in memory until
the store can be written, and scores that cannot be logged are acknowledged nevertheless, as a full
disk must not stop the cameras.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from pipeline.alerts.absorption import Absorption
from pipeline.alerts.camera_watch import CameraWatch
from pipeline.alerts.event_commands import handle_request
from pipeline.alerts.event_pictures import EventPictures
from pipeline.alerts.event_writer import EventWriter
from pipeline.alerts.live_updates import LiveUpdates
from pipeline.alerts.sink_failures import SinkFailures
from pipeline.config import Camera
from pipeline.events.event import EventChange
from pipeline.notifiers import Notifiers
from pipeline.storage.housekeeping import Housekeeper, folder_size_bytes
from pipeline.storage.journal import EventJournal
from pipeline.storage.score_log import ScoreLog
from pipeline.storage.store import EventStore
from pipeline.transport.control import ControlMember, read_cameras
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Request, ScoreAck, ScoreMessage
from pipeline.transport.ports import wait
from pipeline.transport.scores import ScoreReceiver
from pipeline.worker import WorkerContext

_POLL_SECONDS = 0.2
_QUIET_SECONDS = 0.5
_DRAIN_SECONDS = 5.0
_SILENCE_SECONDS = 30.0  # beyond the merge gap; a restart of another worker takes less
_CLEAN_UP_SECONDS = 60.0
_CLEAN_UP_RATIO = 100  # minimum interval as a multiple of the duration


class AlertSink:
    """Processes the scores of all cameras: stores, notifies and publishes the events."""

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
        """Create the camera watches; all arguments are open.

        Without `absorption` no persistent anomaly becomes normal.

        Raises:
            StoreError: the stored trackers cannot be read.
        """
        self._context = context
        self._metrics = context.metrics
        self._store = store
        self._clock = clock
        self._cameras: Mapping[str, Camera] = context.spec.config.cameras
        folder = context.spec.run.data_folder
        self._failures = SinkFailures(context.metrics, context.problems, clock)
        self._housekeeper = Housekeeper(
            store, folder, context.spec.config.record, context.metrics, self._failures.report
        )
        self._writer = EventWriter(store, journal, self._housekeeper, self._failures, clock)
        self._pictures = EventPictures(folder / "events")
        self._live_updates = LiveUpdates(publisher, context.metrics)
        self._notifiers = notifiers or Notifiers.without_receivers(folder, context.metrics)
        self._absorption = absorption
        states = {name: store.tracker(name) for name in logs}
        self._known = {name for name, state in states.items() if state is not None}
        self._watches = {
            name: CameraWatch(log, self._cameras[name], states[name], self._writer.history)
            for name, log in logs.items()
        }
        self._clean_up_at = -float("inf")
        self._rejected = 0

    def recover(self) -> None:
        """Process what a previous run has logged, but not stored.

        Raises:
            OSError: a score log cannot be read.
        """
        for name in self._watches:
            self._recover(name)
        self._save()

    def _recover(self, name: str) -> None:
        watch = self._watches[name]
        watch.last_score_at = self._clock()
        for change in watch.replay_log():
            self._writer.queue(change)
            # Without a stored tracker all past events are made again: they are not published.
            if name in self._known:
                self._notifiers.notify(change, *self._pictures.paths(change.event))
                self._live_updates.publish_event(change, *self._pictures.paths(change.event))
        active, enabled = watch.tracker.active, self._cameras[name].enabled
        self._notifiers.add_camera(name, active, enabled=enabled)
        self._metrics.event_active.labels(name).set(watch.tracker.active is not None)

    def serve(
        self,
        receiver: ScoreReceiver,
        control: ControlMember | None = None,
        open_log: Callable[[str], ScoreLog] | None = None,
    ) -> None:
        """Process scores until stopped and none has arrived for 0.5 s; then end all events.

        Args:
            receiver: Open.
            control: Open; None: the set of cameras is fixed, and no commands are served.
            open_log: Opens the score log of a new camera.
        """
        ports = (receiver, *([control] if control else []))
        stop, stopped_at, last_score_at = self._context.stop, 0.0, 0.0
        self._context.ready.set()
        while True:
            self._context.watchdog.beat()
            wait(_POLL_SECONDS, *ports)
            if control is not None and open_log is not None:
                self._handle_commands(control, open_log)
            messages = receiver.poll(0.0)
            for message in messages:
                self.take(message)
                receiver.ack(ScoreAck(message.camera, message.connection, message.index))
            self.count_rejected(receiver.rejected)
            self.tick()
            now = self._clock()
            if messages:
                last_score_at = now
            if not stop.is_set():
                stopped_at = now
            elif now - max(last_score_at, stopped_at) > _QUIET_SECONDS or now - stopped_at > (
                _DRAIN_SECONDS
            ):
                break
        self.finish()

    def _handle_commands(self, control: ControlMember, open_log: Callable[[str], ScoreLog]) -> None:
        for message in control.poll():
            if isinstance(message, Request):
                control.answer(handle_request(message, self._store, self._failures.report))
                continue
            # A failure is retried: the supervisor repeats a revision that is not acknowledged.
            with self._failures.reported("score_log"):
                self.apply_cameras(read_cameras(message), open_log)
                control.acknowledge_revision(message.revision)

    def apply_cameras(
        self, cameras: Mapping[str, Camera], open_log: Callable[[str], ScoreLog]
    ) -> None:
        """Use this set of cameras from now on; the events of removed cameras end.

        Raises:
            OSError: a score log cannot be opened or read.
            StoreError: a stored tracker cannot be read.
        """
        for name in [name for name in self._watches if name not in cameras]:
            self._handle(self._watches[name].tracker.finish())
            self._watches.pop(name).close()
            self._notifiers.remove_camera(name)
            self._metrics.remove_camera(name)
        for name, camera in cameras.items():
            watch = self._watches.get(name)
            if watch is None:
                state, log = self._store.tracker(name), open_log(name)
                self._watches[name] = CameraWatch(log, camera, state, self._writer.history)
                if state is not None:
                    self._known.add(name)
                self._cameras = {**self._cameras, name: camera}
                self._recover(name)
            else:
                before = self._cameras[name]
                if (camera.alert, camera.zones) != (before.alert, before.zones):
                    watch.apply_settings(camera)
        self._cameras = cameras
        self._save()

    def take(self, message: ScoreMessage) -> None:
        """Process one score, new or repeated; afterwards it may be acknowledged."""
        watch = self._watches.get(message.camera)
        if watch is None:
            reason = f"camera {message.camera!r:.80}: not in the configuration"
            self._failures.report("scores", reason)
            return
        watch.last_score_at = begin = self._clock()
        taken = watch.take(message)
        if taken.is_new:
            with self._failures.reported("score_log"):
                if taken.log_error is not None:
                    raise taken.log_error
        if taken.picture is not None and self._pictures.improves(taken.picture):
            with self._failures.reported("snapshot"):
                self._pictures.save(taken.picture)
        self._handle(taken.changes)
        if taken.is_new:
            self._notifiers.publish_score(message)
            self._live_updates.publish_score(message)
            latency = max(0.0, time.time() - message.captured_at)
            self._metrics.end_to_end_latency_seconds.labels(message.camera).observe(latency)
            self._metrics.stage_latency_seconds.labels("sink").observe(self._clock() - begin)

    def tick(self) -> None:
        """Do periodic work: end events of silent cameras, absorb, save, clean up the folder."""
        now = self._clock()
        self._notifiers.tick()
        for name, watch in self._watches.items():
            seconds = self._cameras[name].alert.merge_gap + _SILENCE_SECONDS
            if watch.tracker.candidate is not None and now - watch.last_score_at > seconds:
                self._handle(watch.tracker.finish())
        self._absorb()
        if self._writer.is_due:
            self._save()
        if now > self._clean_up_at:
            self._clean_up(now)

    def _clean_up(self, now: float) -> None:
        busy = {one.tracker.active.id for one in self._watches.values() if one.tracker.active}
        if self._housekeeper.run(time.time(), busy | {*self._writer.unsaved}, self._watches):
            self._failures.clear("retention")
            self._failures.clear("snapshot")  # a lost picture cannot be written later
        used = folder_size_bytes(self._context.spec.run.data_folder)
        self._metrics.storage_used_bytes.set(used)
        # Less often if the disk is slow: frames wait meanwhile.
        seconds = _CLEAN_UP_RATIO * (self._clock() - now)
        self._clean_up_at = now + max(_CLEAN_UP_SECONDS, seconds)

    def _absorb(self) -> None:
        """Request the absorption of active events, and apply the results."""
        if self._absorption is None or not self._failures.may_try_store:
            return
        with self._failures.reported("store", clears=False):
            for name, watch in self._watches.items():
                if watch.tracker.active is not None:
                    after_seconds = self._cameras[name].adapt.absorb_after
                    self._absorption.consider(watch.tracker.active, after_seconds)
            self._absorption.apply_results()

    def count_rejected(self, rejected: int) -> None:
        """Update the metric of malformed messages; `rejected`: their number so far."""
        self._metrics.sink_failures.labels("scores").inc(rejected - self._rejected)
        self._rejected = rejected

    def finish(self) -> None:
        """End all active events, and save everything."""
        for watch in self._watches.values():
            self._handle(watch.tracker.finish())
        self._failures.retry_store_now()
        self._save()

    def _handle(self, changes: Sequence[EventChange]) -> None:
        for change in changes:
            self._writer.queue(change)
            # Before it is stored: after a crash in between the same change is made again.
            self._notifiers.notify(change, *self._pictures.paths(change.event))
        if changes:
            self._save()
        for change in changes:
            self._live_updates.publish_event(change, *self._pictures.paths(change.event))
            stopping = self._context.stop.is_set()
            if change.kind == "end" and self._absorption is not None and not stopping:
                times = self._cameras[change.event.camera].adapt.absorb_recurring
                with self._failures.reported("store"):
                    self._absorption.consider_recurring(change.event, times)

    def _save(self) -> None:
        self._writer.save({name: watch.tracker.state for name, watch in self._watches.items()})
