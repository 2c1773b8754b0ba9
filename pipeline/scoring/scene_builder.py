"""Builds the scenes of all cameras, one after the other."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue

import cv2

from models import SceneScorer
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.refit import widen
from pipeline.scenes.support_clips import encode
from pipeline.scenes.support_selection import make_scene

LOG = logging.getLogger(__name__)

_END, _FIRST_SCENE, _REFIT = range(3)
"""Ranks in the queue: the frames of a camera wait for its first scene."""


@dataclass(slots=True, eq=False)
class SceneBuild:
    """A scene that is to be built, and the result."""

    camera: str
    adaptation: Adaptation
    """For which the scene is built; when it is abandoned, the build is left out."""
    another: bool
    """Whether it becomes another scene of the camera, not a refit of the one in use."""
    apply: Callable[["SceneBuild"], None]
    """Takes the result, in the thread that calls `SceneBuilder.apply_results`."""
    refit: RefitRequest | None = None
    """What the scene is built of; None: the candidates of the adaptation."""
    built: BuiltScene | None = None
    support: bytes | None = None
    """The clips that the scene is built of, to be stored; None: they are stored already."""
    refitted: RefitResult | None = None
    """None also where too little of the request is usable."""
    failure: Exception | None = None
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True, order=True)
class _QueuedBuild:
    rank: int
    number: int
    build: SceneBuild | None = field(compare=False, default=None)
    """None: the end of the queue."""


class SceneBuilder:
    """A queue of builds, and a thread that works on it, so that no camera waits for another one.

    First scenes come before refits, for which no frame waits.
    """

    def __init__(
        self, scorer: SceneScorer, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with an empty queue and without the thread.

        Args:
            scorer: The model.
            monotonic: Clock in seconds, for the durations.
        """
        self._scorer = scorer
        self._monotonic = monotonic
        self._requested: PriorityQueue[_QueuedBuild] = PriorityQueue()
        self._numbers = count()
        self._finished: SimpleQueue[SceneBuild] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
        self._thread.start()

    def request(self, build: SceneBuild) -> None:
        """Put a build into the queue."""
        rank = _FIRST_SCENE if build.refit is None else _REFIT
        self._requested.put(_QueuedBuild(rank, next(self._numbers), build))

    def build_pending(self) -> None:
        """Build all that is in the queue; only without the thread."""
        while True:
            try:
                queued = self._requested.get_nowait()
            except Empty:
                return
            if queued.build is not None:
                self._build(queued.build)

    def apply_results(self) -> None:
        """Hand the finished builds to `SceneBuild.apply`, but for those that were abandoned."""
        while True:
            try:
                build = self._finished.get_nowait()
            except Empty:
                return
            if not build.adaptation.abandoned:
                build.apply(build)

    def close(self) -> None:
        """Wait for the build in work, as the interpreter must not end while torch computes.

        The builds in the queue are left out.
        """
        if self._thread is not None:
            self._requested.put(_QueuedBuild(_END, next(self._numbers)))
            self._thread.join()

    def _run(self) -> None:
        while (build := self._requested.get().build) is not None:
            self._build(build)

    def _build(self, build: SceneBuild) -> None:
        if build.adaptation.abandoned:
            return
        begin = self._monotonic()
        try:
            if build.refit is None:
                build.built = make_scene(self._scorer, build.adaptation, build.camera)
                build.support = _encoded_support(build)
            else:
                build.refitted = widen(self._scorer, build.refit, build.camera)
        except Exception as error:
            build.failure = error
        build.seconds = self._monotonic() - begin
        self._finished.put(build)


    def _widened(self, fit: _Build) -> None:
        """Go on with a wider scene, if there is one; without, with the one in use."""
        fit.adaptation.apply_refit(fit.wider)
        if fit.wider is None:
            why = "too little of it is usable" if fit.failure is None else str(fit.failure)
            what = "no other scene" if fit.another else "no wider scene of its first minute"
            LOG.warning("camera %s: %s: %s", fit.camera, what, why, exc_info=fit.failure)
            if fit.another:
                fit.adaptation.abandoned = True
            result = "failed" if fit.another else "not_refitted"
            self._metrics.adaptations.labels(fit.camera, result).inc()
            return
        calibration = fit.wider.calibration
        LOG.info(
            "camera %s: %s to %d clips of %s in %.2f s, "
            "the threshold is energy %.3f from %d samples",
            fit.camera,
            "adapted anew" if fit.another else "refitted",
            fit.wider.scene.shots,
            "usual moments" if fit.another else "its first minute",
            fit.seconds,
            calibration.threshold,
            calibration.samples,
        )
        self._calibration_kept_at[fit.camera] = time.monotonic()
        self._count(fit, "refit", "ok" if fit.another else "refitted")
        self._keep(fit)

    def _count(self, fit: _Build, stage: Literal["adapt", "refit"], result: str) -> None:
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
        same_view = (fit.wider is not None or fit.adaptation.from_stored_clips) and not behind
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
                    fit.fitted = build_scene(self._scorer, fit.adaptation, fit.camera)
                    fit.support = self._encoded(fit)
                else:
                    fit.wider = refit_scene(self._scorer, fit.widening, fit.camera)
            except Exception as error:
                fit.failure = error
            fit.seconds = time.monotonic() - begin
            self._made.put(fit)

    def _encoded(self, fit: _Build) -> bytes | None:
        """The support of a scene that was made, unless it is kept already."""
        support = None if fit.fitted is None else fit.fitted.support
        if support is None or fit.adaptation.from_stored_clips:
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
        calibration = adaptation.calibration_to_store
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
