"""The interface between workers and the runtime: specification and context of a worker.

A worker is a function `run(context)`, named by a string such as
"pipeline.ingest.ingest_worker:run". It works until `context.stop` is set and everything is drained,
then returns; it also returns when its work is done, such as at the end of a file. Any exception is
a crash, after which the worker is restarted, except `PermanentError`, after which it is given up.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from pipeline.config import Config
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems
from pipeline.transport.messages import CameraState
from pipeline.transport.topics import Endpoints


class PermanentError(Exception):
    """A worker cannot work as configured, and a restart would not help.

    The message says what was got and what is wanted, without credentials.
    """


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Values that all workers of one run share."""

    started_ms: int
    """Number of the run: Unix milliseconds of its start, or more if the clock was ahead in an
    earlier run on the same data folder."""
    endpoints: Endpoints
    """Addresses and keys of the topics."""
    data_folder: Path
    """Where scenes, scores, events, snapshots and logs are stored."""
    log_level: str = "INFO"
    """Lowest level that the workers log."""
    stuck_seconds: float = 60.0
    """Time after which a worker whose loop does not turn is stuck; see `LoopWatchdog`."""
    started_monotonic: float = field(default_factory=time.monotonic)
    """Start of the run on the monotonic clock, which all processes of a machine share; seconds."""

    def incarnation_ms(self) -> int:
        """A process number higher than those of all earlier processes on this data folder.

        It counts milliseconds from `started_ms` by the monotonic clock: the wall clock may be set
        back at any time, and new processes would then repeat earlier numbers.
        """
        return self.started_ms + int(1000 * (time.monotonic() - self.started_monotonic))


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One row of the process table."""

    name: str
    """Unique in the table, such as "ingest:front_door"."""
    entry: str
    """Module and function: "package.module:function"."""
    camera: str | None
    """Camera of an ingest worker; None for workers of all cameras."""
    config: Config
    run: RunInfo
    helper: bool = False
    """Serves no camera: the run continues without it."""
    revision: int = 0
    """Revision of the camera table in the configuration; rises when cameras are added, removed or
    changed."""

    def to_json(self) -> str:
        """The specification as one JSON document, secrets included: never to be logged."""
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
    """States of cameras that a worker reports to the supervisor; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}
        self._learning: dict[str, dict[str, float | bool]] = {}

    def set(self, camera: str, state: CameraState, reason: str = "") -> None:
        """Set the state of a camera; the reason is a text for people, without credentials."""
        with self._lock:
            self._states[camera] = f"{state}: {reason}" if reason else state

    def set_learning(self, camera: str, learning: dict[str, float | bool]) -> None:
        """Set the learning progress of a camera's scene, as in `ScoreMessage`."""
        with self._lock:
            self._learning[camera] = learning

    def remove(self, camera: str) -> None:
        """Remove a camera."""
        with self._lock:
            self._states.pop(camera, None)
            self._learning.pop(camera, None)

    @property
    def learning(self) -> dict[str, dict[str, float | bool]]:
        """Camera name → learning progress of its scene."""
        with self._lock:
            return dict(self._learning)

    def snapshot(self) -> dict[str, str]:
        """Camera name → state, optionally followed by ": reason"."""
        with self._lock:
            return dict(self._states)


class LoopWatchdog:
    """Detects that the worker's loop is stuck, while the heartbeat thread still runs.

    A worker that calls `beat` once must continue to call it; one that never does is not watched.
    """

    def __init__(self) -> None:
        self._beaten_at: float | None = None

    def beat(self) -> None:
        """Note that the loop turns; to be called once a turn, at least every few seconds."""
        self._beaten_at = time.monotonic()

    def seconds_since_beat(self) -> float:
        """Time since the last beat; 0 before the first one."""
        beaten_at = self._beaten_at
        return 0.0 if beaten_at is None else time.monotonic() - beaten_at


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The argument of `run`: what the runtime provides to a worker."""

    spec: WorkerSpec
    stop: threading.Event
    """Set when the worker must finish its pending work and return."""
    metrics: Metrics
    """The worker's metrics; sent to the supervisor with the heartbeats."""
    incarnation: int
    """Number of this process, see `RunInfo.incarnation_ms`: a higher one for each start."""
    cameras: CameraStates = field(default_factory=CameraStates)
    """Camera states for people; an ingest worker sets the state of its camera here."""
    ready: threading.Event = field(default_factory=threading.Event)
    """To be set by the worker once it can do its work; until then its phase is "starting"."""
    problems: OngoingProblems = field(default_factory=OngoingProblems)
    """Current problems; reported in health answers."""
    watchdog: LoopWatchdog = field(default_factory=LoopWatchdog)
    """The worker's loop calls its `beat`, so that a stuck worker is detected and restarted."""
