"""What a worker is told, and what it is given: the seam between stages and the runtime.

A worker is a function `run(context)`, named by a string such as
"pipeline.ingest.ingest_worker:run". It works until `context.stop` is set and everything is drained,
then returns; it also returns when it has nothing more to do, such as at the end of a file. Any
exception is a crash, and it is restarted; but for `PermanentError`, after which it is given up at
once.
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
    """A worker cannot begin as it is configured, and starting it again would not help.

    The message says what was got and what is wanted, without credentials.
    """


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What all workers of one run share."""

    started_ms: int
    """Number of the run: Unix milliseconds of its start, or more where an earlier run on the same
    data folder had a clock that was ahead."""
    endpoints: Endpoints
    """Addresses of the topics, and the keys to them."""
    data_folder: Path
    """Where scenes, scores, events, snapshots and logs are kept."""
    log_level: str = "INFO"
    """Least level of what the workers log."""
    stuck_seconds: float = 60.0
    """A worker whose loop does not turn for so long is taken for stuck; see `LoopWatchdog`."""
    started_monotonic: float = field(default_factory=time.monotonic)
    """Start of the run on the monotonic clock, which all processes of a machine share; seconds."""

    def rising_ms(self) -> int:
        """A number above all that earlier processes of this data folder were given.

        It counts milliseconds from `started_ms` by the monotonic clock: the wall clock may be set
        back at any time, and then numbers of new processes would be those of old ones.
        """
        return self.started_ms + int(1000 * (time.monotonic() - self.started_monotonic))


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
    helper: bool = False
    """Serves no camera: the run goes on without it."""
    revision: int = 0
    """Of the table of cameras in the configuration; rises when cameras come, go or change."""

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
        self._learning: dict[str, dict[str, float | bool]] = {}

    def set(self, camera: str, state: CameraState, reason: str = "") -> None:
        """Say how a camera is; the reason is for people, without credentials."""
        with self._lock:
            self._states[camera] = f"{state}: {reason}" if reason else state

    def set_learning(self, camera: str, learning: dict[str, float | bool]) -> None:
        """Say how far a camera's scene is learnt, as in `ScoreMessage`."""
        with self._lock:
            self._learning[camera] = learning

    def forget(self, camera: str) -> None:
        """Say no more of a camera."""
        with self._lock:
            self._states.pop(camera, None)
            self._learning.pop(camera, None)

    @property
    def learning(self) -> dict[str, dict[str, float | bool]]:
        """Camera name → how far its scene is learnt."""
        with self._lock:
            return dict(self._learning)

    def snapshot(self) -> dict[str, str]:
        """Camera name → state, optionally followed by ": reason"."""
        with self._lock:
            return dict(self._states)


class LoopWatchdog:
    """Does the worker's loop still turn? A worker that hangs in it has a heart that goes on.

    A worker that calls `beat` once must go on calling it; one that never does is not watched.
    """

    def __init__(self) -> None:
        self._beaten_at: float | None = None

    def beat(self) -> None:
        """Say that the loop turns: once a turn, at least every few seconds."""
        self._beaten_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """Time since the last beat; 0 before the first one."""
        beaten_at = self._beaten_at
        return 0.0 if beaten_at is None else time.monotonic() - beaten_at


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the runtime hands to `run`."""

    spec: WorkerSpec
    stop: threading.Event
    """Set when the worker shall finish what it has and return."""
    metrics: Metrics
    """The worker's metrics; they travel to the supervisor with the heartbeats."""
    incarnation: int
    """Number of this process, see `RunInfo.rising_ms`: a higher one for each start."""
    cameras: CameraStates = field(default_factory=CameraStates)
    """Shown to people; an ingest worker keeps its camera's state here."""
    ready: threading.Event = field(default_factory=threading.Event)
    """To be set by the worker once it can do its work; until then it counts as starting."""
    problems: OngoingProblems = field(default_factory=OngoingProblems)
    """What is wrong for a while; told in health answers."""
    pulse: LoopWatchdog = field(default_factory=LoopWatchdog)
    """To be beaten by the worker's loop, so that a stuck worker is found out and restarted."""
