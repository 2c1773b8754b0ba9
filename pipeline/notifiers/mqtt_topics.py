"""Topics of MQTT and what stands on them. Pure.

A state is retained: of what changes while the broker is away, only the newest is told.
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
"""What is published, or the file whose content is."""
_LEAST_CHANGE = 0.05


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of all topics."""

    prefix: str
    discovery_prefix: str

    @property
    def available(self) -> str:
        """Whether Vedette is there: the last will."""
        return f"{self.prefix}/available"

    @property
    def events(self) -> str:
        """Events as they change."""
        return f"{self.prefix}/events"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it is there."""
        return f"{self.discovery_prefix}/status"

    def of(self, camera: str, what: str) -> str:
        """A state of a camera: one of `STATES`."""
        return f"{self.prefix}/{camera}/{what}"

    def retained(self, camera: str, *, announced: bool) -> list[str]:
        """All that may stand retained of a camera, with or without its announcement."""
        states = [self.of(camera, what) for what in STATES]
        return [*states, self.device(camera)] if announced else states

    def device_id(self, camera: str) -> str:
        """Id of a camera for Home Assistant, of letters, digits, "_" and "-"."""
        return f"{self.prefix.replace('/', '_')}_{camera}"

    def device(self, camera: str) -> str:
        """Where a camera is announced to Home Assistant."""
        return f"{self.discovery_prefix}/device/{self.device_id(camera)}/config"


def status_of(state: SceneState) -> CameraState:
    """How a camera is whose newest score has this state."""
    if state in ("collecting", "fitting"):
        return "adapting"
    return "stale" if state == "stale" else "watching"


def is_worth_telling(told: float | None, score: float) -> bool:
    """Whether a score differs enough from the one told before: by 0.05, or by its side of 1."""
    if told is None:
        return True
    return abs(score - told) >= _LEAST_CHANGE or (score >= 1) != (told >= 1)


@dataclass(slots=True)
class _State:
    payload: Payload
    version: int
    interval_seconds: float
    told_version: int = -1
    told_at: float = -float("inf")


class RetainedTopics:
    """The newest state of each topic, and which of them are to be told; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def set(
        self, topic: str, payload: Payload, interval_seconds: float = 0.0, *, again: bool = False
    ) -> bool:
        """Put up a state.

        Args:
            topic: Its name.
            payload: What it is now.
            interval_seconds: Least time between two tellings.
            again: Tell it even if it is as before: a file may have another content.

        Returns:
            Whether there is something to tell.
        """
        with self._lock:
            state = self._states.get(topic)
            if state is None:
                self._states[topic] = _State(payload, 0, interval_seconds)
                return True
            if state.payload == payload and not again:
                return False
            state.payload, state.interval_seconds = payload, interval_seconds
            state.version += 1
            return True

    def repeat(self, chosen: Callable[[str], bool] = lambda topic: True) -> None:
        """Have the states of some topics told again at once, in the order they were first set."""
        with self._lock:
            for topic, state in self._states.items():
                if chosen(topic):
                    state.version += 1
                    state.told_at = -float("inf")

    def due(self, now: float) -> tuple[str, Payload, int] | None:
        """A state to be told now: topic, payload, version; `now` on any clock, in seconds."""
        with self._lock:
            for topic, state in self._states.items():
                is_early = now - state.told_at < state.interval_seconds
                if state.told_version != state.version and not is_early:
                    return topic, state.payload, state.version
        return None

    def told(self, topic: str, version: int, now: float) -> None:
        """Note that a state was told."""
        with self._lock:
            state = self._states[topic]
            state.told_version, state.told_at = version, now
