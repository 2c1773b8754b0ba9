"""The scorers of all cameras, and what they share: scenes, view changes, scene bank, feedback."""

import logging
from collections.abc import Iterator, Mapping

from models import AdaptedScene, SceneScorer, Scores
from models.calibrator import CalibratorSettings
from models.scene_model import Observation
from pipeline.config import Camera
from pipeline.config.frame_rates import slow_camera
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.camera_scorer import CameraScorer, ReadyFrame
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.discontinuities import DiscontinuityDetector
from pipeline.scoring.feedback import Feedback
from pipeline.scoring.scene_bank import SceneBank
from pipeline.scoring.scene_builder import SceneBuilder
from pipeline.scoring.scheduled_refresh import ScheduledRefresh
from pipeline.scoring.view_changes import ViewChanges
from pipeline.worker import WorkerContext


def adaptation_settings(camera: Camera) -> AdaptationSettings:
    """How the scene of a camera is made, and how its energies are read."""
    adapt, alert = camera.adapt, camera.alert
    reading = CalibratorSettings(
        adapt.calibrate, alert.smoothing, alert.target_false_alarms_per_day
    )
    return AdaptationSettings(
        adapt.frames, adapt.interval, reading, adapt.spare, adapt.max_wait, adapt.refit
    )


def way_of_seeing(camera: Camera) -> tuple[object, ...]:
    """All settings of a camera that its camera scorer was opened with."""
    alert = camera.alert
    reading = alert.smoothing, alert.target_false_alarms_per_day, alert.light_hold
    return camera.detect, camera.adapt, reading


LOG = logging.getLogger(__name__)


class CameraSet(Mapping[str, CameraScorer]):
    """One camera scorer a camera. Cameras come and go; all who mind them are told."""

    def __init__(
        self, context: WorkerContext, scorer: SceneScorer, cameras: Mapping[str, Camera]
    ) -> None:
        """Make the camera scorers and load the kept scenes.

        Args:
            context: Of the worker.
            scorer: The model.
            cameras: Name and configuration of each.
        """
        scenes, metrics = context.spec.run.data_folder / "scenes", context.metrics
        store = SceneStore(scenes, scorer)
        self._scorer = scorer
        self.cameras = cameras
        """Name and configuration of each camera that has a camera scorer."""
        self.builder = SceneBuilder(scorer, store, metrics)
        self.feedback = Feedback(scenes, scorer, metrics)
        self._views = ViewChanges(self.builder, store, metrics)
        self._conditions = SceneBank(scorer, self.builder, store, metrics)
        self._refresh = ScheduledRefresh(self.builder)
        self._camera_scorers = {name: self._open(name) for name in cameras}

    def __getitem__(self, camera: str) -> CameraScorer:
        return self._camera_scorers[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self._camera_scorers)

    def __len__(self) -> int:
        return len(self._camera_scorers)

    def work_by(self, cameras: Mapping[str, Camera]) -> list[str]:
        """Open the camera scorers of new cameras and of those that are to be seen in another way.

        Returns:
            Cameras that are gone.
        """
        before = {name: way_of_seeing(self.cameras[name]) for name in self._camera_scorers}
        self.cameras = cameras
        gone = [name for name in self._camera_scorers if name not in cameras]
        for name in gone:
            camera_scorer = self._camera_scorers.pop(name)
            self.builder.leave(name, camera_scorer.adaptation)
            camera_scorer.abandon()
            self.builder.forget(name)
            self._conditions.forget(name)
            self.feedback.leave(name)
        for name, camera in cameras.items():
            if before.get(name) != way_of_seeing(camera):
                if name in self._camera_scorers:
                    self.builder.leave(name, self._camera_scorers[name].adaptation)
                self.reopen(name)
        return gone

    def reopen(self, camera: str) -> None:
        """Begin with what is on the disk; what was in hand comes again, as it had no answer."""
        if camera in self._camera_scorers:
            self._camera_scorers[camera].abandon()
        self._camera_scorers[camera] = self._open(camera)

    def settle(self) -> None:
        """Go on with the scenes that were made meanwhile."""
        self._refresh.abandon_left()
        for camera, adaptation in self.builder.fitted():
            if camera in self._camera_scorers:
                self._camera_scorers[camera].collect_anew(adaptation)
        self._refresh.hand_over(self._camera_scorers)

    def scene(self, camera: str) -> AdaptedScene:
        """The scene to score a camera's next frame in, with what it remembers; there is one."""
        return self.feedback.scene(camera, self._camera_scorers[camera])

    def judge(self, work: ReadyFrame, scores: Scores) -> ScoredFrame:
        """What a frame's energy means; all who learn from it do.

        Args:
            work: The frame.
            scores: Of it, a batch of one.
        """
        frame, name = work.frame, work.frame.camera
        camera_scorer, camera = self._camera_scorers[name], self.cameras[name]
        adaptation = camera_scorer.adaptation
        energy = float(scores.energies[0])

        def cached_features() -> Observation:
            return self._scorer.cached_features(scores, 0)

        judgement = adaptation.judge(
            frame.pts_seconds, energy, work.view, cached_features, camera.lowest_enter
        )
        camera_scorer.note(frame.pts_seconds, judgement, camera.lowest_exit)
        self.feedback.take(frame, camera_scorer, judgement, camera.lowest_exit, scores, 0)
        self.builder.calibrated(name, adaptation)
        if (widening := adaptation.widening()) is not None:
            self.builder.widen(name, adaptation, widening)
        self._refresh.take(
            name, camera_scorer, work, cached_features, camera.adapt.refresh * 3600.0
        )
        return judgement

    def look(self, work: ReadyFrame) -> None:
        """Do what a frame's view and light ask for, once it is judged or waits."""
        camera = work.frame.camera
        self._views.take(camera, self._camera_scorers[camera], work.view)
        self._conditions.take(camera, self._camera_scorers[camera], work)

    def close(self) -> None:
        """Keep what is known."""
        for name, camera_scorer in self._camera_scorers.items():
            self.builder.leave(name, camera_scorer.adaptation)
        self._views.keep(self._camera_scorers)
        self.feedback.close()
        self.builder.close()  # last, as the scene in work may take seconds

    def _open(self, camera: str) -> CameraScorer:
        model, settings = self._scorer.config, self.cameras[camera]
        size_hw = settings.detect.size_hw
        adaptation = self.builder.begin(camera, adaptation_settings(settings), size_hw)
        watch = self._views.watch(camera, settings, adaptation)
        light = self._conditions.watch(camera, settings, adaptation)
        expected = 1.0 / model.clip_interval_seconds if model.clip_length > 1 else None
        if (slow := slow_camera(camera, settings, expected)) is not None:
            LOG.warning("%s", slow)
        buffer = ClipBuffer(model.clip_length, model.clip_interval_seconds, DiscontinuityDetector())
        return CameraScorer(buffer, adaptation, watch, light)
