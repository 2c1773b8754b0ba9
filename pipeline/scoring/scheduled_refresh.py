"""Scheduled refresh: the next scene is built of usual samples while the present one scores.

What the present scene finds unusual does not become part of the next one: an anomaly that stays is
not learnt for being there at the scheduled time. Scoring goes on without a break, and without a
new calibration.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from models.scene_model import Observation
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import CANDIDATES_PER_CLIP, AdaptationSettings
from pipeline.scenes.build_results import RefitRequest
from pipeline.scenes.calibration_window import (
    CANDIDATE_STEP_SECONDS,
    LEAST_SECONDS,
    CalibrationWindow,
)
from pipeline.scoring.frame_stepper import FrameStepper, ReadyFrame
from pipeline.scoring.scene_in_use import SceneInUse

LOG = logging.getLogger(__name__)

_ONSET_SECONDS = 1.0
"""The smoothed score follows later: so much before something unusual belongs to it."""


@dataclass(slots=True, eq=False)
class _NextScene:
    """The next scene, from the first sample that it is built of."""

    present: Adaptation
    """In use meanwhile; where that is abandoned, so is the next."""
    minute: CalibrationWindow
    connection: int
    usable: bool = True
    """Whether the last frame became part of it."""
    made: Adaptation | None = None
    """Given: its build was requested."""


class ScheduledRefresh:
    """Of one camera: collects usual samples, requests the next scene, and switches to it."""

    def __init__(self, camera: str, stepper: FrameStepper, scene: SceneInUse) -> None:
        """Start without samples."""
        self._camera = camera
        self._stepper = stepper
        self._scene = scene
        self._next: _NextScene | None = None

    def take(
        self,
        work: ReadyFrame,
        cached_features: Callable[[], Observation],
        after_seconds: float,
    ) -> None:
        """Take a frame that was scored.

        Args:
            work: The frame.
            cached_features: Gives the features of its clip.
            after_seconds: Time in use after which a scene is followed by another; 0: never.
        """
        coming = self._next
        if coming is None:
            if not self._is_due(after_seconds):
                return
            LOG.info("camera %s: collecting usual samples for the next scene", self._camera)
            adaptation = self._stepper.adaptation
            minute = CalibrationWindow(gathering_seconds(adaptation.settings))
            coming = self._next = _NextScene(adaptation, minute, work.frame.connection)
        if coming.made is not None:
            return
        minute, seconds = coming.minute, work.frame.pts_seconds
        usual = self._stepper.is_usual(seconds)
        if coming.usable and not usual:
            minute.discard_last(_ONSET_SECONDS)
        coming.usable = usual and work.view.usable
        if not coming.usable or work.frame.connection != coming.connection:
            coming.connection = work.frame.connection
            minute.interrupted()
        if coming.usable:
            minute.add(seconds, cached_features)
        if minute.over:
            self._request(coming, work.clip.shape[1:3])

    def abandon_outdated(self) -> None:
        """Give up the next scene where the present one is no longer in use."""
        if self._next is not None and self._next.present.abandoned:
            self.abandon()

    def abandon(self) -> None:
        """Give up the next scene."""
        coming, self._next = self._next, None
        if coming is not None and coming.made is not None:
            coming.made.abandoned = True

    def switch_when_built(self) -> None:
        """Continue with the next scene once it is built; where that failed, start again."""
        coming = self._next
        if coming is None or coming.made is None:
            return
        if coming.made.scene is None and not coming.made.abandoned:
            return
        self._next = None
        if not coming.made.abandoned:
            self._stepper.adopt(coming.made)

    def _request(self, coming: _NextScene, size_hw: tuple[int, int]) -> None:
        settings = coming.present.settings
        coming.made = Adaptation(settings, reason="on schedule")
        self._scene.save(coming.present)
        wanted, reading = settings.refit_clips, settings.calibrator
        request = RefitRequest(coming.minute, size_hw, reading, wanted)
        self._scene.follow(coming.made, request)

    def _is_due(self, after_seconds: float) -> bool:
        if after_seconds == 0 or self._stepper.adaptation.state != "ready":
            return False
        used = self._scene.used_seconds
        return used is not None and used >= after_seconds


def gathering_seconds(settings: AdaptationSettings) -> float:
    """Usual time that the next scene is built of: for its support and its calibration."""
    support = CANDIDATE_STEP_SECONDS * CANDIDATES_PER_CLIP * settings.refit_clips
    return max(settings.calibrator.calibrate_seconds, LEAST_SECONDS, support)
