"""Is everything there? Plain answers for people, load balancers and container engines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

WorkerPhase = Literal["starting", "running", "waiting", "draining", "finished", "failed"]
"""waiting: for its next start after a death; finished: returned by itself; failed: given up."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How a worker is, as the supervisor sees it."""

    name: str
    """Name in the process table."""
    phase: WorkerPhase
    pid: int | None
    """Process id while there is a process."""
    restarts: int
    """Starts after the first one, in all."""
    reason: str = ""
    """Why it waits or was given up, for people."""
    cameras: dict[str, str] = field(default_factory=dict)
    """What the worker last told of its cameras: state, optionally followed by ": reason"."""
    degraded: dict[str, str] = field(default_factory=dict)
    """Part that does not do all it should → why."""
    learning: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    """How far the scenes of its cameras are learnt; empty for workers that know no scenes."""

    @property
    def is_ready(self) -> bool:
        """Whether it runs or has finished, and keeps what it should."""
        return self.phase in ("running", "finished") and not (self.degraded.keys() - TOLERATED)


TOLERATED = frozenset({"retention"})
"""Degraded parts that lose nothing yet."""


def readiness(workers: Sequence[WorkerStatus]) -> tuple[bool, str]:
    """Does every worker run, or has finished, and keeps what it should?

    And the same in words: one line a worker, and one a part of it that is degraded.
    """
    ready = all(worker.is_ready for worker in workers)
    lines = [
        f"{worker.name}: {worker.phase}{f' ({worker.reason})' if worker.reason else ''}"
        for worker in workers
    ]
    return ready, "\n".join([*lines, *degradations(workers)]) + "\n"


def degradations(workers: Iterable[WorkerStatus]) -> list[str]:
    """What does not do all it should, one line each, for people."""
    return [
        f"{worker.name}: degraded: {part}: {reason}"
        for worker in workers
        for part, reason in sorted(worker.degraded.items())
    ]


def camera_statuses(workers: Iterable[WorkerStatus]) -> dict[str, str]:
    """One status a camera: of its ingest worker and, where frames arrive, of its scene.

    Args:
        workers: As the supervisor tells them.
    """
    told = list(workers)
    arriving: dict[str, str] = {}
    scenes: dict[str, str] = {}
    for worker in told:
        (arriving if worker.name.startswith("ingest:") else scenes).update(worker.cameras)
    return {
        camera: scenes.get(camera, "starting") if status == "watching" else status
        for camera, status in arriving.items()
    }


def arriving_cameras(workers: Iterable[WorkerStatus]) -> set[str]:
    """Cameras whose frames arrive, whatever their scenes make of them."""
    return {
        camera
        for worker in workers
        if worker.name.startswith("ingest:")
        for camera, status in worker.cameras.items()
        if status == "watching"
    }


def camera_learning(workers: Iterable[WorkerStatus], camera: str) -> dict[str, float | bool] | None:
    """How far the scene of a camera is learnt; None: nobody knows now."""
    return next((one.learning[camera] for one in workers if camera in one.learning), None)
