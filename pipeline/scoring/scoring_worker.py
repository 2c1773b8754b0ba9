"""The scoring worker: frames of all cameras in, scores out.

Frames are taken in order for each camera; a batch holds at most one frame of a camera, so that what
a frame taught its scene is known to the next. A frame is answered `Done` only when the sink has
acknowledged its score, and so whoever dies, somebody still has it.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from models import SceneScorer
from models.calibration import Calibration
from pipeline.config import Camera
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scoring.camera_scorer import ReadyFrame, UnusableFrameError
from pipeline.scoring.camera_set import CameraSet
from pipeline.scoring.command_handler import CommandHandler, NewestFrame
from pipeline.scoring.score_message import (
    PICTURE_RATIO,
    in_units_of_score,
    score_message,
    terms_of_score,
)
from pipeline.scoring.scoring_batch import BatchItem, score_clips
from pipeline.scoring.view_changes import camera_state
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.control import ControlMember, read_cameras
from pipeline.transport.frames import FrameReceiver
from pipeline.transport.messages import CameraTable, Done, FrameMessage, Hello, Welcome
from pipeline.transport.ports import wait
from pipeline.transport.scores import ScoreSender
from pipeline.worker import PermanentError, WorkerContext

LOG = logging.getLogger(__name__)

CREDITS = 4
"""Frames of a camera on the way and not done: enough to hide the way to the sink and back, few
enough that a live camera's frames are not old before their turn comes."""

_IDLE_SECONDS = 0.1
_DRAIN_SECONDS = 8.0
_PICTURES_SECONDS = 5.0
_OLDEST_PICTURE_SECONDS = 2.0


def run(context: WorkerContext) -> None:
    """Entry of the worker: score until told to stop, then finish what is in hand.

    Raises:
        PermanentError: the weights cannot be used, or the model cannot score a clip, or there is
            no such device.
    """
    scoring = context.spec.config.scoring
    if scoring.threads is not None:
        torch.set_num_threads(scoring.threads)
    try:
        scorer = SceneScorer.load(scoring.weights, scoring.device)
    except ValueError as error:
        raise PermanentError(str(error)) from error
    cameras = context.spec.config.cameras.values()
    for size_hw in sorted({camera.detect.size_hw for camera in cameras} or {scorer.config.size_hw}):
        try_model(scorer, size_hw)
    LOG.info("model %s (%s) on %s", scorer.config.preset, scorer.model_id, scorer.device)
    endpoints = context.spec.run.endpoints
    spec = context.spec
    with (
        FrameReceiver(endpoints) as frames,
        ScoreSender(endpoints) as scores,
        ControlMember(endpoints, spec.name, spec.revision) as control,
    ):
        ScoringWorker(context, scorer, frames, scores, control).run()


def try_model(scorer: SceneScorer, size_hw: tuple[int, int]) -> None:
    """Adapt to one clip of noise and score it: a model that cannot never will.

    Args:
        scorer: The model.
        size_hw: Of the pictures, in pixels.

    Raises:
        PermanentError: it cannot; the text says at what size, and why.
        torch.OutOfMemoryError: the device is full, which may pass.
    """
    config = scorer.config
    noise = torch.Generator().manual_seed(0)
    clip = torch.randint(
        256, (1, config.clip_length, *size_hw, 3), dtype=torch.uint8, generator=noise
    )
    try:
        scorer.score(clip, [scorer.adapt(clip)])
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError) as error:
        raise PermanentError(
            f"scoring.weights: a model of preset {config.preset} that cannot score "
            f"{config.clip_length} frames of {size_hw[1]}x{size_hw[0]}: {error}; "
            "choose other weights, or another detect.width and detect.height"
        ) from error


class ScoringWorker:
    """Owns one camera scorer a camera and moves frames through them."""

    def __init__(
        self,
        context: WorkerContext,
        scorer: SceneScorer,
        frames: FrameReceiver,
        scores: ScoreSender,
        control: ControlMember | None = None,
    ) -> None:
        """Make the camera scorers and load the kept scenes.

        Args:
            context: Configuration, stop flag and metrics.
            scorer: The model.
            frames: Open.
            scores: Open.
            control: Open; None: nobody changes or commands anything.
        """
        self._context = context
        self._metrics = context.metrics
        self._scorer = scorer
        self._frames = frames
        self._scores = scores
        self._control = control
        self._seen: dict[str, NewestFrame] = {}
        self._newest: dict[str, NewestFrame] = {}
        self._pictures_until: dict[str, float] = {}
        self._camera_scorers = CameraSet(context, scorer, context.spec.config.cameras)
        self._served: dict[str, int] = {}
        self._batches = 0
        self._floods = LimitedWarning(LOG)

    def run(self) -> None:
        """Work until stopped; then finish what is in hand, and leave the rest to a successor."""
        self._context.ready.set()
        try:
            while not self._stopping:
                self._step()
            deadline = time.monotonic() + _DRAIN_SECONDS
            while self._busy and time.monotonic() < deadline:
                self._step()
        finally:
            self._camera_scorers.close()

    def _step(self) -> None:
        self._context.watchdog.beat()
        ready = any(camera_scorer.ready for camera_scorer in self._camera_scorers.values())
        self._listen(0.0 if ready else _IDLE_SECONDS)
        self._obey()
        self._camera_scorers.settle()
        self._work()
        self._camera_scorers.builder.tell_ages()

    def _obey(self) -> None:
        """Take new cameras, and do what is asked for."""
        if self._control is None:
            return
        command_handler = CommandHandler(
            self._camera_scorers, self._seen, self._newest, self._want_pictures
        )
        for message in self._control.poll():
            if isinstance(message, CameraTable):
                self._work_by(read_cameras(message))
                self._control.acknowledge_revision(message.revision)
            else:
                self._control.answer(command_handler.carry_out(message))

    def _work_by(self, cameras: Mapping[str, Camera]) -> None:
        for name in self._camera_scorers.work_by(cameras):
            self._served.pop(name, None)
            self._seen.pop(name, None)
            self._newest.pop(name, None)
            self._pictures_until.pop(name, None)
            self._context.cameras.remove(name)
            self._metrics.remove_camera(name)

    @property
    def _stopping(self) -> bool:
        return self._context.stop.is_set()

    @property
    def _busy(self) -> bool:
        return self._scores.unacknowledged > 0 or any(
            camera_scorer.depth for camera_scorer in self._camera_scorers.values()
        )

    def _listen(self, timeout_seconds: float) -> None:
        ports = (self._frames, self._scores, *([self._control] if self._control else []))
        wait(timeout_seconds, *ports)
        for message in self._frames.poll(0.0):
            if self._stopping:
                continue  # nobody is promised anything any more
            if isinstance(message, Hello):
                self._greet(message)
            else:
                self._take(message)
        for ack in self._scores.poll(0.0):
            self._metrics.frames_scored.labels(ack.camera).inc()
            self._finish(ack.camera, ack.connection, ack.index)

    def _greet(self, hello: Hello) -> None:
        if hello.camera not in self._camera_scorers:
            self._floods.warn(f"camera {hello.camera!r:.80}: not in the configuration, ignored")
            return
        reach = self._scorer.config.clip_seconds
        self._frames.welcome(hello.camera, Welcome(self._context.incarnation, CREDITS, reach))

    def _take(self, frame: FrameMessage) -> None:
        camera_scorer = self._camera_scorers.get(frame.camera)
        # Frames for a predecessor come again once their ingest worker is greeted.
        if camera_scorer is None or frame.scorer != self._context.incarnation:
            return
        if camera_scorer.take(frame):
            self._done(frame.camera, frame.connection, frame.index)
        self._metrics.queue_depth.labels(frame.camera, "score").set(camera_scorer.depth)

    def _finish(self, camera: str, connection: int, index: int) -> None:
        if (
            camera in self._camera_scorers
        ):  # else it is gone, and so is whoever waited for the answer
            self._camera_scorers[camera].finish(connection, index)
        self._done(camera, connection, index)

    def _done(self, camera: str, connection: int, index: int) -> None:
        wanted = time.monotonic() < self._pictures_until.get(camera, 0.0)
        self._frames.done(camera, Done(connection, index, wanted))

    def _work(self) -> None:
        """Serve one frame of each of the cameras that were not served for longest."""
        waiting = [
            name for name, camera_scorer in self._camera_scorers.items() if camera_scorer.ready
        ]
        waiting.sort(key=lambda camera: self._served.get(camera, 0))
        self._batches += 1
        groups: dict[tuple[int, ...], list[ReadyFrame]] = defaultdict(list)
        looked: list[ReadyFrame] = []
        for camera in waiting[: self._context.spec.config.scoring.max_batch]:
            self._served[camera] = self._batches
            work = self._advance(camera)
            if work is None:
                continue
            self._observe("queue", time.monotonic() - work.frame.sent_at)
            looked.append(work)
            if work.waiting is None:
                groups[work.clip.shape].append(work)
                continue
            self._send(work.frame, work.waiting)
            if self._camera_scorers[camera].adaptation.state == "fitting":
                self._camera_scorers.builder.fit(camera, self._camera_scorers[camera].adaptation)
        for group in groups.values():
            self._score(group)
        for work in looked:
            self._camera_scorers.look(work)

    def _advance(self, camera: str) -> ReadyFrame | None:
        camera_scorer = self._camera_scorers[camera]
        cuts = camera_scorer.cuts
        try:
            return camera_scorer.advance()
        except UnusableFrameError as error:
            self._drop(error.frame, str(error))
            return None
        finally:
            self._metrics.discontinuities.labels(camera).inc(camera_scorer.cuts - cuts)

    def _drop(self, frame: FrameMessage, reason: str) -> None:
        self._floods.warn(f"{reason}; dropped")
        self._metrics.frames_dropped.labels(frame.camera, "unusable").inc()
        self._finish(frame.camera, frame.connection, frame.index)

    def _score(self, group: list[ReadyFrame]) -> None:
        begin = time.monotonic()
        scored = score_clips(
            self._scorer,
            [
                BatchItem(
                    work.clip,
                    self._camera_scorers.scene(name),
                    self._camera_scorers[name].stillness,
                    work.ages,
                )
                for work, name in ((work, work.frame.camera) for work in group)
            ],
        )
        self._observe("score", time.monotonic() - begin)
        self._metrics.batch_size.observe(len(group))
        for work, result in zip(group, scored, strict=True):
            energy = float(result.energies[0])
            if not math.isfinite(energy):
                self._drop(
                    work.frame, f"camera {work.frame.camera}: energy {energy}, want a number"
                )
                continue
            calibration = self._camera_scorers[work.frame.camera].adaptation.calibration
            judgement = self._camera_scorers.judge(work, result)
            terms = result.explain(0)
            self._send(work.frame, judgement, calibration, result.maps[0].numpy(), terms)

    def _send(
        self,
        frame: FrameMessage,
        judgement: ScoredFrame,
        calibration: Calibration | None = None,
        cells: npt.NDArray[np.float32] | None = None,
        parts: Mapping[str, float] | None = None,
    ) -> None:
        state = camera_state(judgement.state)
        self._context.cameras.set(frame.camera, state, judgement.progress)
        learning = self._camera_scorers[frame.camera].adaptation.learning
        self._context.cameras.set_learning(frame.camera, learning.as_json())
        score, threshold = judgement.score, judgement.threshold
        if score is not None and threshold is not None:
            self._metrics.anomaly_score.labels(frame.camera).set(score)
            self._metrics.anomaly_threshold.labels(frame.camera).set(threshold)
        anomaly_map, terms = None, None
        if cells is not None and parts is not None and calibration is not None:
            anomaly_map = in_units_of_score(cells, calibration)
            terms = terms_of_score(parts, calibration)
        self._remember_seen(NewestFrame(frame, score, anomaly_map))
        enter = self._camera_scorers.cameras[frame.camera].lowest_enter
        if score is not None and score >= PICTURE_RATIO * enter:
            self._want_pictures(frame.camera)
        self._metrics.normal_seconds.labels(frame.camera).set(learning.normal_seconds)
        self._metrics.trusted.labels(frame.camera).set(learning.trusted)
        self._scores.send(
            score_message(frame, judgement, anomaly_map, enter, time.time(), learning, terms)
        )

    def _want_pictures(self, camera: str) -> None:
        self._pictures_until[camera] = time.monotonic() + _PICTURES_SECONDS

    def _remember_seen(self, seen: NewestFrame) -> None:
        """Keep the newest frame for people: with a picture, unless those have become rare."""
        self._newest[seen.frame.camera] = seen
        before = self._seen.get(seen.frame.camera)
        if (
            before is None
            or seen.frame.picture is not None
            or before.frame.picture is None
            or seen.frame.captured_at - before.frame.captured_at > _OLDEST_PICTURE_SECONDS
        ):
            self._seen[seen.frame.camera] = seen

    def _observe(self, stage: str, seconds: float) -> None:
        self._metrics.stage_latency_seconds.labels(stage).observe(max(0.0, seconds))
