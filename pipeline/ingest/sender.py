"""The half of an ingest worker that owns the socket: from the mailbox to the scoring worker."""

import logging
import time
from collections.abc import Callable

from pipeline.ingest.in_flight import InFlight, ProgressFile
from pipeline.ingest.mailbox import Mailbox, QueuedFrame
from pipeline.ingest.pictures import PictureRequests
from pipeline.transport.frames import FrameSender
from pipeline.transport.messages import FrameMessage, Hello, Welcome
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

_HELLO_SECONDS = 0.5
_SILENCE_SECONDS = 1.0
_TURN_SECONDS = 0.05
_SAVE_SECONDS = 1.0
_DRAIN_SECONDS = 5.0


class Sender:
    """Keeps every frame until it is done, and asks by `Hello` when the scoring worker is silent."""

    def __init__(
        self,
        context: WorkerContext,
        camera: str,
        mailbox: Mailbox,
        port: FrameSender,
        progress: ProgressFile | None,
        tell: Callable[[], None],
        wish: PictureRequests | None = None,
    ) -> None:
        """Prepare to send.

        Args:
            context: Stop flag, metrics and incarnation.
            camera: Name of the camera.
            mailbox: Where its frames come from; closed by whoever fills it at the end.
            port: Open.
            progress: Where it is written how far the camera got; None: a live camera.
            tell: Called at every turn, some ten times a second and more.
            wish: Told whether the scorer wants a picture with every frame.
        """
        self._context = context
        self._camera = camera
        self._mailbox = mailbox
        self._port = port
        self._progress = progress
        self._tell = tell
        self._wish = wish or PictureRequests()
        self._in_flight = InFlight()
        self._heard_at = time.monotonic()
        self._hello_at = 0.0
        self._saved_at = 0.0
        self._save_fails = False

    def run(self) -> None:
        """Send until the mailbox is exhausted and everything is done, or stopped and late."""
        deadline: float | None = None
        while not (self._mailbox.exhausted and not self._in_flight.pending):
            now = time.monotonic()
            if self._context.stop.is_set():
                self._mailbox.close()
                deadline = deadline or now + _DRAIN_SECONDS
                if now > deadline:
                    LOG.warning(
                        "camera %s: stopped with %d frames not done",
                        self._camera,
                        self._in_flight.pending + self._mailbox.depth,
                    )
                    break
            self._turn(now)
            self._tell()
        self._save()

    def _turn(self, now: float) -> None:
        self._context.watchdog.beat()
        if self._in_flight.pending and now - self._heard_at > _SILENCE_SECONDS:
            self._in_flight.doubt()
        if not self._in_flight.welcomed and now - self._hello_at > _HELLO_SECONDS:
            self._hello_at = now
            self._port.hello(Hello(self._camera, self._context.incarnation))
        self._listen(0.0 if self._in_flight.credits else _TURN_SECONDS)
        if self._in_flight.credits and (queued_frame := self._mailbox.take(_TURN_SECONDS)):
            self._forward(queued_frame)
        if now - self._saved_at > _SAVE_SECONDS:
            self._saved_at = now
            self._save()

    def _listen(self, timeout_seconds: float) -> None:
        for message in self._port.poll(timeout_seconds):
            self._heard_at = time.monotonic()
            if isinstance(message, Welcome):
                self._post(self._in_flight.welcome(message))
            else:
                self._in_flight.done(message)
                self._wish.every = message.pictures

    def _forward(self, queued_frame: QueuedFrame) -> None:
        frame = queued_frame.frame
        message = FrameMessage(
            camera=frame.camera,
            connection=frame.connection,
            index=frame.index,
            pts_seconds=frame.pts_seconds,
            captured_at=frame.captured_at,
            sent_at=time.monotonic(),
            dropped=queued_frame.dropped,
            context=queued_frame.context,
            scorer=0,
            pixels=frame.pixels,
            blind=frame.blind,
            source_hw=None if frame.source_hw is None else list(frame.source_hw),
            picture=frame.picture,
        )
        if queued_frame.context:
            self._in_flight.remember(message)
            return
        if not self._in_flight.pending:
            self._heard_at = time.monotonic()  # silence is counted from the first frame on the way
        self._post(self._in_flight.send(message))

    def _post(self, messages: list[FrameMessage]) -> None:
        for message in messages:
            if not self._port.send(message):
                # What comes after must not overtake it: wait for a welcome, then send all again.
                self._in_flight.doubt()
                return

    def _save(self) -> None:
        if self._progress is None:
            return
        try:
            self._progress.save(self._in_flight.progress)
        except OSError as error:
            if not self._save_fails:  # once: a disk may be full for days
                LOG.warning("camera %s: progress cannot be kept: %s", self._camera, error)
            self._save_fails = True
        else:
            if self._save_fails:
                LOG.info("camera %s: progress is kept again", self._camera)
            self._save_fails = False
