"""What follows when a camera shows another view: the state, the log, the counters, the scene."""

import logging

from models import AdaptedScene
from pipeline.config import Camera
from pipeline.scenes.scene_watch import REASONS, Fault, SceneWatch, SceneWatchSettings, ViewState
from pipeline.scoring.frame_stepper import BLIND, FrameStepper
from pipeline.scoring.scene_in_use import INTERVALS, SceneInUse
from pipeline.scoring.shared_parts import SharedParts
from pipeline.transport.messages import CameraState, SceneState

LOG = logging.getLogger(__name__)


def camera_state(state: SceneState) -> CameraState:
    """The state of a camera, by that of its scene."""
    if state == "stale":
        return "stale"
    return "adapting" if state in ("collecting", "fitting") else "watching"


def watch_settings(camera: Camera) -> SceneWatchSettings:
    """All settings of a camera that its `SceneWatch` is opened with."""
    adapt = camera.adapt
    follows = adapt.on_view_change != "ignore"
    return SceneWatchSettings(adapt.view_change_after, camera.alert.light_hold, follows)


def open_watch(camera: str, settings: Camera, has_scene: bool, shared: SharedParts) -> SceneWatch:
    """The watch of a camera; with a stored scene, one that has its view."""
    known = shared.store.load_view(camera) if has_scene else None
    if known is not None and known.fault is not None:
        LOG.warning("camera %s: the scene was stale, %s", camera, REASONS[known.fault])
    return SceneWatch(watch_settings(settings), known)


class ViewChanges:
    """Of one camera."""

    def __init__(
        self, camera: str, stepper: FrameStepper, scene: SceneInUse, shared: SharedParts
    ) -> None:
        """Start with the view that the watch of the camera has."""
        self._camera = camera
        self._stepper = stepper
        self._scene = scene
        self._shared = shared
        known = stepper.known_view
        self._fault: Fault | None = None if known is None else known.fault
        self._stored_at: float | None = None
        self._stored_scene: AdaptedScene | None = None

    def take(self, view: ViewState, readapt: bool) -> None:
        """Act on the view of a frame, after the frame was scored or found to have no energy.

        Args:
            view: At the frame.
            readapt: Whether another view is adapted to.
        """
        fault = view.fault
        if fault != self._fault:
            self._report(fault)
            self._fault = fault
            self.save()
        if view.suppressed or fault is not None:
            reason = "light" if fault is None else "stale"
            self._shared.metrics.frames_suppressed.labels(self._camera, reason).inc()
        # Nothing was collected from frames in which nothing can be seen.
        another = fault is not None and fault not in BLIND
        waits = another and self._stepper.adaptation.state == "collecting"
        if waits or (view.settled and readapt):
            # A camera that is turned during its adaptation was not in its final position.
            LOG.info("camera %s: adapting to another view", self._camera)
            self._stepper.adapt_again("another view")
        elif self._is_due():
            self.save()

    def save(self) -> None:
        """Write the view, if the disk holds the scene that it belongs to."""
        known = self._stepper.known_view
        if known is None or self._stepper.adaptation.scene is None or not self._scene.is_stored:
            return
        self._stored_at = self._shared.clock.monotonic()
        try:
            self._shared.store.save_view(self._camera, known)
        except OSError as error:
            LOG.warning("camera %s: its view could not be stored: %s", self._camera, error)

    def _is_due(self) -> bool:
        scene = self._stepper.adaptation.scene if self._scene.is_stored else None
        if scene is not self._stored_scene:
            self._stored_scene = scene
            return True
        now = self._shared.clock.monotonic()
        return self._stored_at is not None and now - self._stored_at > INTERVALS.view_seconds

    def _report(self, fault: Fault | None) -> None:
        if fault is None:
            LOG.info("camera %s: the known view is back", self._camera)
            return
        LOG.warning("camera %s: the scene is stale, %s", self._camera, REASONS[fault])
        if fault != "light":
            self._shared.metrics.view_changes.labels(self._camera, fault).inc()
