"""The scene of one camera between its adaptation, the builder and the disk."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from models.calibration import Calibration
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import RefitRequest
from pipeline.scenes.scene_store import StoredScene
from pipeline.scoring.scene_builder import SceneBuild
from pipeline.scoring.shared_parts import SharedParts

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoringIntervals:
    """When the state of a scene is written to the disk, in seconds of the monotonic clock."""

    calibration_seconds: float = 60.0
    """Between two writes of a calibration: what was learnt since is what a kill can cost."""
    view_seconds: float = 600.0
    """Between two writes of a view that did not change."""
    retry_seconds: float = 60.0
    """After which a scene that could not be written is written again."""


INTERVALS = StoringIntervals()
_REBUILT = "the stored scene could not be used"


@dataclass(frozen=True, slots=True, eq=False)
class _UnstoredScene:
    """A scene in use that the disk does not hold; the disk may hold an earlier one."""

    adaptation: Adaptation
    another: bool
    """Whether the scene before becomes an earlier one: not for a refit of the same support."""
    calibration: Calibration | None = None
    """Given for a refit."""
    support: bytes | None = None
    """The clips that it was built of; None: as those of the scene before."""
    tried_at: float = 0.0
    """When it was to be written last, on the monotonic clock."""


class SceneInUse:
    """Of one camera. A full disk loses no more than a restart does."""

    def __init__(
        self,
        camera: str,
        shared: SharedParts,
        on_unusable_support: Callable[[Adaptation], None],
    ) -> None:
        """Start without a scene; see `open`.

        Args:
            camera: Its name.
            shared: Store, builder, metrics, clock.
            on_unusable_support: Called with an adaptation whose support must be collected again.
        """
        self._camera = camera
        self._shared = shared
        self._on_unusable_support = on_unusable_support
        self._adapted_at: float | None = None
        self._used_since: float | None = None
        self._calibration_stored_at: float | None = None
        self._unstored: _UnstoredScene | None = None

    def open(self, settings: AdaptationSettings, size_hw: tuple[int, int]) -> Adaptation:
        """The adaptation of the camera: with its stored scene where there is a usable one."""
        stored = self._shared.store.load(self._camera, size_hw)
        if stored is None:
            return self._open_without(settings, size_hw)
        LOG.info("camera %s: continues with its stored scene", self._camera)
        adaptation = self.resume(settings, stored)
        clock = self._shared.clock
        self._used_since = clock.monotonic() - max(0.0, clock.unix() - stored.used_at)
        return adaptation

    def _open_without(self, settings: AdaptationSettings, size_hw: tuple[int, int]) -> Adaptation:
        """Build a scene of the stored clips of one that is unusable, or of frames to come."""
        support = self._shared.store.load_support(self._camera, size_hw)
        if support is None:
            return Adaptation(settings)
        LOG.info(
            "camera %s: builds its scene of the %d clips that were stored with it",
            self._camera,
            len(support.clips),
        )
        adaptation = Adaptation(settings, reason=_REBUILT, support=support)
        self.fit(adaptation)
        return adaptation

    def resume(self, settings: AdaptationSettings, stored: StoredScene) -> Adaptation:
        """An adaptation with a stored scene, which is in use from now on."""
        now = self._shared.clock.monotonic()
        self._shared.metrics.adaptations.labels(self._camera, "resumed").inc()
        self._adapted_at, self._used_since = stored.adapted_at, now
        self._calibration_stored_at = None if stored.calibration is None else now
        self._unstored = None
        return Adaptation(settings, stored.scene, stored.calibration)

    def use(self, adaptation: Adaptation) -> None:
        """Store the scene of an adaptation that was made elsewhere, and is in use from now on."""
        clock = self._shared.clock
        self._adapted_at, self._used_since = clock.unix(), clock.monotonic()
        self._store_scene(_UnstoredScene(adaptation, another=True))

    @property
    def used_seconds(self) -> float | None:
        """For how long the scene has been in use; None where there is none."""
        since = self._used_since
        return None if since is None else self._shared.clock.monotonic() - since

    @property
    def is_stored(self) -> bool:
        """Whether the disk holds the scene in use, if there is one, and not an earlier one.

        Until it does, nothing that is learnt of the scene may be written there.
        """
        return self._unstored is None

    def fit(self, adaptation: Adaptation) -> None:
        """Request the scene of an adaptation that is fitting."""
        self._request(adaptation, another=True)

    def refit(self, adaptation: Adaptation, request: RefitRequest) -> None:
        """Request a refit of the scene in use."""
        self._request(adaptation, another=False, refit=request)

    def follow(self, adaptation: Adaptation, request: RefitRequest) -> None:
        """Request the next scene of the camera.

        Args:
            adaptation: To be used when the scene is built; is abandoned if there is none.
            request: What the scene is built of.
        """
        self._request(adaptation, another=True, refit=request)

    def save(self, adaptation: Adaptation) -> None:
        """Write what the scene has learnt: before the end, or before another one is used."""
        calibration = adaptation.calibration_to_store
        if calibration is not None and calibration.final:
            self._store_calibration(calibration)

    def save_when_due(self, adaptation: Adaptation) -> None:
        """Write what the scene has learnt: once it is calibrated, and then every minute."""
        now, stored_at = self._shared.clock.monotonic(), self._calibration_stored_at
        if stored_at is not None and now - stored_at < INTERVALS.calibration_seconds:
            return
        calibration = adaptation.calibration_to_store
        if calibration is None or not calibration.final:
            return
        if stored_at is None:
            LOG.info(
                "camera %s: ready, the threshold is energy %.3f from %d samples",
                self._camera,
                calibration.threshold,
                calibration.samples,
            )
        self._calibration_stored_at = now
        self._store_calibration(calibration)

    def retry_storing(self) -> None:
        """Write a scene that could not be written, once a minute."""
        unstored, now = self._unstored, self._shared.clock.monotonic()
        if unstored is None or now - unstored.tried_at < INTERVALS.retry_seconds:
            return
        if self._store_scene(unstored):
            LOG.info("camera %s: its scene is stored now", self._camera)
            self._calibration_stored_at = None  # it was not stored, either

    def update_age(self) -> None:
        """Set the age of the scene in the metrics."""
        if self._adapted_at is not None:
            age = max(0.0, self._shared.clock.unix() - self._adapted_at)
            self._shared.metrics.scene_age_seconds.labels(self._camera).set(age)

    def _request(
        self, adaptation: Adaptation, another: bool, refit: RefitRequest | None = None
    ) -> None:
        build = SceneBuild(self._camera, adaptation, another, self._apply, refit)
        self._shared.builder.request(build)

    def _apply(self, build: SceneBuild) -> None:
        if build.refit is None:
            self._apply_first(build)
        else:
            self._apply_refit(build)

    def _apply_first(self, build: SceneBuild) -> None:
        try:
            if build.failure is not None:
                raise build.failure
            assert build.built is not None  # there is a failure or a scene
            build.adaptation.apply_scene(build.built)
        except ValueError as error:
            LOG.warning("camera %s: adapting again, as it failed: %s", self._camera, error)
            self._shared.metrics.adaptations.labels(self._camera, "failed").inc()
            self._on_unusable_support(build.adaptation)
            return
        shots = build.built.scene.shots
        LOG.info("camera %s: adapted to %d clips in %.2f s", self._camera, shots, build.seconds)
        self._calibration_stored_at = None
        self._count(build, "adapt", "remade" if build.adaptation.from_stored_clips else "ok")
        self._store_scene(_UnstoredScene(build.adaptation, build.another, support=build.support))

    def _apply_refit(self, build: SceneBuild) -> None:
        """Continue with the refitted scene; without one, with the scene in use."""
        refitted = build.refitted
        build.adaptation.apply_refit(refitted)
        if refitted is None:
            why = "too little of it is usable" if build.failure is None else str(build.failure)
            what = "no other scene" if build.another else "no refit on its calibration window"
            LOG.warning("camera %s: %s: %s", self._camera, what, why, exc_info=build.failure)
            if build.another:
                build.adaptation.abandoned = True
            result = "failed" if build.another else "not_refitted"
            self._shared.metrics.adaptations.labels(self._camera, result).inc()
            return
        calibration = refitted.calibration
        LOG.info(
            "camera %s: %s to %d clips of %s in %.2f s, "
            "the threshold is energy %.3f from %d samples",
            self._camera,
            "adapted again" if build.another else "refitted",
            refitted.scene.shots,
            "usual samples" if build.another else "its calibration window",
            build.seconds,
            calibration.threshold,
            calibration.samples,
        )
        self._calibration_stored_at = self._shared.clock.monotonic()
        self._count(build, "refit", "ok" if build.another else "refitted")
        self._store_scene(_UnstoredScene(build.adaptation, build.another, calibration))

    def _count(self, build: SceneBuild, stage: Literal["adapt", "refit"], result: str) -> None:
        metrics, clock = self._shared.metrics, self._shared.clock
        metrics.stage_latency_seconds.labels(stage).observe(build.seconds)
        metrics.adaptations.labels(self._camera, result).inc()
        self._adapted_at, self._used_since = clock.unix(), clock.monotonic()

    def _store_scene(self, unstored: _UnstoredScene) -> bool:
        """Write a scene that is in use; whether the disk holds it."""
        scene, calibration = unstored.adaptation.scene, unstored.calibration
        assert scene is not None  # it is in use
        last, self._unstored = self._unstored, None
        # Where the scene before could not be written, the disk holds an earlier one of another
        # support or view.
        behind = last is not None and last.another
        another = unstored.another or behind
        reason = unstored.adaptation.reason if another else None
        refitted = calibration is not None or unstored.adaptation.from_stored_clips
        same_view = refitted and not behind
        support = unstored.support
        if support is None and last is not None:
            support = last.support
        try:
            self._shared.store.save_scene(
                self._camera, scene, reason, calibration, same_view, support
            )
        except OSError as error:
            LOG.warning("camera %s: its scene could not be stored: %s", self._camera, error)
            now = self._shared.clock.monotonic()
            self._unstored = replace(unstored, another=another, support=support, tried_at=now)
            return False
        return True

    def _store_calibration(self, calibration: Calibration) -> None:
        if self._unstored is not None and not self._store_scene(self._unstored):
            return  # a calibration must not lie beside another scene
        try:
            self._shared.store.save_calibration(self._camera, calibration)
        except OSError as error:
            LOG.warning("camera %s: the calibration could not be stored: %s", self._camera, error)
