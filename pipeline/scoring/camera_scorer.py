"""Owns everything that the scoring worker holds of one camera."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models import AdaptedScene, Scores
from models.scene_model import Observation
from pipeline.config import Camera
from pipeline.config.frame_rates import slow_camera
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings, adaptation_settings
from pipeline.scenes.illumination import IlluminationMonitor
from pipeline.scenes.scene_watch import SceneWatch
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.discontinuities import DiscontinuityDetector
from pipeline.scoring.feedback import Feedback
from pipeline.scoring.frame_stepper import ClippedFrame, FrameStepper, ReadyFrame
from pipeline.scoring.gradient_frames import GradientFrames
from pipeline.scoring.scene_bank import SceneBank, illumination_settings, open_monitor
from pipeline.scoring.scene_in_use import SceneInUse
from pipeline.scoring.scheduled_refresh import ScheduledRefresh
from pipeline.scoring.score_message import (
    PICTURE_RATIO,
    in_units_of_score,
    is_shown,
    score_message,
    terms_of_score,
)
from pipeline.scoring.scoring_batch import BatchItem
from pipeline.scoring.shared_parts import SharedParts
from pipeline.scoring.view_changes import ViewChanges, open_watch, watch_settings
from pipeline.transport.messages import FrameMessage, ScoreMessage

LOG = logging.getLogger(__name__)

_PICTURES_SECONDS = 5.0
"""After a high score frames are requested with pictures for so long, monotonic clock."""
_OLDEST_PICTURE_SECONDS = 2.0
"""A frame with a picture is shown to people for so long although newer ones have none."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFrame:
    """A frame and its result."""

    frame: FrameMessage
    judgement: ScoredFrame
    anomaly_map: npt.NDArray[np.float32] | None = None
    """float32 (h, w) in units of the score; None without energy."""
    terms: Mapping[str, float] | None = None
    """What each term adds to the score; None without energy."""
    gradient: npt.NDArray[np.float32] | None = None
    """Pooled gradient heatmap, float32 (h, w); None where it is not wanted."""


class CameraScorer:
    """Scores the frames of one camera, and does what follows from them.

    For each frame: `take`, `advance`, the scores of its clip in `scene` if it has no result yet,
    `judge`, `follow_up`. Between frames: `apply_results`.
    """

    def __init__(
        self,
        name: str,
        settings: Camera,
        shared: SharedParts,
        adaptation: Adaptation | None = None,
    ) -> None:
        """Open the parts with what is stored of the camera.

        Args:
            name: Of the camera.
            settings: Its configuration.
            shared: What serves all cameras.
            adaptation: Given: used in place of what is stored and configured.
        """
        self.name = name
        self.settings = settings
        self.served = 0
        """Number of the batch in which it was served last."""
        self.newest: JudgedFrame | None = None
        """The newest frame, for people; one with a picture is kept for two seconds."""
        self.latest: JudgedFrame | None = None
        """The newest frame, with or without a picture."""
        self._shared = shared
        self._scene = SceneInUse(name, shared, lambda failed: self._stepper.collect_again(failed))
        self._pictures_until = 0.0
        self._gradient_frames = GradientFrames()
        self._open(adaptation)

    @property
    def adaptation(self) -> Adaptation:
        """The adaptation in use."""
        return self._stepper.adaptation

    @property
    def stepper(self) -> FrameStepper:
        """Frames in hand, view and illumination; another one after `reopen`."""
        return self._stepper

    @property
    def feedback(self) -> Feedback:
        """What people accepted as normal."""
        return self._feedback

    @property
    def is_stored(self) -> bool:
        """Whether the disk holds the scene in use, if there is one."""
        return self._scene.is_stored

    @property
    def wants_pictures(self) -> bool:
        """Whether frames are to be sent with pictures of the size of the source."""
        return self._shared.clock.monotonic() < self._pictures_until

    def request_pictures(self) -> None:
        """Request frames with pictures of the size of the source for some seconds."""
        self._pictures_until = self._shared.clock.monotonic() + _PICTURES_SECONDS

    def take(self, frame: FrameMessage) -> bool:
        """Take a frame, see `FrameStepper.take`."""
        is_done = self._stepper.take(frame)
        self._shared.metrics.queue_depth.labels(self.name, "score").set(self._stepper.depth)
        return is_done

    def step(self, clipped: ClippedFrame) -> ReadyFrame:
        """See `FrameStepper.step`; counts discontinuities."""
        cuts = self._stepper.cuts
        try:
            return self._stepper.step(clipped)
        finally:
            self._shared.metrics.discontinuities.labels(self.name).inc(self._stepper.cuts - cuts)

    def advance(self) -> ReadyFrame | None:
        """The next frame; None: the queue is empty.

        Raises:
            UnusableFrameError: the frame does not fit the frames before it, or the scene.
        """
        clipped = self._stepper.next_clip()
        return None if clipped is None else self.step(clipped)

    def scene(self) -> AdaptedScene:
        """The scene in which the next frame is scored, with the accepted events; there is one."""
        return self._feedback.scene()

    def item(self, clipped: ClippedFrame | ReadyFrame) -> BatchItem:
        """The clip of a frame for a batch of `score_clips`."""
        return BatchItem(clipped.clip, self.scene(), self._stepper.stillness, clipped.ages)

    def judge(self, work: ReadyFrame, scores: Scores | None = None) -> JudgedFrame:
        """The result of a frame; all that learn from it do so.

        Args:
            work: The frame.
            scores: Of the frame, a batch of one, finite; None where it cannot have an energy.
        """
        adaptation = self.adaptation
        if work.waiting is not None:
            if adaptation.state == "fitting":
                self._scene.fit(adaptation)
            return JudgedFrame(work.frame, work.waiting)
        assert scores is not None  # the frame does not wait
        frame, calibration, scene = work.frame, adaptation.calibration, self.scene()
        assert calibration is not None  # comes with the scene

        def cached_features() -> Observation:
            return self._shared.scorer.cached_features(scores, 0)

        enter, exit_score = self.settings.lowest_enter, self.settings.lowest_exit
        energy = float(scores.energies[0])
        judgement = adaptation.judge(frame.pts_seconds, energy, work.view, cached_features, enter)
        self._stepper.note(frame.pts_seconds, judgement, exit_score)
        self._feedback.take(frame, judgement, exit_score, scores)
        self._scene.save_when_due(adaptation)
        if (request := adaptation.refit_request()) is not None:
            self._scene.refit(adaptation, request)
        self._refresh.take(work, cached_features, self.settings.adapt.refresh * 3600.0)
        anomaly_map = in_units_of_score(scores.maps[0].numpy(), calibration)
        terms = terms_of_score(scores.explain(0), calibration)
        gradient = self._gradient(work, scene, judgement)
        return JudgedFrame(frame, judgement, anomaly_map, terms, gradient)

    def follow_up(self, work: ReadyFrame) -> None:
        """Act on the view and the illumination of a frame, after `judge`."""
        self._views.take(work.view, self.settings.adapt.on_view_change == "readapt")
        self._bank.take(work, self.settings.adapt)

    def message(self, judged: JudgedFrame) -> ScoreMessage:
        """The message of a result to the sink; the metrics and `newest` follow it."""
        judgement, learning = judged.judgement, self.adaptation.learning
        metrics, clock, enter = self._shared.metrics, self._shared.clock, self.settings.lowest_enter
        if judgement.score is not None and judgement.threshold is not None:
            metrics.anomaly_score.labels(self.name).set(judgement.score)
            metrics.anomaly_threshold.labels(self.name).set(judgement.threshold)
        metrics.normal_seconds.labels(self.name).set(learning.normal_seconds)
        metrics.trusted.labels(self.name).set(learning.trusted)
        self._set_newest(judged)
        if judgement.score is not None and judgement.score >= PICTURE_RATIO * enter:
            self.request_pictures()
        return score_message(
            judged.frame,
            judgement,
            judged.anomaly_map,
            enter,
            clock.unix(),
            learning,
            judged.terms,
            judged.gradient,
        )

    def abandon_outdated(self) -> None:
        """Give up builds that are of no use any more; before results are applied."""
        self._refresh.abandon_outdated()

    def apply_results(self) -> None:
        """Use and store what was built; after `SceneBuilder.apply_results`."""
        self._scene.retry_storing()
        self._refresh.switch_when_built()

    def update_age(self) -> None:
        """Set the age of the scene in the metrics."""
        self._scene.update_age()

    def apply_settings(self, settings: Camera) -> None:
        """Use other settings; only the parts that read a changed one are opened again."""
        before, self.settings = self.settings, settings
        if _opened_with(before) != _opened_with(settings):
            self._scene.save(self.adaptation)
            self.reopen()
            return
        has_scene = self.adaptation.scene is not None
        if watch_settings(before) != watch_settings(settings):
            known = self._stepper.known_view if has_scene else None
            self._stepper.watch = SceneWatch(watch_settings(settings), known)
        if illumination_settings(before) != illumination_settings(settings):
            own = None if self._stepper.light is None else self._stepper.light.own
            self._stepper.light = IlluminationMonitor(illumination_settings(settings), own)
            self._bank.stop_evaluation()
        if before.detect.fps != settings.detect.fps:
            self._warn_of_slow_frames()
        self._shared.store.history.set_bank_size(self.name, settings.adapt.scene_bank)

    def reopen(self) -> None:
        """Start again with what is on the disk; frames in hand are sent again, as unanswered."""
        self._abandon()
        self._feedback.close()
        self._open()

    def close(self) -> None:
        """Write what is not stored, and give up what is being built."""
        self._scene.save(self.adaptation)
        self._views.save()
        self._feedback.close()
        self._abandon()
        self._shared.store.history.forget(self.name)

    def _gradient(
        self, work: ReadyFrame, scene: AdaptedScene, judgement: ScoredFrame
    ) -> npt.NDArray[np.float32] | None:
        """The gradient heatmap of a frame that may become the picture of an event."""
        if self._shared.heatmap != "gradient":
            return None
        enter = self.settings.lowest_enter
        score = judgement.score if is_shown(judgement, enter) else None
        has_picture = work.frame.picture is not None
        if not self._gradient_frames.take(score, has_picture, self.settings.lowest_exit):
            return None
        clip = torch.from_numpy(work.clip[None])
        (heatmaps,) = self._shared.scorer.gradient_maps(clip, [scene])
        return heatmaps[0].numpy()

    def _abandon(self) -> None:
        self._stepper.abandon()
        self._refresh.abandon()

    def _open(self, adaptation: Adaptation | None = None) -> None:
        name, settings, shared = self.name, self.settings, self._shared
        shared.store.history.set_bank_size(name, settings.adapt.scene_bank)
        if adaptation is None:
            adaptation = self._scene.open(adaptation_settings(settings), settings.detect.size_hw)
        elif adaptation.scene is not None:
            self._scene.use(adaptation)
        has_scene = adaptation.from_stored_clips or adaptation.scene is not None
        watch = open_watch(name, settings, has_scene, shared)
        light = open_monitor(name, settings, has_scene, shared)
        model = shared.scorer.config
        buffer = ClipBuffer(model.clip_length, model.clip_interval_seconds, DiscontinuityDetector())
        self._stepper = FrameStepper(buffer, adaptation, watch, light)
        self._views = ViewChanges(name, self._stepper, self._scene, shared)
        self._bank = SceneBank(name, self._stepper, self._scene, shared)
        self._refresh = ScheduledRefresh(name, self._stepper, self._scene)
        self._feedback = Feedback(name, self._stepper, shared)
        self._warn_of_slow_frames()

    def _warn_of_slow_frames(self) -> None:
        model = self._shared.scorer.config
        expected = 1.0 / model.clip_interval_seconds if model.clip_length > 1 else None
        if (slow := slow_camera(self.name, self.settings, expected)) is not None:
            LOG.warning("%s", slow)

    def _set_newest(self, judged: JudgedFrame) -> None:
        self.latest = judged
        frame, before = judged.frame, None if self.newest is None else self.newest.frame
        if (
            before is None
            or frame.picture is not None
            or before.picture is None
            or frame.captured_at - before.captured_at > _OLDEST_PICTURE_SECONDS
        ):
            self.newest = judged


def _opened_with(camera: Camera) -> tuple[AdaptationSettings, tuple[int, int]]:
    """All settings that the scene and the clips of a camera depend on."""
    return adaptation_settings(camera), camera.detect.size_hw
