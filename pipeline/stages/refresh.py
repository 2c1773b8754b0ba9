"""Adapting anew on schedule: the next scene is collected while the present one is watched.

Only usual moments become part of it: an anomaly that stays is not learnt for being there when the
time has come.
"""

import logging

from pipeline.stages.adapt import Adaptation
from pipeline.stages.lane import Lane
from pipeline.stages.scene_keeper import SceneKeeper

LOG = logging.getLogger(__name__)


class SceneRefresh:
    """Starts, hands over and adopts the next scenes of all cameras."""

    def __init__(self, keeper: SceneKeeper) -> None:
        self._keeper = keeper
        self._asked: dict[str, Adaptation] = {}

    def take(self, camera: str, lane: Lane, after_seconds: float) -> None:
        """Do what is due, after a frame.

        Args:
            camera: Its name.
            lane: Its lane.
            after_seconds: Age at which a scene is to be made anew; 0: never.
        """
        successor = lane.successor
        if successor is None:
            if self._is_due(camera, lane, after_seconds):
                LOG.info("camera %s: collecting another scene, as it is time", camera)
                settings = lane.adaptation.settings
                lane.successor = Adaptation(settings, reason="on schedule", follows=True)
        elif successor.scene is not None:
            self._asked.pop(camera, None)
            lane.adopt()
        elif successor.state == "fitting" and self._asked.get(camera) is not successor:
            self._asked[camera] = successor
            self._keeper.fit(camera, successor)

    def _is_due(self, camera: str, lane: Lane, after_seconds: float) -> bool:
        if after_seconds == 0 or lane.adaptation.state != "ready":
            return False
        age = self._keeper.age_seconds(camera)
        return age is not None and age >= after_seconds
