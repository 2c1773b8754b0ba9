"""The decoding half of an ingest worker: samples, numbers and scales pictures for the mailbox."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cameras.blindness import BlindnessDetector
from cameras.bursts import BurstSmoother
from cameras.frame import Frame
from cameras.pacing import Pace, Pacer
from cameras.sampling import Sampler, paint_masks, resize
from cameras.shown_picture import encode
from cameras.source import Picture
from pipeline.config import Camera
from pipeline.ingest.in_flight import Progress
from pipeline.ingest.mailbox import Mailbox
from pipeline.ingest.pictures import PictureRequests
from pipeline.ingest.playout import Playout
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, eq=False)
class NumberedPicture:
    """A sampled picture and its number, before its pixels are scaled and masked."""

    connection: int
    index: int
    picture: Picture
    context: bool
    """True: done by an earlier process of this worker; only fills the clips of later frames."""


def number(
    pictures: Iterable[tuple[int, Picture]],
    sampler: Callable[[], Sampler],
    done: Progress | None = None,
) -> Iterator[NumberedPicture]:
    """Sample the pictures, and number the samples from 0 in each connection.

    The numbers depend on the pictures only: a frame of a file gets the same number however often
    the file is started again.

    Args:
        pictures: Connection and picture, in order.
        sampler: Makes the sampler of one connection.
        done: Where to continue; earlier frames are counted and not yielded, except the context.
    """
    connection: int | None = None
    index = 0
    sample = sampler()
    for current, picture in pictures:
        if current != connection:
            connection, index, sample = current, 0, sampler()
        if not sample.accept(picture.pts_seconds):
            continue
        place = current, index
        index += 1
        if done is not None and place < (done.connection, done.context_index):
            continue
        context = done is not None and place <= (done.connection, done.index)
        yield NumberedPicture(*place, picture, context)


class Decoder:
    """Fills the mailbox of one camera, and closes it after the last frame."""

    def __init__(
        self,
        camera: str,
        settings: Camera,
        mailbox: Mailbox,
        metrics: Metrics,
        pace: Pace,
        done: Progress | None,
        blindness: BlindnessDetector | None = None,
        picture_requests: PictureRequests | None = None,
        clock: Clock = PROCESS_CLOCK,
    ) -> None:
        """Prepare to decode.

        Args:
            camera: Name of the camera.
            settings: Its part of the configuration.
            mailbox: Where the frames go.
            metrics: Where latencies and losses are counted.
            pace: "live" delays frames of a recording until their time.
            done: The progress of an earlier worker.
            blindness: Checks pictures for a blind camera; None: they are not checked.
            picture_requests: Which frames get a picture for people.
            clock: For latencies, playout and the time of capture.
        """
        self._camera = camera
        self._settings = settings
        self._mailbox = mailbox
        self._metrics = metrics
        self._pace = pace
        self._pacer = Pacer(pace)
        self._paced_connection: int | None = None
        self._smoother = BurstSmoother()
        self._clock = clock
        self._playout = Playout(self._deliver, clock.monotonic)
        self._done = done
        self._blindness = blindness
        self._picture_requests = picture_requests or PictureRequests()
        self._polygons = [mask.points for mask in settings.masks.values()]

    def run(self, pictures: Iterable[tuple[int, Picture]]) -> None:
        """Move pictures until they end or the mailbox is closed.

        Args:
            pictures: Connection and picture, in order.
        """
        rate = self._settings.detect.fps
        try:
            for numbered in number(self._checked(pictures), lambda: Sampler(rate), self._done):
                if not self._put(numbered):
                    return
        finally:
            self._playout.close()
            self._mailbox.close()

    def _checked(self, pictures: Iterable[tuple[int, Picture]]) -> Iterator[tuple[int, Picture]]:
        for connection, picture in pictures:
            watch, now = self._blindness, self._clock.monotonic()
            if watch is not None and watch.is_due(now, picture.keyframe):
                watch.update(now, picture.pixels, picture.keyframe)
            yield connection, picture

    def _put(self, numbered: NumberedPicture) -> bool:
        if not numbered.context:
            self._pace_recording(numbered)
        begin = self._clock.monotonic()
        pixels = paint_masks(numbered.picture.pixels, self._polygons)
        picture = encode(pixels) if self._picture_requests.take() else None
        frame = Frame(
            camera=self._camera,
            connection=numbered.connection,
            index=numbered.index,
            pts_seconds=numbered.picture.pts_seconds,
            captured_at=numbered.picture.captured_at
            if self._pace == "fast"
            else self._clock.unix(),
            pixels=resize(pixels, self._settings.detect.size_hw),
            blind=None if self._blindness is None else self._blindness.reason,
            source_hw=(pixels.shape[0], pixels.shape[1]),
            picture=picture,
        )
        self._observe("prepare", self._clock.monotonic() - begin)
        if self._pace == "live" or self._mailbox.policy == "wait":
            return self._deliver(frame, numbered.context)
        if numbered.connection != self._paced_connection:
            self._paced_connection, self._smoother = numbered.connection, BurstSmoother()
        due = self._smoother.due_seconds(frame.pts_seconds, begin)
        return self._playout.offer(frame, due)

    def _deliver(self, frame: Frame, context: bool = False) -> bool:
        lost = self._mailbox.put(frame, context)
        if lost is frame:
            return False
        if lost is not None:
            if lost.picture is not None:
                self._picture_requests.lost()
            self._metrics.frames_dropped.labels(self._camera, "replaced").inc()
        self._metrics.queue_depth.labels(self._camera, "send").set(self._mailbox.depth)
        return True

    def _pace_recording(self, numbered: NumberedPicture) -> None:
        # Not by the source, so that frames that are skipped after a restart take no time.
        if numbered.connection != self._paced_connection:
            self._paced_connection = numbered.connection
            self._pacer = Pacer(self._pace)
        self._pacer.wait_until(numbered.picture.pts_seconds)

    def _observe(self, stage: str, seconds: float) -> None:
        self._metrics.stage_latency_seconds.labels(stage).observe(seconds)
