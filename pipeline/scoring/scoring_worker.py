"""The scoring worker: frames of all cameras in, scores out.

Frames are scored in order for each camera; a batch holds at most one frame of a camera, so that
what its scene learns from a frame counts for the next one. A frame is answered `Done` only when the
sink has acknowledged its score: whichever process ends, another one still has the frame or score.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping

import torch

from models import SceneScorer
from pipeline.config import Camera
from pipeline.scoring.camera_scorer import CameraScorer, JudgedFrame
from pipeline.scoring.camera_set import CameraSet
from pipeline.scoring.command_handler import CommandHandler
from pipeline.scoring.frame_stepper import ReadyFrame, UnusableFrameError
from pipeline.scoring.loading import load_scorer
from pipeline.scoring.scoring_batch import score_clips
from pipeline.scoring.view_changes import camera_state
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.control import ControlMember, read_cameras
from pipeline.transport.frames import FrameReceiver
from pipeline.transport.messages import CameraTable, Done, FrameMessage, Hello, Welcome
from pipeline.transport.ports import wait
from pipeline.transport.scores import ScoreSender
from pipeline.worker import PermanentError, WorkerContext

LOG = logging.getLogger(__name__)

CREDITS = 4
"""Frames of a camera that are sent and not done: enough to hide the latency to the sink and back,
few enough that the frames of a live camera are not old when they are scored."""

_IDLE_SECONDS = 0.1
"""Longest wait for messages while no frame is ready."""
_DRAIN_SECONDS = 8.0
"""Longest time to finish the frames in hand, after which they are left to a successor."""


def run(context: WorkerContext) -> None:
    """Entry of the worker: score until it is stopped, then finish the frames in hand.

    Raises:
        PermanentError: the weights cannot be used, the model cannot score a clip, or there is no
            such device.
    """
    scoring = context.spec.config.scoring
    try:
        scorer = load_scorer(scoring.weights, scoring.device, scoring.threads)
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
    """Adapt to one clip of noise and score it.

    Args:
        scorer: The model.
        size_hw: Size of the frames, in pixels.

    Raises:
        PermanentError: the model cannot; the text says at what size, and why.
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


_Work = tuple[CameraScorer, ReadyFrame]


class ScoringWorker:
    """Moves frames through the camera scorers, and scores to the sink."""

    def __init__(
        self,
        context: WorkerContext,
        scorer: SceneScorer,
        frames: FrameReceiver,
        scores: ScoreSender,
        control: ControlMember | None = None,
        clock: Clock = PROCESS_CLOCK,
    ) -> None:
        """Open the camera scorers and load the stored scenes.

        Args:
            context: Configuration, stop flag and metrics.
            scorer: The model.
            frames: Open.
            scores: Open.
            control: Open; None: there are no commands, and the cameras stay the same.
            clock: For waits, latencies and times of use.
        """
        self._context = context
        self._metrics = context.metrics
        self._scorer = scorer
        self._frames = frames
        self._scores = scores
        self._control = control
        self._clock = clock
        self._cameras = CameraSet(context, scorer, context.spec.config.cameras, self._clock)
        self._command_handler = CommandHandler(self._cameras)
        self._batches = 0
        self._floods = LimitedWarning(LOG)

    @property
    def cameras(self) -> CameraSet:
        """The camera scorers by name."""
        return self._cameras

    def run(self) -> None:
        """Work until stopped; then finish the frames in hand, and leave others to a successor."""
        self._context.ready.set()
        try:
            while not self._stopping:
                self._step()
            deadline = self._clock.monotonic() + _DRAIN_SECONDS
            while self._busy and self._clock.monotonic() < deadline:
                self._step()
        finally:
            self._cameras.close()

    def apply_cameras(self, cameras: Mapping[str, Camera]) -> None:
        """Attach, change and detach cameras; nothing of a detached one stays in memory."""
        for name in self._cameras.apply_cameras(cameras):
            self._context.cameras.remove(name)
            self._metrics.remove_camera(name)

    def _step(self) -> None:
        self._context.watchdog.beat()
        ready = any(camera.stepper.ready for camera in self._cameras.values())
        self._receive(0.0 if ready else _IDLE_SECONDS)
        self._handle_commands()
        self._cameras.apply_results()
        self._score_next()
        for camera in self._cameras.values():
            camera.update_age()

    def _handle_commands(self) -> None:
        if self._control is None:
            return
        for message in self._control.poll():
            if isinstance(message, CameraTable):
                self.apply_cameras(read_cameras(message))
                self._control.acknowledge_revision(message.revision)
            else:
                self._control.answer(self._command_handler.handle(message))

    @property
    def _stopping(self) -> bool:
        return self._context.stop.is_set()

    @property
    def _busy(self) -> bool:
        return self._scores.unacknowledged > 0 or any(
            one.stepper.depth for one in self._cameras.values()
        )

    def _receive(self, timeout_seconds: float) -> None:
        ports = (self._frames, self._scores, *([self._control] if self._control else []))
        wait(timeout_seconds, *ports)
        for message in self._frames.poll(0.0):
            if self._stopping:
                continue  # these frames are left to a successor
            if isinstance(message, Hello):
                self._welcome(message)
            else:
                self._take(message)
        for ack in self._scores.poll(0.0):
            if ack.camera in self._cameras:  # else its metric series were removed
                self._metrics.frames_scored.labels(ack.camera).inc()
            self._finish(ack.camera, ack.connection, ack.index)

    def _welcome(self, hello: Hello) -> None:
        if hello.camera not in self._cameras:
            self._floods.warn(f"camera {hello.camera!r:.80}: not in the configuration, ignored")
            return
        reach = self._scorer.config.clip_seconds
        self._frames.welcome(hello.camera, Welcome(self._context.incarnation, CREDITS, reach))

    def _take(self, frame: FrameMessage) -> None:
        camera = self._cameras.get(frame.camera)
        # Frames for a predecessor are sent again once their ingest worker has the `Welcome`.
        if camera is None or frame.scorer != self._context.incarnation:
            return
        if camera.take(frame):
            self._send_done(frame.camera, frame.connection, frame.index)

    def _finish(self, camera: str, connection: int, index: int) -> None:
        if camera in self._cameras:  # else it was detached
            self._cameras[camera].stepper.finish(connection, index)
        self._send_done(camera, connection, index)

    def _send_done(self, camera: str, connection: int, index: int) -> None:
        wanted = camera in self._cameras and self._cameras[camera].wants_pictures
        self._frames.done(camera, Done(connection, index, wanted))

    def _score_next(self) -> None:
        """Score one frame of each of the cameras that were not served for longest."""
        waiting = [camera for camera in self._cameras.values() if camera.stepper.ready]
        waiting.sort(key=lambda camera: camera.served)
        self._batches += 1
        groups: dict[tuple[int, ...], list[_Work]] = defaultdict(list)
        advanced: list[_Work] = []
        for camera in waiting[: self._context.spec.config.scoring.max_batch]:
            camera.served = self._batches
            work = self._advance(camera)
            if work is None:
                continue
            self._observe("queue", self._clock.monotonic() - work.frame.sent_at)
            advanced.append((camera, work))
            if work.waiting is None:
                groups[work.clip.shape].append((camera, work))
            else:
                self._send(camera, camera.judge(work))
        for group in groups.values():
            self._score(group)
        for camera, work in advanced:
            camera.follow_up(work)

    def _advance(self, camera: CameraScorer) -> ReadyFrame | None:
        try:
            return camera.advance()
        except UnusableFrameError as error:
            self._drop(error.frame, str(error))
            return None

    def _drop(self, frame: FrameMessage, reason: str) -> None:
        self._floods.warn(f"{reason}; dropped")
        self._metrics.frames_dropped.labels(frame.camera, "unusable").inc()
        self._finish(frame.camera, frame.connection, frame.index)

    def _score(self, group: list[_Work]) -> None:
        begin = self._clock.monotonic()
        scored = score_clips(self._scorer, [camera.item(work) for camera, work in group])
        self._observe("score", self._clock.monotonic() - begin)
        self._metrics.batch_size.observe(len(group))
        for (camera, work), scores in zip(group, scored, strict=True):
            energy = float(scores.energies[0])
            if math.isfinite(energy):
                self._send(camera, camera.judge(work, scores))
            else:
                self._drop(work.frame, f"camera {camera.name}: energy {energy}, want a number")

    def _send(self, camera: CameraScorer, judged: JudgedFrame) -> None:
        state = camera_state(judged.judgement.state)
        self._context.cameras.set(camera.name, state, judged.judgement.progress)
        self._context.cameras.set_learning(camera.name, camera.adaptation.learning.as_json())
        self._scores.send(camera.message(judged))

    def _observe(self, stage: str, seconds: float) -> None:
        self._metrics.stage_latency_seconds.labels(stage).observe(max(0.0, seconds))
