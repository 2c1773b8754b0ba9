"""The sending half of an ingest worker: from the mailbox to the scoring worker."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.ingest.in_flight import InFlight, ProgressFile
from pipeline.ingest.mailbox import Mailbox, QueuedFrame
from pipeline.ingest.pictures import PictureRequests
from pipeline.transport.frames import FrameSender
from pipeline.transport.messages import FrameMessage, Hello, Welcome
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SenderTimes:
    """Times of the sender in seconds, monotonic clock."""

    hello: float = 0.5
    """Between two `Hello` without a `Welcome`."""
    silence: float = 1.0
    """Without an answer to frames in flight, after which they are sent again."""
    turn: float = 0.05
    """Longest wait for an answer or for a frame."""
    save: float = 1.0
    """Between two writes of the progress."""
    drain: float = 5.0
    """Longest time to finish the frames in flight when the worker is stopped."""


TIMES = SenderTimes()


class Sender:
    """Keeps every frame until it is done; sends `Hello` when the scoring worker is silent."""

    def __init__(
        self,
        context: WorkerContext,
        camera: str,
        mailbox: Mailbox,
        port: FrameSender,
        progress: ProgressFile | None,
        on_turn: Callable[[], None],
        picture_requests: PictureRequests | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to send.

        Args:
            context: Stop flag, metrics and incarnation.
            camera: Name of the camera.
            mailbox: Where its frames come from; is closed after the last one.
            port: Open.
            progress: Where the progress is written; None: a live camera.
            on_turn: Called at every turn, at least some ten times a second.
            picture_requests: Set to whether the scorer requests a picture with every frame.
            monotonic: Clock in seconds.
        """
        self._context = context
        self._camera = camera
        self._mailbox = mailbox
        self._port = port
        self._progress = progress
        self._on_turn = on_turn
        self._picture_requests = picture_requests or PictureRequests()
        self._monotonic = monotonic
        self._in_flight = InFlight()
        self._received_at = self._monotonic()
        self._hello_at = 0.0
        self._saved_at = 0.0
        self._save_fails = False

    def run(self) -> None:
        """Send until the mailbox is exhausted and everything is done, or stopped and late."""
        deadline: float | None = None
        while not (self._mailbox.exhausted and not self._in_flight.pending):
            now = self._monotonic()
            if self._context.stop.is_set():
                self._mailbox.close()
                deadline = deadline or now + TIMES.drain
                if now > deadline:
                    LOG.warning(
                        "camera %s: stopped with %d frames not done",
                        self._camera,
                        self._in_flight.pending + self._mailbox.depth,
                    )
                    break
            self._turn(now)
            self._on_turn()
        self.save_progress()

    def _turn(self, now: float) -> None:
        self._context.watchdog.beat()
        if self._in_flight.pending and now - self._received_at > TIMES.silence:
            self._in_flight.pause_until_handshake()
        if not self._in_flight.welcomed and now - self._hello_at > TIMES.hello:
            self._hello_at = now
            self._port.hello(Hello(self._camera, self._context.incarnation))
        self._receive(0.0 if self._in_flight.credits else TIMES.turn)
        if self._in_flight.credits and (queued_frame := self._mailbox.take(TIMES.turn)):
            self._send(queued_frame)
        if now - self._saved_at > TIMES.save:
            self._saved_at = now
            self.save_progress()

    def _receive(self, timeout_seconds: float) -> None:
        for message in self._port.poll(timeout_seconds):
            self._received_at = self._monotonic()
            if isinstance(message, Welcome):
                self._send_all(self._in_flight.welcome(message))
            else:
                self._in_flight.done(message)
                self._picture_requests.every = message.pictures

    def _send(self, queued_frame: QueuedFrame) -> None:
        frame = queued_frame.frame
        message = FrameMessage(
            camera=frame.camera,
            connection=frame.connection,
            index=frame.index,
            pts_seconds=frame.pts_seconds,
            captured_at=frame.captured_at,
            sent_at=self._monotonic(),
            dropped=queued_frame.dropped,
            context=queued_frame.context,
            scorer=0,
            pixels=frame.pixels,
            blind=frame.blind,
            source_hw=None if frame.source_hw is None else list(frame.source_hw),
            picture=frame.picture,
        )
        if queued_frame.context:
            self._in_flight.add_context(message)
            return
        if not self._in_flight.pending:
            self._received_at = self._monotonic()  # silence counts from the first frame in flight
        self._send_all(self._in_flight.send(message))

    def _send_all(self, messages: list[FrameMessage]) -> None:
        for message in messages:
            if not self._port.send(message):
                # Later frames must not overtake it: wait for a `Welcome`, then send all again.
                self._in_flight.pause_until_handshake()
                return

    def save_progress(self) -> None:
        """Write how far the camera got, if that has changed; a full disk is logged once."""
        if self._progress is None:
            return
        try:
            self._progress.save(self._in_flight.progress)
        except OSError as error:
            if not self._save_fails:  # once: a disk may be full for days
                LOG.warning("camera %s: progress cannot be written: %s", self._camera, error)
            self._save_fails = True
        else:
            if self._save_fails:
                LOG.info("camera %s: progress is written again", self._camera)
            self._save_fails = False
