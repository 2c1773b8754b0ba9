"""The ingest worker of one camera: pictures in, numbered frames out to the scoring worker.

Two threads. The decoder takes pictures as they come and puts frames into the mailbox; the sender
owns the socket and keeps every frame until it is done. A recording of which no frame may be lost
goes on where the last worker of the same run got to; a live camera cannot.
"""

import logging
import threading
import time
from collections import Counter
from contextlib import ExitStack

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
from pipeline.telemetry.log_rate_limit import RateGate
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.frames import FrameSender
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

MAILBOX_CAPACITY = 4
"""Frames of a recording that are decoded ahead."""
HUNG_STALLS = 3.0
"""After so many stall time-outs in one call a source is given up, and this process with it."""
LEAST_HUNG_SECONDS = 10.0
STALE_SECONDS = 3.0
"""A live camera without a picture for so long is called stale, though its connection stands."""
DAMAGE_LOG_SECONDS = 60.0
"""Damaged pictures of a camera are logged at most so often."""

_JOIN_SECONDS = 1.0
_ASK_SECONDS = 5.0
_LONGEST_ASK_AGAIN_SECONDS = 10.0


def run(context: WorkerContext) -> None:
    """Entry of the worker: watch one camera until its recording ends, or until told to stop.

    Raises:
        ValueError: the worker is for no camera, or the source's address is malformed.
    """
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
        LOG.info("camera %s: goes on after frame %d", camera, done.index)
    record = context.spec.config.record
    ring = ring_for(record, settings)
    on_damaged = _damage_teller(camera, context.metrics)
    supervisor = camera_supervisor(camera, settings.source, connection, ring, on_damaged)
    mailbox = Mailbox(policy, MAILBOX_CAPACITY)
    pace = "fast" if live else settings.source.pace
    masks = [mask.points for mask in settings.masks.values()]
    blindness = BlindnessDetector(settings.source.blind_after, masks) if live else None
    wish = PictureRequests()
    decoder = Decoder(camera, settings, mailbox, context.metrics, pace, done, blindness, wish)
    hung_seconds = max(LEAST_HUNG_SECONDS, HUNG_STALLS * settings.source.stall_timeout)
    reporter = Reporter(context, supervisor, live, hung_seconds, blindness)
    failures: list[Exception] = []

    def decode() -> None:
        try:
            pictures = supervisor.frames(context.stop)
            decoder.run(pictures if ring is None else marked(ring, pictures))
        except Exception as error:
            failures.append(error)

    # A daemon: a source that waits for its camera does not hold up the end of the process.
    thread = threading.Thread(target=decode, name="decoder", daemon=True)
    with ExitStack() as stack:
        port = stack.enter_context(FrameSender(run_info.endpoints, camera))
        if ring is not None:
            recorder = Recorder(run_info.endpoints, run_info.data_folder, camera, record, ring)
            stack.enter_context(recorder)
        thread.start()
        context.ready.set()  # also where the camera is not there: its state says so
        Sender(context, camera, mailbox, port, progress, reporter.tell, wish).run()
    thread.join(_JOIN_SECONDS)
    reporter.tell()
    if failures:
        raise failures[0]


def is_live_now(context: WorkerContext, camera: str, source: SourceSection) -> bool:
    """Whether a camera is live; a web server whose address might be either is asked.

    While nobody answers, an address that looks like a recording's is asked again and again: what
    it is decides whether frames may be lost.
    """
    if kind_of(source.url) != "http" or source.kind != "auto":
        return is_live(source.url, source.kind)
    failures = 0
    while True:
        context.watchdog.beat()
        try:
            return is_endless(source.url, min(_ASK_SECONDS, source.stall_timeout))
        except SourceError as error:
            later = error.code in ("refused", "timeout", "ended") and not is_live(source.url)
            if not later:
                return is_live(source.url)
            failures += 1
            LOG.warning("camera %s: %s: %s", camera, error.code, error)
            context.cameras.set(camera, "offline", error.code)
        if context.stop.wait(min(_LONGEST_ASK_AGAIN_SECONDS, backoff_seconds(failures, 0.5))):
            return is_live(source.url)


def mailbox_policy(source: SourceSection, live: bool) -> Policy:
    """What happens to frames for which scoring has no time: by default, recordings wait."""
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
    """What keeps the camera's source open; recordings come unpaced, the decoder paces them.

    Args:
        camera: Name of the camera.
        source: Where its frames come from.
        first_connection: Number of the first connection or pass.
        ring: Is given the packets of every connection; None: nobody keeps them.
        on_damaged: Told of pictures that were damaged, and so are not handed on.
    """
    options = SourceOptions(
        transport=source.transport,
        stall_timeout_seconds=source.stall_timeout,
        pace="fast",
        frames_per_second=source.fps,
        kind=source.kind,
        catch_up=source.policy != "wait",
    )

    def tell_failure(error: SourceError) -> None:
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
        on_error=tell_failure,
    )


def _damage_teller(camera: str, metrics: Metrics) -> DamageTap:
    """Counts damaged pictures, and logs them at most once a minute."""
    counter = metrics.frames_dropped.labels(camera, "damaged")
    gate = RateGate(DAMAGE_LOG_SECONDS)

    def tell(count: int) -> None:
        counter.inc(count)
        held_back = gate.count(time.monotonic())
        if held_back is not None:
            more = f" ({held_back} more before)" if held_back else ""
            LOG.warning("camera %s: a damaged picture, which is not scored%s", camera, more)

    return tell


class HungSourceError(Exception):
    """A call into a source that does not come back, and that nothing in this process can end."""


class Reporter:
    """Carries what the camera supervisor knows into metrics, heartbeats and the log."""

    def __init__(
        self,
        context: WorkerContext,
        supervisor: CameraSupervisor,
        live: bool,
        hung_seconds: float,
        blindness: BlindnessDetector | None = None,
    ) -> None:
        """Start before the first picture.

        Args:
            context: Where to tell.
            supervisor: Of whom to tell.
            live: Whether silence means that the camera is stale.
            hung_seconds: A source that does not return for so long will not return.
            blindness: Knows whether pictures that arrive show anything.
        """
        self._context = context
        self._supervisor = supervisor
        self._live = live
        self._hung_seconds = hung_seconds
        self._blindness = blindness
        self._told: CameraStatus | None = None
        self._stale: str | None = None
        self._received = 0
        self._late = 0
        self._received_at = time.monotonic()
        self._reconnects: Counter[str] = Counter()

    def tell(self) -> None:
        """Tell what is new; cheap, to be called often.

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
        if (status, stale) == (self._told, self._stale):
            return
        self._told, self._stale = status, stale
        camera, state = self._supervisor.camera, "stale" if stale else status.state
        reason = stale or status.reason
        LOG.info("camera %s: %s", camera, f"{state}: {reason}" if reason else state)
        self._context.cameras.set(camera, state, reason)

    def _stale_reason(self) -> str | None:
        if time.monotonic() - self._received_at > STALE_SECONDS:
            return f"no picture for {STALE_SECONDS:g} s"
        blind = None if self._blindness is None else self._blindness.reason
        return None if blind is None else REASONS[blind]

    def _count(self) -> None:
        camera, metrics = self._supervisor.camera, self._context.metrics
        received = self._supervisor.received
        if received > self._received:
            metrics.frames_received.labels(camera).inc(received - self._received)
            metrics.last_frame_timestamp_seconds.labels(camera).set(time.time())
            self._received, self._received_at = received, time.monotonic()
        late = self._supervisor.late
        if late > self._late:
            metrics.frames_dropped.labels(camera, "late").inc(late - self._late)
            self._late = late
        for code, count in self._supervisor.reconnects.items():
            metrics.reconnects.labels(camera, code).inc(count - self._reconnects[code])
            self._reconnects[code] = count
