"""Latency of each stage of the pipeline, from the merged histograms. Pure functions."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric

_NAME = "vedette_stage_latency_seconds"


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Latency of one stage since the start of the service."""

    stage: str
    count: int
    """Number of measurements."""
    mean_seconds: float
    median_seconds: float
    """Interpolated between the bounds of the histogram, as the next."""
    percentile_95_seconds: float


def stage_latencies(families: Iterable[Metric]) -> list[StageLatency]:
    """The latency of each stage that was measured, sorted by name.

    Args:
        families: Of `MergedMetrics.collect`.
    """
    buckets: dict[str, list[tuple[float, float]]] = {}
    sums: dict[str, float] = {}
    for family in families:
        for sample in family.samples if family.name == _NAME else ():
            stage = sample.labels["stage"]
            if sample.name == f"{_NAME}_bucket":
                bound = (float(sample.labels["le"]), sample.value)
                buckets.setdefault(stage, []).append(bound)
            elif sample.name == f"{_NAME}_sum":
                sums[stage] = sample.value
    found = []
    for stage, bounds in sorted(buckets.items()):
        bounds.sort()
        count = bounds[-1][1]
        if count > 0:
            middle, high = quantile(bounds, 0.5), quantile(bounds, 0.95)
            mean = sums.get(stage, 0.0) / count
            found.append(StageLatency(stage, int(count), mean, middle, high))
    return found


def quantile(bounds: Sequence[tuple[float, float]], share: float) -> float:
    """A quantile of a histogram, interpolated linearly.

    Args:
        bounds: Upper bound of each bucket and its cumulative count, rising; at least one count.
        share: 0 … 1.

    Returns:
        The highest finite bound, where the quantile is above it.
    """
    wanted = share * bounds[-1][1]
    below, before = 0.0, 0.0
    for bound, count in bounds:
        if count >= wanted and count > before:
            if math.isinf(bound):
                return below
            return below + (bound - below) * (wanted - before) / (count - before)
        below, before = bound, count
    return below
