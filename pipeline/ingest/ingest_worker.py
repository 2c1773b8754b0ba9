"""The ingest worker of one camera: pictures in, numbered frames out to the scoring worker.

Two threads. The decoder takes pictures and puts frames into the mailbox; the sender owns the socket
and keeps every frame until it is done. A recording of which no frame may be lost continues where
the last worker of the same run stopped; a live camera cannot.
"""

import logging
import threading
import time
from collections import Counter
from contextlib import ExitStack

import cv2

from cameras.address import is_live, kind_of
from cameras.blindness import BlindnessDetector
from cameras.http_stream import is_endless
from cameras.opening import open_source
from cameras.packet_decoder import DamageSource, DamageTap
from cameras.packet_ring import PacketRing, PacketSource
from cameras.source import Source, SourceError, SourceOptions
from cameras.supervisor import CameraStatus, CameraSupervisor, backoff_seconds
from pipeline.config import SourceSection
from pipeline.ingest.decoder import Decoder
from pipeline.ingest.in_flight import ProgressFile
from pipeline.ingest.mailbox import Mailbox, Policy
from pipeline.ingest.pictures import PictureRequests
from pipeline.ingest.recorder import Recorder, marked, ring_for
from pipeline.ingest.sender import Sender
from pipeline.scenes.scene_watch import REASONS
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.telemetry.log_rate_limit import RateGate
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.frames import FrameSender
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

MAILBOX_CAPACITY = 4
"""Frames of a recording that are decoded ahead."""
HUNG_STALLS = 3.0
"""After so many stall time-outs in one call of a source this process ends."""
LEAST_HUNG_SECONDS = 10.0
"""But not before this time."""
STALE_SECONDS = 3.0
"""A live camera without a picture for so long is stale, although it is connected."""
DAMAGE_LOG_SECONDS = 60.0
"""Least time between two log lines on damaged pictures of a camera."""

_JOIN_SECONDS = 1.0
_PROBE_SECONDS = 5.0
"""Time-out of one request to a web server that may be live."""
_LONGEST_PROBE_WAIT_SECONDS = 10.0


def run(context: WorkerContext) -> None:
    """Entry of the worker: send the frames of one camera until it ends or the worker is stopped.

    Raises:
        ValueError: the worker is for no camera, or the source's address is malformed.
    """
    cv2.setNumThreads(1)  # many ingest workers share the cores
    camera = context.spec.camera
    if camera is None:
        raise ValueError(f"worker {context.spec.name}: want the name of a camera, got none")
    settings = context.spec.config.cameras[camera]
    run_info = context.spec.run
    source = settings.source
    kind = "live" if is_live_now(context, camera, source) else "file"
    settings = settings.model_copy(update={"source": source.model_copy(update={"kind": kind})})
    live = is_live(source.url, settings.source.kind)
    policy = mailbox_policy(settings.source, live)
    progress, done, connection = None, None, context.incarnation
    if policy == "wait" and not live:
        path = run_info.data_folder / "state" / f"{camera}.json"
        progress = ProgressFile(path, run_info.started_ms)
        done = progress.load()
        connection = done.connection if done else run_info.started_ms
    if done is not None:
        LOG.info("camera %s: continues after frame %d", camera, done.index)
    record = context.spec.config.record
    ring = ring_for(record, settings)
    on_damaged = _damage_reporter(camera, context.metrics)
    supervisor = camera_supervisor(camera, settings.source, connection, ring, on_damaged)
    mailbox = Mailbox(policy, MAILBOX_CAPACITY)
    pace = "fast" if live else settings.source.pace
    masks = [mask.points for mask in settings.masks.values()]
    blindness = BlindnessDetector(settings.source.blind_after, masks) if live else None
    requests = PictureRequests()
    decoder = Decoder(camera, settings, mailbox, context.metrics, pace, done, blindness, requests)
    hung_seconds = max(LEAST_HUNG_SECONDS, HUNG_STALLS * settings.source.stall_timeout)
    reporter = Reporter(context, supervisor, live, hung_seconds, blindness)
    failures: list[Exception] = []

    def decode() -> None:
        try:
            pictures = supervisor.frames(context.stop)
            decoder.run(pictures if ring is None else marked(ring, pictures))
        except Exception as error:
            failures.append(error)

    # A daemon, so that a source that waits for its camera does not delay the end of the process.
    thread = threading.Thread(target=decode, name="decoder", daemon=True)
    with ExitStack() as stack:
        port = stack.enter_context(FrameSender(run_info.endpoints, camera))
        if ring is not None:
            recorder = Recorder(run_info.endpoints, run_info.data_folder, camera, record, ring)
            stack.enter_context(recorder)
        thread.start()
        context.ready.set()  # also where the camera is offline, which its state shows
        Sender(context, camera, mailbox, port, progress, reporter.update, requests).run()
    thread.join(_JOIN_SECONDS)
    reporter.update()
    if failures:
        raise failures[0]


def is_live_now(context: WorkerContext, camera: str, source: SourceSection) -> bool:
    """Whether a camera is live; a web server whose address may be either is probed.

    An address that looks like that of a recording is probed until the server answers, as the answer
    decides whether frames may be lost.
    """
    if kind_of(source.url) != "http" or source.kind != "auto":
        return is_live(source.url, source.kind)
    failures = 0
    while True:
        context.watchdog.beat()
        try:
            return is_endless(source.url, min(_PROBE_SECONDS, source.stall_timeout))
        except SourceError as error:
            later = error.code in ("refused", "timeout", "ended") and not is_live(source.url)
            if not later:
                return is_live(source.url)
            failures += 1
            LOG.warning("camera %s: %s: %s", camera, error.code, error)
            context.cameras.set(camera, "offline", error.code)
        if context.stop.wait(min(_LONGEST_PROBE_WAIT_SECONDS, backoff_seconds(failures, 0.5))):
            return is_live(source.url)


def mailbox_policy(source: SourceSection, live: bool) -> Policy:
    """What happens to frames that are not scored in time: by default, recordings wait."""
    if source.policy == "auto":
        return "newest" if live else "wait"
    return source.policy


def camera_supervisor(
    camera: str,
    source: SourceSection,
    first_connection: int,
    ring: PacketRing | None = None,
    on_damaged: DamageTap | None = None,
) -> CameraSupervisor:
    """The supervisor of the camera's source; recordings are read unpaced, the decoder paces them.

    Args:
        camera: Name of the camera.
        source: Where its frames come from.
        first_connection: Number of the first connection or pass.
        ring: Gets the packets of every connection; None: they are not kept.
        on_damaged: Called with the number of damaged pictures, which are left out.
    """
    options = SourceOptions(
        transport=source.transport,
        stall_timeout_seconds=source.stall_timeout,
        pace="fast",
        frames_per_second=source.fps,
        kind=source.kind,
        catch_up=source.policy != "wait",
    )

    def log_failure(error: SourceError) -> None:
        LOG.warning("camera %s: %s: %s", camera, error.code, error)

    def open_connection() -> Source:
        opened = open_source(source.url, options)
        if ring is not None and isinstance(opened, PacketSource):
            opened.on_packet = ring.start_stream()
        if isinstance(opened, DamageSource):
            opened.on_damaged = on_damaged
        return opened

    return CameraSupervisor(
        camera,
        open_connection,
        source.loop,
        first_connection,
        on_error=log_failure,
    )


def _damage_reporter(camera: str, metrics: Metrics) -> DamageTap:
    """A function that counts damaged pictures, and logs them at most once a minute."""
    counter = metrics.frames_dropped.labels(camera, "damaged")
    gate = RateGate(DAMAGE_LOG_SECONDS)

    def report(count: int) -> None:
        counter.inc(count)
        held_back = gate.count(time.monotonic())
        if held_back is not None:
            more = f" ({held_back} more before)" if held_back else ""
            LOG.warning("camera %s: a damaged picture, which is not scored%s", camera, more)

    return report


class HungSourceError(Exception):
    """A call of a source that does not return, and that nothing in this process can end."""


class Reporter:
    """Reports the state of the camera supervisor in metrics, heartbeats and the log."""

    def __init__(
        self,
        context: WorkerContext,
        supervisor: CameraSupervisor,
        live: bool,
        hung_seconds: float,
        blindness: BlindnessDetector | None = None,
        clock: Clock = PROCESS_CLOCK,
    ) -> None:
        """Start before the first picture.

        Args:
            context: Metrics and states of the cameras.
            supervisor: Of the camera.
            live: Whether a camera without pictures is stale.
            hung_seconds: A source whose call takes longer does not return at all.
            blindness: Says whether the pictures show anything.
            clock: For the age of the newest picture.
        """
        self._context = context
        self._supervisor = supervisor
        self._live = live
        self._hung_seconds = hung_seconds
        self._clock = clock
        self._blindness = blindness
        self._reported: CameraStatus | None = None
        self._stale: str | None = None
        self._received = 0
        self._late = 0
        self._received_at = self._clock.monotonic()
        self._reconnects: Counter[str] = Counter()

    def update(self) -> None:
        """Report what has changed; cheap, to be called often.

        Raises:
            HungSourceError: the source does not return; only a new process helps.
        """
        self._count()
        blocked_seconds = self._supervisor.blocked_seconds()
        if blocked_seconds > self._hung_seconds:
            raise HungSourceError(
                f"camera {self._supervisor.camera}: its source has not returned from a call for "
                f"{blocked_seconds:.0f} s; a new process tries again"
            )
        status = self._supervisor.status
        stale = self._stale_reason() if self._live and status.state == "watching" else None
        if (status, stale) == (self._reported, self._stale):
            return
        self._reported, self._stale = status, stale
        camera, state = self._supervisor.camera, "stale" if stale else status.state
        reason = stale or status.reason
        LOG.info("camera %s: %s", camera, f"{state}: {reason}" if reason else state)
        self._context.cameras.set(camera, state, reason)

    def _stale_reason(self) -> str | None:
        if self._clock.monotonic() - self._received_at > STALE_SECONDS:
            return f"no picture for {STALE_SECONDS:g} s"
        blind = None if self._blindness is None else self._blindness.reason
        return None if blind is None else REASONS[blind]

    def _count(self) -> None:
        camera, metrics = self._supervisor.camera, self._context.metrics
        received = self._supervisor.received
        if received > self._received:
            metrics.frames_received.labels(camera).inc(received - self._received)
            metrics.last_frame_timestamp_seconds.labels(camera).set(self._clock.unix())
            self._received, self._received_at = received, self._clock.monotonic()
        late = self._supervisor.late
        if late > self._late:
            metrics.frames_dropped.labels(camera, "late").inc(late - self._late)
            self._late = late
        for code, count in self._supervisor.reconnects.items():
            metrics.reconnects.labels(camera, code).inc(count - self._reconnects[code])
            self._reconnects[code] = count
