"""What follows when a camera shows another view: the state, the log, the counters, the scene."""

import logging
import time
from collections.abc import Mapping

from models import AdaptedScene
from pipeline.config import Camera
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.scene_store import SceneStore
from pipeline.scenes.scene_watch import REASONS, Fault, SceneWatch, SceneWatchSettings, View
from pipeline.scoring.camera_scorer import BLIND, CameraScorer
from pipeline.scoring.scene_builder import SceneBuilder
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import CameraState, SceneState

LOG = logging.getLogger(__name__)

UNJUDGED: tuple[SceneState, ...] = ("collecting", "fitting", "suppressed", "stale")
"""States in which no score alerts anybody."""
_KEEP_INTERVAL_SECONDS = 600.0


def camera_state(state: SceneState) -> CameraState:
    """How a camera is, as its scene tells it."""
    if state == "stale":
        return "stale"
    return "adapting" if state in ("collecting", "fitting") else "watching"


class ViewChanges:
    """Minds the views of all cameras."""

    def __init__(self, builder: SceneBuilder, store: SceneStore, metrics: Metrics) -> None:
        self._builder = builder
        self._store = store
        self._metrics = metrics
        self._readapt: dict[str, bool] = {}
        self._faults: dict[str, Fault | None] = {}
        self._kept_at: dict[str, float] = {}
        self._scenes: dict[str, AdaptedScene | None] = {}

    def watch(self, camera: str, settings: Camera, adaptation: Adaptation) -> SceneWatch:
        """A watch for a camera; with a kept scene, one that knows its view."""
        adapt = settings.adapt
        self._readapt[camera] = adapt.on_view_change == "readapt"
        minds = adapt.on_view_change != "ignore"
        wanted = SceneWatchSettings(adapt.view_change_after, settings.alert.light_hold, minds)
        known = self._store.load_view(camera) if adaptation.of_kept or adaptation.scene else None
        self._faults[camera] = None if known is None else known.fault
        if known is not None and known.fault is not None:
            LOG.warning("camera %s: the scene was stale, %s", camera, REASONS[known.fault])
        return SceneWatch(wanted, known)

    def take(self, camera: str, camera_scorer: CameraScorer, view: View) -> None:
        """Do what a picture's view asks for, once it is judged."""
        fault = view.fault
        if fault != self._faults[camera]:
            self._tell(camera, fault)
            self._faults[camera] = fault
            self._keep(camera, camera_scorer)
        if view.held or fault is not None:
            reason = "light" if fault is None else "stale"
            self._metrics.frames_suppressed.labels(camera, reason).inc()
        # Nothing was collected of pictures in which nothing can be seen.
        another = fault is not None and fault not in BLIND
        waits = another and camera_scorer.adaptation.state == "collecting"
        if waits or (view.settled and self._readapt[camera]):
            # Who turns a camera while it is adapted to has not finished yet.
            LOG.info("camera %s: adapting to another view", camera)
            camera_scorer.adapt_anew("another view")
        elif self._is_due(camera, camera_scorer):
            self._keep(camera, camera_scorer)

    def keep(self, camera_scorers: Mapping[str, CameraScorer]) -> None:
        """Keep what is known of all views."""
        for camera, camera_scorer in camera_scorers.items():
            self._keep(camera, camera_scorer)

    def _is_due(self, camera: str, camera_scorer: CameraScorer) -> bool:
        scene = camera_scorer.adaptation.scene if self._builder.holds(camera) else None
        if scene is not self._scenes.get(camera):
            self._scenes[camera] = scene
            return True
        kept_at = self._kept_at.get(camera)
        return kept_at is not None and time.monotonic() - kept_at > _KEEP_INTERVAL_SECONDS

    def _tell(self, camera: str, fault: Fault | None) -> None:
        if fault is None:
            LOG.info("camera %s: the known view is back", camera)
            return
        LOG.warning("camera %s: the scene is stale, %s", camera, REASONS[fault])
        if fault != "light":
            self._metrics.view_changes.labels(camera, fault).inc()

    def _keep(self, camera: str, camera_scorer: CameraScorer) -> None:
        known = None if camera_scorer.watch is None else camera_scorer.watch.known
        if (
            known is None
            or camera_scorer.adaptation.scene is None
            or not self._builder.holds(camera)
        ):
            return
        self._kept_at[camera] = time.monotonic()
        try:
            self._store.save_view(camera, known)
        except OSError as error:
            LOG.warning("camera %s: its view could not be kept: %s", camera, error)
