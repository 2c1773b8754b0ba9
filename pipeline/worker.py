"""What a worker is told, and what it is given: the seam between stages and the runtime.

A worker is a function `run(context)`, named by a string such as "pipeline.stages.ingest:run". It
works until `context.stop` is set and everything is drained, then returns; it also returns when it
has nothing more to do, such as at the end of a file. Any exception is a crash, and it is restarted.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from pipeline.config import Config
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import CameraState
from pipeline.transport.topics import Endpoints


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What all workers of one run share."""

    started_ms: int
    """Start of the run, Unix milliseconds."""
    socket_folder: Path
    """Private folder with the sockets of this run."""
    data_folder: Path
    """Where scenes, scores, events, snapshots and logs are kept."""
    log_level: str = "INFO"
    """Least level of what the workers log."""

    @property
    def endpoints(self) -> Endpoints:
        """Addresses of the topics.

        Raises:
            ValueError: the socket folder's path is too long.
        """
        return Endpoints.in_folder(self.socket_folder)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One line of the process table."""

    name: str
    """Unique in the table, such as "ingest:front_door"."""
    entry: str
    """Module and function: "package.module:function"."""
    camera: str | None
    """The camera that an ingest worker serves; None for workers of all cameras."""
    config: Config
    run: RunInfo

    def to_json(self) -> str:
        """The specification as one JSON document, secrets included: for a pipe, never for a log."""
        return TypeAdapter(WorkerSpec).dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            pydantic.ValidationError: it is not a specification.
        """
        spec: Any = TypeAdapter(cls).validate_json(text)
        return spec  # type: ignore[no-any-return]


class CameraStates:
    """States of cameras as a worker tells them to the supervisor; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}

    def set(self, camera: str, state: CameraState, reason: str = "") -> None:
        """Say how a camera is; the reason is for people, without credentials."""
        with self._lock:
            self._states[camera] = f"{state}: {reason}" if reason else state

    def snapshot(self) -> dict[str, str]:
        """Camera name → state, optionally followed by ": reason"."""
        with self._lock:
            return dict(self._states)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the runtime hands to `run`."""

    spec: WorkerSpec
    stop: threading.Event
    """Set when the worker shall finish what it has and return."""
    metrics: Metrics
    """The worker's metrics; they travel to the supervisor with the heartbeats."""
    incarnation: int
    """Unix milliseconds at which this process started: another one for each start."""
    cameras: CameraStates = field(default_factory=CameraStates)
    """Shown to people; an ingest worker keeps its camera's state here."""
