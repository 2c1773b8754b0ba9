"""Makes the scenes of all cameras, keeps them on disk, and counts what becomes of them."""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import count
from queue import PriorityQueue, SimpleQueue
from typing import Literal

import cv2

from models import SceneScorer
from models.calibration import Calibration
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.refit import widen
from pipeline.scenes.scene_history import SceneHistory
from pipeline.scenes.scene_store import SceneStore, StoredScene
from pipeline.scenes.support_clips import encode
from pipeline.scenes.support_selection import make_scene
from pipeline.telemetry.metrics import Metrics

LOG = logging.getLogger(__name__)
_KEEP_INTERVAL_SECONDS = 60.0
"""What was learnt since is what a kill can cost."""
_REMADE = "the kept scene could not be used"
_RETRY_SECONDS = 60.0
"""After which a scene that could not be written is written again."""


_END, _FIRST_SCENE, _WIDER_SCENE = range(3)  # whose turn comes first: a camera waits for the first


@dataclass(slots=True, eq=False)
class _Build:
    """A scene on its way."""

    camera: str
    adaptation: Adaptation
    another: bool
    """Whether the scene before is kept in the history: not for a wider one of the same support."""
    widening: RefitRequest | None = None
    """Given: what it is made of, instead of the adaptation's candidates."""
    fitted: BuiltScene | None = None
    support: bytes | None = None
    """The clips that the scene is made of, to be kept."""
    wider: RefitResult | None = None
    failure: Exception | None = None
    seconds: float = 0.0
    tried_at: float = 0.0
    """When it was to be written last, on the monotonic clock."""


@dataclass(frozen=True, slots=True, order=True)
class _QueuedBuild:
    """One in the queue of scenes to be made."""

    rank: int
    number: int
    fit: _Build | None = field(compare=False, default=None)
    """None: there will be no more."""


class SceneBuilder:
    """Between the adaptations, the model and the disk. A full disk loses no more than a restart.

    Scenes are made in a thread, one after the other, so that no camera waits for another one's;
    first scenes before wider ones, which nobody waits for.
    """

    def __init__(self, scorer: SceneScorer, store: SceneStore, metrics: Metrics) -> None:
        self._scorer = scorer
        self._store = store
        self._metrics = metrics
        self._adapted_at: dict[str, float] = {}
        self._used_since: dict[str, float] = {}
        self._calibration_kept_at: dict[str, float] = {}
        self._unkept: dict[str, _Build] = {}
        """Scenes in use that the disk does not hold; it may hold another one."""
        self._asked: PriorityQueue[_QueuedBuild] = PriorityQueue()
        self._numbers = count()
        self._made: SimpleQueue[_Build] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="adaptation", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the scene in work: the interpreter must not end while torch is at it.

        Those that wait are not made any more.
        """
        self._asked.put(_QueuedBuild(_END, next(self._numbers)))
        self._thread.join()

    def begin(
        self, camera: str, settings: AdaptationSettings, size_hw: tuple[int, int]
    ) -> Adaptation:
        """A camera's adaptation: with its kept scene where there is one that can be used."""
        kept = self._store.load(camera, size_hw)
        if kept is None:
            return self._begin_anew(camera, settings, size_hw)
        LOG.info("camera %s: goes on with its kept scene", camera)
        adaptation = self.resume(camera, settings, kept)
        self._used_since[camera] = time.monotonic() - max(0.0, time.time() - kept.used_at)
        return adaptation

    def _begin_anew(
        self, camera: str, settings: AdaptationSettings, size_hw: tuple[int, int]
    ) -> Adaptation:
        """Make a scene of the clips of one that cannot be used, or else of what will be seen."""
        support = self._store.load_support(camera, size_hw)
        if support is None:
            return Adaptation(settings)
        LOG.info(
            "camera %s: makes its scene of the %d clips that were kept with it",
            camera,
            len(support.clips),
        )
        adaptation = Adaptation(settings, reason=_REMADE, support=support)
        self.fit(camera, adaptation)
        return adaptation

    def resume(self, camera: str, settings: AdaptationSettings, kept: StoredScene) -> Adaptation:
        """An adaptation with a scene that was kept, and is in use from now on."""
        self._metrics.adaptations.labels(camera, "resumed").inc()
        self._adapted_at[camera], self._used_since[camera] = kept.adapted_at, time.monotonic()
        self._calibration_kept_at.pop(camera, None)
        self._unkept.pop(camera, None)
        if kept.calibration is not None:
            self._calibration_kept_at[camera] = time.monotonic()
        return Adaptation(settings, kept.scene, kept.calibration)

    def leave(self, camera: str, adaptation: Adaptation) -> None:
        """Keep what the scene in use has learnt, before the end, or before another one is used."""
        calibration = adaptation.kept
        if calibration is not None and calibration.final:
            self._save_calibration(camera, calibration)

    @property
    def history(self) -> SceneHistory:
        """Scenes that cameras have had."""
        return self._store.history

    def forget(self, camera: str) -> None:
        """A camera is gone; its scenes stay on the disk."""
        for table in (
            self._adapted_at,
            self._used_since,
            self._calibration_kept_at,
            self._unkept,
        ):
            table.pop(camera, None)

    def fit(self, camera: str, adaptation: Adaptation) -> None:
        """Begin to make the scene of an adaptation that is fitting; see `fitted`."""
        self._asked.put(
            _QueuedBuild(
                _FIRST_SCENE, next(self._numbers), _Build(camera, adaptation, another=True)
            )
        )

    def widen(self, camera: str, adaptation: Adaptation, widening: RefitRequest) -> None:
        """Begin to make the wider scene of an adaptation; see `fitted`."""
        fit = _Build(camera, adaptation, another=False, widening=widening)
        self._asked.put(_QueuedBuild(_WIDER_SCENE, next(self._numbers), fit))

    def follow(self, camera: str, adaptation: Adaptation, widening: RefitRequest) -> None:
        """Begin to make the next scene of a camera; see `fitted`.

        Args:
            camera: Its name.
            adaptation: That is to be in use when it is made; is abandoned if it comes to nothing.
            widening: What it is made of.
        """
        fit = _Build(camera, adaptation, another=True, widening=widening)
        self._asked.put(_QueuedBuild(_WIDER_SCENE, next(self._numbers), fit))

    def used_seconds(self, camera: str) -> float | None:
        """Since when a camera's scene is in use; None where there is none."""
        since = self._used_since.get(camera)
        return None if since is None else time.monotonic() - since

    def holds(self, camera: str) -> bool:
        """Whether what lies on the disk is the scene in use, if there is one, and no earlier one.

        Until it is nothing that is learnt of the scene may be written there.
        """
        return camera not in self._unkept

    def fitted(self) -> list[tuple[str, Adaptation]]:
        """Hand the scenes that are made meanwhile to their adaptations.

        Returns:
            Cameras and adaptations whose support cannot be used, and is to be collected anew.
        """
        self._keep_late()
        failed = []
        while not self._made.empty():
            fit = self._made.get()
            if fit.adaptation.abandoned:
                continue
            if fit.widening is not None:
                self._widened(fit)
                continue
            try:
                if fit.failure is not None:
                    raise fit.failure
                assert fit.fitted is not None  # there is one or the other
                fit.adaptation.fitted(fit.fitted)
            except ValueError as error:
                LOG.warning("camera %s: adapting anew, as it failed: %s", fit.camera, error)
                self._metrics.adaptations.labels(fit.camera, "failed").inc()
                failed.append((fit.camera, fit.adaptation))
            else:
                self._fitted(fit, fit.fitted)
        return failed

    def _fitted(self, fit: _Build, fitted: BuiltScene) -> None:
        camera, shots = fit.camera, fitted.scene.shots
        LOG.info("camera %s: adapted to %d clips in %.2f s", camera, shots, fit.seconds)
        self._calibration_kept_at.pop(camera, None)
        self._count(fit, "adapt", "remade" if fit.adaptation.of_kept else "ok")
        self._keep(fit)

    def _widened(self, fit: _Build) -> None:
        """Go on with a wider scene, if there is one; without, with the one in use."""
        fit.adaptation.widened(fit.wider)
        if fit.wider is None:
            why = "too little of it is usable" if fit.failure is None else str(fit.failure)
            what = "no other scene" if fit.another else "no wider scene of its first minute"
            LOG.warning("camera %s: %s: %s", fit.camera, what, why, exc_info=fit.failure)
            if fit.another:
                fit.adaptation.abandoned = True
            result = "failed" if fit.another else "not_widened"
            self._metrics.adaptations.labels(fit.camera, result).inc()
            return
        calibration = fit.wider.calibration
        LOG.info(
            "camera %s: %s to %d clips of %s in %.2f s, "
            "the threshold is energy %.3f from %d samples",
            fit.camera,
            "adapted anew" if fit.another else "widened",
            fit.wider.scene.shots,
            "usual moments" if fit.another else "its first minute",
            fit.seconds,
            calibration.threshold,
            calibration.samples,
        )
        self._calibration_kept_at[fit.camera] = time.monotonic()
        self._count(fit, "widen", "ok" if fit.another else "widened")
        self._keep(fit)

    def _count(self, fit: _Build, stage: Literal["adapt", "widen"], result: str) -> None:
        self._metrics.stage_latency_seconds.labels(stage).observe(fit.seconds)
        self._metrics.adaptations.labels(fit.camera, result).inc()
        self._adapted_at[fit.camera], self._used_since[fit.camera] = time.time(), time.monotonic()

    def _keep(self, fit: _Build) -> bool:
        """Write a scene that is in use; whether the disk holds it."""
        fit.tried_at = time.monotonic()
        camera, scene = fit.camera, fit.adaptation.scene
        assert scene is not None  # it is in use
        last = self._unkept.pop(camera, None)
        # Where the first scene could not be written, an earlier one lies in its place.
        behind = last is not None and last.another
        another = fit.another or behind
        calibration = None if fit.wider is None else fit.wider.calibration
        reason = fit.adaptation.reason if another else None
        same_view = (fit.wider is not None or fit.adaptation.of_kept) and not behind
        if fit.support is None and last is not None:
            fit.support = last.support
        try:
            self._store.save_scene(camera, scene, reason, calibration, same_view, fit.support)
        except OSError as error:
            LOG.warning("camera %s: its scene could not be kept: %s", camera, error)
            self._unkept[camera] = replace(fit, widening=None, another=another)
            return False
        return True

    def _keep_late(self) -> None:
        for camera, fit in list(self._unkept.items()):
            if time.monotonic() - fit.tried_at >= _RETRY_SECONDS and self._keep(fit):
                LOG.info("camera %s: its scene is kept now", camera)
                self._calibration_kept_at.pop(camera, None)  # it was not kept, either

    def _work(self) -> None:
        while (fit := self._asked.get().fit) is not None:
            if fit.adaptation.abandoned:
                continue
            begin = time.monotonic()
            try:
                if fit.widening is None:
                    fit.fitted = make_scene(self._scorer, fit.adaptation, fit.camera)
                    fit.support = self._encoded(fit)
                else:
                    fit.wider = widen(self._scorer, fit.widening, fit.camera)
            except Exception as error:
                fit.failure = error
            fit.seconds = time.monotonic() - begin
            self._made.put(fit)

    def _encoded(self, fit: _Build) -> bytes | None:
        """The support of a scene that was made, unless it is kept already."""
        support = None if fit.fitted is None else fit.fitted.support
        if support is None or fit.adaptation.of_kept:
            return None
        try:
            return encode(support)
        except (ValueError, cv2.error) as error:
            LOG.warning("camera %s: its support is not kept: %s", fit.camera, error)
            return None

    def calibrated(self, camera: str, adaptation: Adaptation) -> None:
        """Keep what a scene in use has learnt, once it is calibrated and then every minute."""
        now, kept_at = time.monotonic(), self._calibration_kept_at.get(camera)
        if kept_at is not None and now - kept_at < _KEEP_INTERVAL_SECONDS:
            return
        calibration = adaptation.kept
        if calibration is None or not calibration.final:
            return
        if kept_at is None:
            LOG.info(
                "camera %s: ready, the threshold is energy %.3f from %d samples",
                camera,
                calibration.threshold,
                calibration.samples,
            )
        self._calibration_kept_at[camera] = now
        self._save_calibration(camera, calibration)

    def _save_calibration(self, camera: str, calibration: Calibration) -> None:
        unkept = self._unkept.get(camera)
        if unkept is not None and not self._keep(unkept):
            return  # it must not lie beside another scene
        try:
            self._store.save_calibration(camera, calibration)
        except OSError as error:
            LOG.warning("camera %s: the calibration could not be kept: %s", camera, error)

    def tell_ages(self) -> None:
        """Set the age of every scene in the metrics."""
        now = time.time()
        for camera, adapted_at in self._adapted_at.items():
            self._metrics.scene_age_seconds.labels(camera).set(max(0.0, now - adapted_at))
