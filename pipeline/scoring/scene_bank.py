"""The scene bank: which scene to use when the illumination has changed and stays.

The present one, if it fits the new illumination; else an earlier one of the same view, built in a
similar illumination, that fits; else a new adaptation. The bank is the history of scenes on disk.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from cameras.picture_statistics import view_similarity
from models import AdaptedScene
from models.calibration import Calibration, provisional
from pipeline.config import Camera
from pipeline.config.model import AdaptSection
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.candidate_evaluation import CandidateEvaluation, best_match, matches
from pipeline.scenes.illumination import (
    Illumination,
    IlluminationMonitor,
    IlluminationSettings,
    distance,
)
from pipeline.scenes.scene_history import NoSceneError, of_other_lights
from pipeline.scenes.scene_record import SceneRecord
from pipeline.scenes.scene_store import StoredScene
from pipeline.scenes.scene_watch import SAME_AGAIN, KnownView, ViewState
from pipeline.scoring.frame_stepper import FrameStepper, ReadyFrame
from pipeline.scoring.scene_in_use import SceneInUse
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.wall_clock import recency

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SceneBankThresholds:
    """When earlier scenes are evaluated."""

    evaluation_ratio: float = 0.25
    """Length of an evaluation, as part of the time after which a change counts."""
    similar_distance: float = 1.5
    """Distance of illuminations up to which a scene is evaluated (1: different); its energies
    decide."""


THRESHOLDS = SceneBankThresholds()


def illumination_settings(camera: Camera) -> IlluminationSettings:
    """All settings of a camera that its `IlluminationMonitor` is opened with."""
    adapt = camera.adapt
    return IlluminationSettings(adapt.light_change_after, adapt.on_light_change != "ignore")


def open_monitor(
    camera: str, settings: Camera, has_scene: bool, shared: SharedParts
) -> IlluminationMonitor:
    """The monitor of a camera; with a stored scene, one that has its illumination."""
    own = shared.store.load_light(camera) if has_scene else None
    return IlluminationMonitor(illumination_settings(settings), own)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """An earlier scene that may fit."""

    record: SceneRecord
    stored: StoredScene
    known: KnownView


@dataclass(frozen=True, slots=True, eq=False)
class _RunningEvaluation:
    """An evaluation that is not over."""

    adaptation: Adaptation
    """Whose illumination has changed."""
    scene: AdaptedScene | None
    """Its scene, where it has one: the first that is evaluated."""
    candidates: Sequence[_Candidate]
    evaluation: CandidateEvaluation


class SceneBank:
    """Of one camera."""

    def __init__(
        self, camera: str, stepper: FrameStepper, scene: SceneInUse, shared: SharedParts
    ) -> None:
        """Start with the illumination that the monitor of the camera has."""
        self._camera = camera
        self._stepper = stepper
        self._scene = scene
        self._shared = shared
        light = stepper.light
        is_known = light is not None and light.own is not None
        self._stored_scene = stepper.adaptation.scene if is_known else None
        self._running: _RunningEvaluation | None = None

    def take(self, work: ReadyFrame, adapt: AdaptSection) -> None:
        """Act on the illumination of a frame, after the frame was scored or has no energy.

        Args:
            work: The frame.
            adapt: Settings of the camera.
        """
        light = self._stepper.light
        if light is None:
            return
        self._store_light(light, work.view)
        if not work.view.illumination_changed:
            self._running = None
            return
        if not work.full:
            return
        running, adaptation = self._running, self._stepper.adaptation
        now = (adaptation, adaptation.scene)
        if running is None or (running.adaptation, running.scene) != now:
            running = self._running = self._begin(light, work.clip.shape[1:3], adapt)
        seconds = work.frame.pts_seconds
        if not running.evaluation.done and running.evaluation.is_due(seconds):
            scenes = [candidate.stored.scene for candidate in running.candidates]
            if running.scene is not None:
                scenes.insert(0, running.scene)
            clips, ages = torch.from_numpy(work.clip[None]), torch.tensor([work.ages])
            found = self._shared.scorer.score_in_each(clips, scenes, ages)
            running.evaluation.add(seconds, [float(one.energies[0]) for one in found])
        if running.evaluation.done:
            self._running = None
            self._decide(light, running, adapt)

    def stop_evaluation(self) -> None:
        """Give up a running evaluation."""
        self._running = None

    def _store_light(self, light: IlluminationMonitor, view: ViewState) -> None:
        """Store the illumination of a new scene, or of one that was stored without."""
        scene = self._stepper.adaptation.scene
        if scene is None or scene is self._stored_scene or not self._scene.is_stored:
            return
        if light.own is None:
            if light.present is None or not view.usable:
                return
            light.set_illumination(light.present)
        self._stored_scene = scene
        assert light.own is not None  # it was settled
        try:
            self._shared.store.save_light(self._camera, light.own)
        except OSError as error:
            LOG.warning("camera %s: its light could not be stored: %s", self._camera, error)

    def _begin(
        self, light: IlluminationMonitor, size_hw: tuple[int, int], adapt: AdaptSection
    ) -> _RunningEvaluation:
        adaptation = self._stepper.adaptation
        candidates: list[_Candidate] = []
        if adapt.on_light_change == "switch":
            for record in self._similar(adaptation, light.present, adapt.scene_bank):
                candidate = self._load(record, size_hw)
                if candidate is not None:
                    candidates.append(candidate)
        calibrations = [_calibration(candidate.stored) for candidate in candidates]
        if adaptation.calibration is not None:
            calibrations.insert(0, adaptation.calibration)
        seconds = THRESHOLDS.evaluation_ratio * adapt.light_change_after
        evaluation = CandidateEvaluation(calibrations, seconds)
        return _RunningEvaluation(adaptation, adaptation.scene, candidates, evaluation)

    def _similar(
        self, adaptation: Adaptation, present: Illumination | None, conditions: int
    ) -> list[SceneRecord]:
        """Of each illumination near the present one the earlier scene that was used last."""
        assert present is not None  # or no decision would be due
        history, now = self._shared.store.history, self._shared.clock.unix()
        # Where a scene is being built, the one in use on the disk is the one before.
        records = [
            one
            for one in history.scenes(self._camera)
            if adaptation.scene is None or not one.current
        ]
        records.sort(key=lambda one: (one.current, recency(one.used_at, now)), reverse=True)
        lights = [history.light(self._camera, record) for record in records]
        near = [
            light
            if light is not None and distance(light, present) < THRESHOLDS.similar_distance
            else None
            for light in lights
        ]
        return [records[place] for place in of_other_lights(near, conditions - 1)]

    def _load(self, record: SceneRecord, size_hw: tuple[int, int]) -> _Candidate | None:
        known = self._shared.store.load_view(self._camera, record)
        now = self._stepper.known_view
        if known is None or now is None or not _is_same_view(now, known):
            return None
        stored = self._shared.store.load_other(self._camera, record, size_hw)
        return None if stored is None else _Candidate(record, stored, known)

    def _decide(
        self, light: IlluminationMonitor, ended: _RunningEvaluation, adapt: AdaptSection
    ) -> None:
        scores = ended.evaluation.scores
        own = scores.pop(0) if ended.scene is not None else None
        change = f"the light has changed ({light.own} → {light.present})"
        if own is not None and matches(own):
            LOG.info("camera %s: %s; its scene fits it all the same", self._camera, change)
            light.restart(light.present)
            self._count("kept")
            return
        if adapt.on_light_change == "ask":
            LOG.info("camera %s: %s, and its scene does not fit it", self._camera, change)
            light.refuse()
            self._count("refused")
            return
        self._scene.save(self._stepper.adaptation)
        place = best_match(scores)
        other = None if place is None else ended.candidates[place]
        if other is not None and self._switch(other, light.present, change):
            self._count("switched")
            return
        LOG.info("camera %s: %s; adapting again, as no scene fits it", self._camera, change)
        adaptation = Adaptation(self._stepper.adaptation.settings, reason="another light")
        self._stepper.switch_scene(adaptation, self._stepper.known_view, light.present)
        self._count("adapting")

    def _switch(self, other: _Candidate, present: Illumination | None, change: str) -> bool:
        try:
            self._shared.store.history.restore(self._camera, other.record.id)
        except (NoSceneError, OSError) as error:
            LOG.warning("camera %s: an earlier scene cannot be restored: %s", self._camera, error)
            return False
        LOG.info("camera %s: %s; going on with scene %s", self._camera, change, other.record.id)
        adaptation = self._scene.resume(self._stepper.adaptation.settings, other.stored)
        self._stepper.switch_scene(adaptation, replace(other.known, fault=None), present)
        self._stored_scene = other.stored.scene
        return True

    def _count(self, result: str) -> None:
        self._shared.metrics.light_changes.labels(self._camera, result).inc()


def _calibration(stored: StoredScene) -> Calibration:
    return stored.calibration or provisional(stored.scene.support_energies)


def _is_same_view(now: KnownView, other: KnownView) -> bool:
    like = view_similarity(now.edges, other.edges)
    return like.same >= SAME_AGAIN or not like.reliable
