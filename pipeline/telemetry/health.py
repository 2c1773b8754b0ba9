"""Status of the workers and readiness, for people, load balancers and container engines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

WorkerPhase = Literal["starting", "running", "waiting", "draining", "finished", "failed"]
"""waiting: for its next start after a crash; finished: returned by itself; failed: given up."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Status of a worker, as the supervisor sees it."""

    name: str
    """Name in the process table."""
    phase: WorkerPhase
    pid: int | None
    """Process id while there is a process."""
    restarts: int
    """Total number of starts after the first one."""
    reason: str = ""
    """Why it waits or was given up, for people."""
    cameras: dict[str, str] = field(default_factory=dict)
    """Newest report of its cameras: state, optionally followed by ": reason"."""
    degraded: dict[str, str] = field(default_factory=dict)
    """Part that is degraded → why."""
    learning: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    """Learning progress of the scenes of its cameras; empty for workers without scenes."""

    @property
    def is_ready(self) -> bool:
        """Whether it runs or has finished, and loses no data."""
        return self.phase in ("running", "finished") and not (self.degraded.keys() - TOLERATED)


TOLERATED = frozenset({"retention"})
"""Degraded parts that do not lose data yet."""


def readiness(workers: Sequence[WorkerStatus]) -> tuple[bool, str]:
    """Whether every worker runs or has finished and loses no data.

    Also returns a text: one line per worker and one per degraded part.
    """
    ready = all(worker.is_ready for worker in workers)
    lines = [
        f"{worker.name}: {worker.phase}{f' ({worker.reason})' if worker.reason else ''}"
        for worker in workers
    ]
    return ready, "\n".join([*lines, *degradations(workers)]) + "\n"


def degradations(workers: Iterable[WorkerStatus]) -> list[str]:
    """Describe the degraded parts, one line each, for people."""
    return [
        f"{worker.name}: degraded: {part}: {reason}"
        for worker in workers
        for part, reason in sorted(worker.degraded.items())
    ]


def camera_statuses(workers: Iterable[WorkerStatus]) -> dict[str, str]:
    """Status of each camera: of its ingest worker or, if frames arrive, of its scene.

    Args:
        workers: Statuses of the workers.
    """
    arriving: dict[str, str] = {}
    scenes: dict[str, str] = {}
    for worker in workers:
        (arriving if worker.name.startswith("ingest:") else scenes).update(worker.cameras)
    return {
        camera: scenes.get(camera, "starting") if status == "watching" else status
        for camera, status in arriving.items()
    }


def arriving_cameras(workers: Iterable[WorkerStatus]) -> set[str]:
    """Cameras whose frames arrive, in any state of their scenes."""
    return {
        camera
        for worker in workers
        if worker.name.startswith("ingest:")
        for camera, status in worker.cameras.items()
        if status == "watching"
    }


def camera_learning(workers: Iterable[WorkerStatus], camera: str) -> dict[str, float | bool] | None:
    """Learning progress of the scene of a camera; None: unknown now."""
    return next((one.learning[camera] for one in workers if camera in one.learning), None)
