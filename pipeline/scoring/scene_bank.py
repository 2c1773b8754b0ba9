"""The condition bank: which scene is to be watched, now that the light is another one and stays?

The present one, if it fits the light all the same; else an earlier one, made in such a light and
view, that fits; else one that is adapted to anew. The bank is the history of scenes on disk.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from cameras.picture_statistics import view_similarity
from models import AdaptedScene, SceneScorer
from models.calibration import Calibration, provisional
from pipeline.config import Camera
from pipeline.config.model import AdaptSection
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.candidate_evaluation import CandidateEvaluation, best_of, fits
from pipeline.scenes.illumination import (
    Illumination,
    IlluminationMonitor,
    IlluminationSettings,
    distance,
)
from pipeline.scenes.scene_history import NoSceneError, SceneRecord, of_other_lights
from pipeline.scenes.scene_store import SceneStore, StoredScene
from pipeline.scenes.scene_watch import SAME_AGAIN, KnownView, View
from pipeline.scoring.camera_scorer import CameraScorer, ReadyFrame
from pipeline.scoring.scene_builder import SceneBuilder
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.wall_clock import recency

LOG = logging.getLogger(__name__)

_TRIAL_RATIO = 0.25
"""Length of a trial, as part of the time after which a light counts."""
_SUCH_A_LIGHT = 1.5
"""Distance of the lights up to which a scene may be tried; its energies have the last word."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """An earlier scene that may fit."""

    record: SceneRecord
    kept: StoredScene
    known: KnownView


@dataclass(frozen=True, slots=True, eq=False)
class _RunningEvaluation:
    """A trial on its way."""

    adaptation: Adaptation
    """Whose light has changed."""
    scene: AdaptedScene | None
    """Its own, where it has one: the first on trial."""
    candidates: Sequence[_Candidate]
    trial: CandidateEvaluation


class SceneBank:
    """Minds the light of all cameras."""

    def __init__(
        self, scorer: SceneScorer, builder: SceneBuilder, store: SceneStore, metrics: Metrics
    ) -> None:
        self._scorer = scorer
        self._builder = builder
        self._store = store
        self._metrics = metrics
        self._settings: dict[str, AdaptSection] = {}
        self._scenes: dict[str, AdaptedScene | None] = {}
        self._looks: dict[str, _RunningEvaluation] = {}

    def watch(self, camera: str, settings: Camera, adaptation: Adaptation) -> IlluminationMonitor:
        """A watch for a camera; with a kept scene, one that knows its light."""
        adapt = self._settings[camera] = settings.adapt
        self._store.history.know(camera, adapt.scene_bank)
        self._looks.pop(camera, None)
        own = self._store.load_light(camera) if adaptation.of_kept or adaptation.scene else None
        self._scenes[camera] = None if own is None else adaptation.scene
        wanted = IlluminationSettings(adapt.light_change_after, adapt.on_light_change != "ignore")
        return IlluminationMonitor(wanted, own)

    def forget(self, camera: str) -> None:
        """A camera is gone; its scenes stay on the disk."""
        for table in (self._settings, self._scenes, self._looks):
            table.pop(camera, None)

    def take(self, camera: str, camera_scorer: CameraScorer, work: ReadyFrame) -> None:
        """Do what a frame's light asks for, once it is judged."""
        light = camera_scorer.light
        if light is None:
            return
        self._learn(camera, camera_scorer, light, work.view)
        if not work.view.relit:
            self._looks.pop(camera, None)
            return
        if not work.full:
            return
        look = self._looks.get(camera)
        adaptation = camera_scorer.adaptation
        if look is None or (look.adaptation, look.scene) != (adaptation, adaptation.scene):
            look = self._looks[camera] = self._begin(
                camera, camera_scorer, light, work.clip.shape[1:3]
            )
        seconds = work.frame.pts_seconds
        if not look.trial.done and look.trial.is_due(seconds):
            scenes = [candidate.kept.scene for candidate in look.candidates]
            if look.scene is not None:
                scenes.insert(0, look.scene)
            clips, ages = torch.from_numpy(work.clip[None]), torch.tensor([work.ages])
            found = self._scorer.score_in_each(clips, scenes, ages)
            look.trial.add(seconds, [float(one.energies[0]) for one in found])
        if look.trial.done:
            del self._looks[camera]
            self._answer(camera, camera_scorer, light, look)

    def _learn(
        self, camera: str, camera_scorer: CameraScorer, light: IlluminationMonitor, view: View
    ) -> None:
        """Keep the light of a scene that was made, or of one that was kept without."""
        scene = camera_scorer.adaptation.scene
        if scene is None or scene is self._scenes.get(camera) or not self._builder.holds(camera):
            return
        if light.own is None:
            if light.present is None or not view.fit:
                return
            light.settle(light.present)
        self._scenes[camera] = scene
        assert light.own is not None  # it was settled
        try:
            self._store.save_light(camera, light.own)
        except OSError as error:
            LOG.warning("camera %s: its light could not be kept: %s", camera, error)

    def _begin(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        light: IlluminationMonitor,
        size_hw: tuple[int, int],
    ) -> _RunningEvaluation:
        adapt, adaptation = self._settings[camera], camera_scorer.adaptation
        candidates: list[_Candidate] = []
        if adapt.on_light_change == "switch":
            for record in self._near(camera, adaptation, light.present):
                candidate = self._load(camera, camera_scorer, record, size_hw)
                if candidate is not None:
                    candidates.append(candidate)
        calibrations = [_calibration(candidate.kept) for candidate in candidates]
        if adaptation.calibration is not None:
            calibrations.insert(0, adaptation.calibration)
        trial = CandidateEvaluation(calibrations, _TRIAL_RATIO * adapt.light_change_after)
        return _RunningEvaluation(adaptation, adaptation.scene, candidates, trial)

    def _near(
        self, camera: str, adaptation: Adaptation, present: Illumination | None
    ) -> list[SceneRecord]:
        """Of each light near the present one the earlier scene that was used last."""
        assert present is not None  # or no answer would be due
        history = self._store.history
        # Of a scene that is being made, the one in use on the disk is the one before.
        records = [
            one for one in history.scenes(camera) if adaptation.scene is None or not one.current
        ]
        now = time.time()
        records.sort(key=lambda one: (one.current, recency(one.used_at, now)), reverse=True)
        lights = [history.light(camera, record) for record in records]
        near = [
            light if light is not None and distance(light, present) < _SUCH_A_LIGHT else None
            for light in lights
        ]
        places = of_other_lights(near, self._settings[camera].scene_bank - 1)
        return [records[place] for place in places]

    def _load(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        record: SceneRecord,
        size_hw: tuple[int, int],
    ) -> _Candidate | None:
        known = self._store.load_view(camera, record)
        now = None if camera_scorer.watch is None else camera_scorer.watch.known
        if known is None or now is None or not _is_same_view(now, known):
            return None
        kept = self._store.load_other(camera, record, size_hw)
        return None if kept is None else _Candidate(record, kept, known)

    def _answer(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        light: IlluminationMonitor,
        look: _RunningEvaluation,
    ) -> None:
        scores = look.trial.scores
        own = scores.pop(0) if look.scene is not None else None
        change = f"the light has changed ({light.own} → {light.present})"
        if own is not None and fits(own):
            LOG.info("camera %s: %s; its scene fits it all the same", camera, change)
            light.restart(light.present)
            self._count(camera, "kept")
            return
        if self._settings[camera].on_light_change == "ask":
            LOG.info("camera %s: %s, and its scene does not fit it", camera, change)
            light.refuse()
            self._count(camera, "refused")
            return
        self._builder.leave(camera, camera_scorer.adaptation)
        place = best_of(scores)
        other = None if place is None else look.candidates[place]
        if other is not None and self._switch(camera, camera_scorer, other, light.present, change):
            self._count(camera, "switched")
            return
        LOG.info("camera %s: %s; adapting anew, as no scene fits it", camera, change)
        known = None if camera_scorer.watch is None else camera_scorer.watch.known
        adaptation = Adaptation(camera_scorer.adaptation.settings, reason="another light")
        camera_scorer.go_on(adaptation, known, light.present)
        self._count(camera, "adapting")

    def _switch(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        other: _Candidate,
        present: Illumination | None,
        change: str,
    ) -> bool:
        try:
            self._store.history.restore(camera, other.record.id)
        except (NoSceneError, OSError) as error:
            LOG.warning("camera %s: an earlier scene could not be taken: %s", camera, error)
            return False
        LOG.info("camera %s: %s; going on with scene %s", camera, change, other.record.id)
        adaptation = self._builder.resume(camera, camera_scorer.adaptation.settings, other.kept)
        camera_scorer.go_on(adaptation, replace(other.known, fault=None), present)
        self._scenes[camera] = other.kept.scene
        return True

    def _count(self, camera: str, result: str) -> None:
        self._metrics.light_changes.labels(camera, result).inc()


def _calibration(kept: StoredScene) -> Calibration:
    return kept.calibration or provisional(kept.scene.support_energies)


def _is_same_view(now: KnownView, other: KnownView) -> bool:
    like = view_similarity(now.edges, other.edges)
    return like.same >= SAME_AGAIN or not like.reliable
