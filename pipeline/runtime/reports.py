"""What the workers report: their newest heartbeats as statuses and as metrics of the run."""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry

from pipeline.runtime.restart_policy import WorkerState
from pipeline.telemetry.health import WorkerStatus, arriving_cameras, camera_statuses
from pipeline.telemetry.merging import MergedMetrics, snapshot
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.stage_latencies import StageLatency, stage_latencies
from pipeline.transport.messages import CameraState, Heartbeat
from pipeline.worker import WorkerSpec


class Reports:
    """Newest report of each worker; `statuses` and `registry` may be read from any thread."""

    def __init__(self, workers: Iterable[str]) -> None:
        """Start without reports.

        Args:
            workers: Their names.
        """
        self.statuses: tuple[WorkerStatus, ...] = ()
        """Statuses of the workers and their cameras, as of the last `update`."""
        self.registry = CollectorRegistry()
        """Metrics of all workers and of the supervisor."""
        self._cameras: dict[str, dict[str, str]] = {name: {} for name in workers}
        self._problems: dict[str, dict[str, str]] = {}
        self._learning: dict[str, dict[str, dict[str, float | bool]]] = {}
        self._merged = MergedMetrics()
        self._own = Metrics(CollectorRegistry())
        self._own.build_info.labels(_version()).set(1)
        self.registry.register(self._merged)
        self._restarts = 0
        self._published: tuple[dict[str, str], set[str], int] | None = None

    def receive(self, beat: Heartbeat) -> None:
        """Store the heartbeat of a running worker."""
        self._merged.update(beat.worker, beat.incarnation, beat.metrics)
        self._cameras[beat.worker] = beat.cameras
        self._problems[beat.worker] = beat.problems
        self._learning[beat.worker] = beat.learning

    def add(self, worker: str) -> None:
        """Add a worker, before its first start."""
        self._cameras[worker] = {}

    def remove(self, worker: str) -> None:
        """Remove a worker that has ended for good."""
        del self._cameras[worker]
        self._own.worker_restarts.remove_by_labels({"worker": worker})

    def ended(self, worker: str) -> None:
        """Note that the process of a worker has ended."""
        self._merged.worker_ended(worker)
        self._problems.pop(worker, None)

    def stage_latencies(self) -> list[StageLatency]:
        """The latency of each stage since the start."""
        return stage_latencies(self._merged.collect())

    def restarted(self, worker: str) -> None:
        """Count another start of a worker."""
        self._own.worker_restarts.labels(worker).inc()
        self._restarts += 1

    def update(
        self,
        specs: Iterable[WorkerSpec],
        workers: Mapping[str, WorkerState],
        pids: Mapping[str, int],
        camera_states: Callable[[tuple[WorkerStatus, ...]], dict[str, str]] | None,
    ) -> None:
        """Compute the statuses, and the metrics that follow from them.

        Args:
            specs: Specifications of the workers.
            workers: Their states.
            pids: Process ids of the running ones.
            camera_states: State of each camera by the statuses, optionally followed by ": reason";
                None: the cameras are those of `specs`.
        """
        specs = [*specs]
        self.statuses = tuple(
            self._status(spec, workers[spec.name], pids.get(spec.name)) for spec in specs
        )
        if camera_states is None:
            reported = camera_statuses(self.statuses)
            cameras = [spec.camera for spec in specs if spec.camera is not None]
            shown = {name: reported.get(name, "starting") for name in cameras}
        else:
            shown = camera_states(self.statuses)
        states = {name: one.partition(":")[0] for name, one in shown.items()}
        current = states, arriving_cameras(self.statuses), self._restarts
        if current != self._published:
            self._published = current
            self._own.show_cameras(*current[:2], get_args(CameraState))
            self._merged.show_cameras({name: now != "disabled" for name, now in states.items()})
            self._merged.update("supervisor", 0, snapshot(self._own.registry))

    def _status(self, spec: WorkerSpec, state: WorkerState, pid: int | None) -> WorkerStatus:
        cameras = self._cameras[spec.name]
        if spec.camera is not None and state.phase == "failed":
            cameras = {spec.camera: f"error: {state.reason}"}
        elif spec.camera is not None and state.phase in ("waiting", "starting"):
            # The last report of the previous process is outdated.
            ended = f"offline: worker ended unexpectedly ({state.reason})"
            cameras = {spec.camera: ended if state.restarts else "starting"}
        return WorkerStatus(
            name=spec.name,
            phase=state.phase,
            pid=pid,
            restarts=state.restarts,
            reason=state.reason,
            cameras=cameras,
            degraded=self._problems.get(spec.name, {}),
            learning=self._learning.get(spec.name, {}) if state.phase == "running" else {},
        )


def _version() -> str:
    try:
        return importlib.metadata.version("vedette")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "unknown"
