"""MQTT topics and the retained states on them. No I/O, no clock.

States are retained: of changes while the broker is not connected, only the newest is published.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.transport.messages import CameraState, SceneState

STATUSES: tuple[CameraState, ...] = get_args(CameraState)
STATES = (
    "status",
    "details",
    "anomaly",
    "score",
    "threshold",
    "learning",
    "snapshot",
    "enabled/state",
    "threshold/state",
)
"""Last part of the topics of a camera."""
ONLINE, OFFLINE = "online", "offline"
Payload = bytes | Path
"""The content, or the file with the content."""
_MIN_CHANGE = 0.05


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of all topics."""

    prefix: str
    discovery_prefix: str

    @property
    def available(self) -> str:
        """Whether Vedette is online; also the topic of the last will."""
        return f"{self.prefix}/available"

    @property
    def events(self) -> str:
        """Events as they change."""
        return f"{self.prefix}/events"

    @property
    def birth(self) -> str:
        """Birth topic of Home Assistant."""
        return f"{self.discovery_prefix}/status"

    def of(self, camera: str, what: str) -> str:
        """Topic of a state of a camera, one of `STATES`."""
        return f"{self.prefix}/{camera}/{what}"

    def retained(self, camera: str, *, announced: bool) -> list[str]:
        """All topics of a camera that may be retained, with or without its discovery message."""
        states = [self.of(camera, what) for what in STATES]
        return [*states, self.device(camera)] if announced else states

    def device_id(self, camera: str) -> str:
        """Id of a camera in Home Assistant, of letters, digits, "_" and "-"."""
        return f"{self.prefix.replace('/', '_')}_{camera}"

    def device(self, camera: str) -> str:
        """Discovery topic of a camera in Home Assistant."""
        return f"{self.discovery_prefix}/device/{self.device_id(camera)}/config"


def status_of(state: SceneState) -> CameraState:
    """Status of a camera whose newest score has this state."""
    if state in ("collecting", "fitting"):
        return "adapting"
    return "stale" if state == "stale" else "watching"


def is_significant_change(published: float | None, score: float) -> bool:
    """Whether a score differs from the published one by 0.05, or is on the other side of 1."""
    if published is None:
        return True
    return abs(score - published) >= _MIN_CHANGE or (score >= 1) != (published >= 1)


@dataclass(slots=True)
class _State:
    payload: Payload
    version: int
    interval_seconds: float
    published_version: int = -1
    published_at: float = -float("inf")


class RetainedTopics:
    """The newest state of each topic, and which of them to publish; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def set(
        self, topic: str, payload: Payload, interval_seconds: float = 0.0, *, force: bool = False
    ) -> bool:
        """Set a state.

        Args:
            topic: Its topic.
            payload: Its new value.
            interval_seconds: Minimum time between two publications.
            force: Publish it even if it is equal: a file may have another content.

        Returns:
            Whether there is something to publish.
        """
        with self._lock:
            state = self._states.get(topic)
            if state is None:
                self._states[topic] = _State(payload, 0, interval_seconds)
                return True
            if state.payload == payload and not force:
                return False
            state.payload, state.interval_seconds = payload, interval_seconds
            state.version += 1
            return True

    def republish(self, chosen: Callable[[str], bool] = lambda topic: True) -> None:
        """Publish the states of some topics again at once, in the order they were first set."""
        with self._lock:
            for topic, state in self._states.items():
                if chosen(topic):
                    state.version += 1
                    state.published_at = -float("inf")

    def due(self, now: float) -> tuple[str, Payload, int] | None:
        """A state to publish now: topic, payload, version; `now` on any clock, in seconds."""
        with self._lock:
            for topic, state in self._states.items():
                is_early = now - state.published_at < state.interval_seconds
                if state.published_version != state.version and not is_early:
                    return topic, state.payload, state.version
        return None

    def mark_published(self, topic: str, version: int, now: float) -> None:
        """Store that a version of a state was published."""
        with self._lock:
            state = self._states[topic]
            state.published_version, state.published_at = version, now
