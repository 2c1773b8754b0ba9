"""Merge the metrics of all processes: heartbeats carry snapshots, the supervisor merges them.

Counters and histograms never decrease over the restart of a worker: the counts of its earlier
processes are the base to which those of the current process are added. Gauges are those of the
current process. A removed camera has no series, and a disabled one no gauges except its state: its
stale values in a worker would raise an alarm that never ends.
"""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pipeline.telemetry.metrics import Metrics

Series: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""Name of a sample, and its labels sorted by name."""

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def snapshot(registry: CollectorRegistry) -> list[list[object]]:
    """All samples of a registry as JSON data: `[name, labels, value]` each; only finite values."""
    return [
        [sample.name, dict(sample.labels), sample.value]
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created") and math.isfinite(sample.value)
    ]


@dataclass(slots=True)
class _Worker:
    """Samples of one worker: sums of its earlier processes, and the newest snapshot."""

    incarnation: int
    base: dict[Series, float] = field(default_factory=dict)
    newest: dict[Series, float] = field(default_factory=dict)


class MergedMetrics(Collector):
    """The newest snapshots of all workers as one collector; thread-safe."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        Metrics(registry)
        self._families = {family.name: family for family in registry.collect()}
        self._family_of = {
            family.name + suffix: family.name
            for family in self._families.values()
            for suffix in SUFFIXES[family.type]
        }
        self._workers: dict[str, _Worker] = {}
        self._cameras: Mapping[str, bool] | None = None
        self._lock = threading.Lock()

    def update(self, worker: str, incarnation: int, samples: Iterable[list[object]]) -> None:
        """Replace the snapshot of a worker; samples of unknown metrics are ignored."""
        newest = dict(self._read(samples))
        with self._lock:
            known = self._workers.setdefault(worker, _Worker(incarnation))
            if known.incarnation != incarnation:
                self._add_to_base(known)
                known.incarnation = incarnation
            known.newest = newest

    def worker_ended(self, worker: str) -> None:
        """Keep the counts of a worker and remove its gauges."""
        with self._lock:
            known = self._workers.get(worker)
            if known is not None:
                self._add_to_base(known)

    def show_cameras(self, cameras: Mapping[str, bool]) -> None:
        """Show only the series of these cameras and those without a camera.

        Args:
            cameras: Name → whether it is enabled; the counts of all other cameras are removed.
        """
        with self._lock:
            before, self._cameras = self._cameras, cameras
            if before is not None and before.keys() <= cameras.keys():
                return
            for worker in self._workers.values():
                worker.base = {
                    series: value for series, value in worker.base.items() if self._shows(series)
                }

    def _shows(self, series: Series) -> bool:
        camera = dict(series[1]).get("camera")
        if camera is None or self._cameras is None:
            return True
        enabled = self._cameras.get(camera)
        if enabled is None:
            return False
        return enabled or self._is_cumulative(series) or series[0] == "vedette_camera_state"

    def _add_to_base(self, worker: _Worker) -> None:
        for series, value in worker.newest.items():
            if self._is_cumulative(series):
                worker.base[series] = worker.base.get(series, 0.0) + value
        worker.newest = {}

    def _is_cumulative(self, series: Series) -> bool:
        return self._families[self._family_of[series[0]]].type != "gauge"

    def _read(self, samples: Iterable[list[object]]) -> Iterator[tuple[Series, float]]:
        for sample in samples:
            match sample:
                case [str(name), dict(labels), int(value) | float(value)] if (
                    name in self._family_of and all(isinstance(v, str) for v in labels.values())
                ):
                    yield (name, tuple(sorted(labels.items()))), float(value)

    def collect(self) -> Iterator[Metric]:
        """All families, also those without samples, for the exposition."""
        merged: dict[Series, float] = {}
        with self._lock:
            for worker in self._workers.values():
                for series, value in worker.newest.items():
                    before = merged.get(series, 0.0) if self._is_cumulative(series) else 0.0
                    merged[series] = before + value
                for series, value in worker.base.items():
                    merged[series] = merged.get(series, 0.0) + value
            shown = {series: value for series, value in merged.items() if self._shows(series)}
        families = {
            name: Metric(name, family.documentation, family.type)
            for name, family in self._families.items()
        }
        for (name, labels), value in shown.items():
            families[self._family_of[name]].add_sample(name, dict(labels), value)
        yield from families.values()
