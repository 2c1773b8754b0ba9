"""Makes the scenes of all cameras, keeps them on disk, and counts what becomes of them."""

import logging
import time

import torch

from models import SceneScorer
from models.calibration import Calibration
from pipeline.stages.adapt import Adaptation, AdaptationSettings
from pipeline.stages.scene_store import SceneStore
from pipeline.telemetry.metrics import Metrics

LOG = logging.getLogger(__name__)


class SceneKeeper:
    """Between the adaptations, the model and the disk. A full disk loses no more than a restart."""

    def __init__(self, scorer: SceneScorer, store: SceneStore, metrics: Metrics) -> None:
        self._scorer = scorer
        self._store = store
        self._metrics = metrics
        self._adapted_at: dict[str, float] = {}

    def begin(
        self, camera: str, settings: AdaptationSettings, size_hw: tuple[int, int]
    ) -> Adaptation:
        """A camera's adaptation: with its kept scene where there is one that can be used."""
        kept = self._store.load(camera, size_hw)
        if kept is None:
            return Adaptation(settings)
        self._metrics.adaptations.labels(camera, "resumed").inc()
        self._adapted_at[camera] = kept.adapted_at
        LOG.info("camera %s: goes on with its kept scene", camera)
        return Adaptation(settings, kept.scene, kept.calibration)

    def fit(self, camera: str, adaptation: Adaptation) -> bool:
        """Make the scene of an adaptation that is fitting.

        Returns:
            False where the support cannot be used, and is to be collected anew.
        """
        begin = time.monotonic()
        try:
            scene = self._scorer.adapt(torch.from_numpy(adaptation.support))
            adaptation.fitted(scene)
        except ValueError as error:
            LOG.warning("camera %s: adapting anew, as it failed: %s", camera, error)
            self._metrics.adaptations.labels(camera, "failed").inc()
            return False
        seconds = time.monotonic() - begin
        LOG.info("camera %s: adapted to %d clips in %.2f s", camera, scene.shots, seconds)
        self._metrics.stage_latency_seconds.labels("adapt").observe(seconds)
        self._metrics.adaptations.labels(camera, "ok").inc()
        self._adapted_at[camera] = time.time()
        try:
            self._store.save_scene(camera, scene)
        except OSError as error:
            LOG.warning("camera %s: the scene could not be kept: %s", camera, error)
        return True

    def calibrated(self, camera: str, calibration: Calibration) -> None:
        """Keep a calibration that has just become final."""
        LOG.info(
            "camera %s: ready, the threshold is energy %.3f from %d samples",
            camera,
            calibration.threshold,
            calibration.samples,
        )
        try:
            self._store.save_calibration(camera, calibration)
        except OSError as error:
            LOG.warning("camera %s: the calibration could not be kept: %s", camera, error)

    def tell_ages(self) -> None:
        """Set the age of every scene in the metrics."""
        now = time.time()
        for camera, adapted_at in self._adapted_at.items():
            self._metrics.scene_age_seconds.labels(camera).set(now - adapted_at)
