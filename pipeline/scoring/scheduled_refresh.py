"""Adapting anew on schedule: the next scene is made of usual moments while the present one watches.

What the present scene finds unusual does not become part of the next one: an anomaly that stays is
not learnt for being there when the time has come. Nor does a camera go unwatched, or calibrate.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.scene_model import Observation
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import CANDIDATES_A_CLIP, AdaptationSettings
from pipeline.scenes.build_results import RefitRequest
from pipeline.scenes.calibration_window import (
    CANDIDATE_STEP_SECONDS,
    LEAST_SECONDS,
    CalibrationWindow,
)
from pipeline.scoring.camera_scorer import CameraScorer, ReadyFrame
from pipeline.scoring.scene_builder import SceneBuilder

LOG = logging.getLogger(__name__)

_ONSET_SECONDS = 1.0
"""The smoothed score follows later: so much before something unusual belongs to it."""


@dataclass(slots=True, eq=False)
class _NextScene:
    """The next scene of a camera, from the first moment that it is made of."""

    present: Adaptation
    """In use meanwhile; where that is abandoned, nobody waits for the next."""
    minute: CalibrationWindow
    connection: int
    usable: bool = True
    """Whether the last frame became part of it."""
    made: Adaptation | None = None
    """Given: it is asked for."""


class ScheduledRefresh:
    """Gathers usual moments, asks for the next scenes of all cameras, and hands them over."""

    def __init__(self, builder: SceneBuilder) -> None:
        self._builder = builder
        self._next: dict[str, _NextScene] = {}

    def take(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        work: ReadyFrame,
        cached_features: Callable[[], Observation],
        after_seconds: float,
    ) -> None:
        """Do what is due, after a frame that was judged.

        Args:
            camera: Its name.
            camera_scorer: Its camera_scorer.
            work: The frame.
            cached_features: Gives what the network saw in it.
            after_seconds: In use for so long, a scene is to be made anew; 0: never.
        """
        coming = self._next.get(camera)
        if coming is None:
            if not self._is_due(camera, camera_scorer, after_seconds):
                return
            LOG.info("camera %s: gathering moments of another scene, as it is time", camera)
            minute = CalibrationWindow(gathering_seconds(camera_scorer.adaptation.settings))
            coming = _NextScene(camera_scorer.adaptation, minute, work.frame.connection)
            self._next[camera] = coming
        if coming.made is not None:
            return
        minute, seconds = coming.minute, work.frame.pts_seconds
        usual = camera_scorer.is_usual(seconds)
        if coming.usable and not usual:
            minute.take_back(_ONSET_SECONDS)
        coming.usable = usual and work.view.fit
        if not coming.usable or work.frame.connection != coming.connection:
            coming.connection = work.frame.connection
            minute.interrupted()
        if coming.usable:
            minute.see(seconds, cached_features)
        if minute.over:
            self._ask(camera, coming, work.clip.shape[1:3])

    def abandon_left(self) -> None:
        """Nobody waits for the next scene where the present one was left for yet another."""
        for camera, coming in list(self._next.items()):
            if coming.present.abandoned:
                del self._next[camera]
                if coming.made is not None:
                    coming.made.abandoned = True

    def hand_over(self, camera_scorers: Mapping[str, CameraScorer]) -> None:
        """Go on with the scenes that are made; where one came to nothing, begin again."""
        for camera, coming in list(self._next.items()):
            if coming.made is None or not (coming.made.scene or coming.made.abandoned):
                continue
            del self._next[camera]
            if not coming.made.abandoned:
                camera_scorers[camera].adopt(coming.made)

    def _ask(self, camera: str, coming: _NextScene, size_hw: tuple[int, int]) -> None:
        settings = coming.present.settings
        coming.made = Adaptation(settings, reason="on schedule")
        self._builder.leave(camera, coming.present)
        wanted, reading = settings.wider_clips, settings.calibrator
        self._builder.follow(
            camera, coming.made, RefitRequest(coming.minute, size_hw, reading, wanted)
        )

    def _is_due(self, camera: str, camera_scorer: CameraScorer, after_seconds: float) -> bool:
        if after_seconds == 0 or camera_scorer.adaptation.state != "ready":
            return False
        used = self._builder.used_seconds(camera)
        return used is not None and used >= after_seconds


def gathering_seconds(settings: AdaptationSettings) -> float:
    """How much usual time the next scene is made of: the support and what calibrates it."""
    support = CANDIDATE_STEP_SECONDS * CANDIDATES_A_CLIP * settings.wider_clips
    return max(settings.calibrator.calibrate_seconds, LEAST_SECONDS, support)
