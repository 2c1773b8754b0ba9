"""Schedule of the anomalies in a synthetic scene."""

from dataclasses import dataclass
from typing import Literal, get_args

AnomalyKind = Literal["cyclist", "vehicle", "runner", "left_object", "trespasser"]
"""Rides on the promenade; drives there; runs; luggage left behind; walks on the lawn."""

ANOMALY_KINDS: tuple[AnomalyKind, ...] = get_args(AnomalyKind)

NORMAL_SECONDS = 70.0
"""Normal activity before the first anomaly of the demo."""
DEMO_SECONDS = 118.0
"""End of the last anomaly of the demo."""
_ANOMALY_SECONDS = 5.6
_GAP_SECONDS = 4.8


@dataclass(frozen=True, slots=True)
class PlannedAnomaly:
    """One anomaly; it is visible only within its time span."""

    kind: AnomalyKind
    start_seconds: float
    duration_seconds: float

    def __post_init__(self) -> None:
        """Reject invalid values.

        Raises:
            ValueError: the kind is unknown, or the times are impossible.
        """
        if self.kind not in ANOMALY_KINDS:
            wanted = ", ".join(ANOMALY_KINDS)
            raise ValueError(f"planned anomaly: want kind of {wanted}; got {self.kind!r}")
        if self.start_seconds < 0:
            raise ValueError(f"{self.kind}: want start_seconds >= 0, got {self.start_seconds}")
        if self.duration_seconds < 1:
            raise ValueError(
                f"{self.kind}: want duration_seconds >= 1, got {self.duration_seconds}"
            )

    @property
    def end_seconds(self) -> float:
        """End of the anomaly."""
        return self.start_seconds + self.duration_seconds


def planned_demo(duration_seconds: float = 120.0) -> tuple[PlannedAnomaly, ...]:
    """Plan the demo: a minute of normal activity, then every kind once with pauses between.

    Args:
        duration_seconds: Length of the demo; anomalies that would end later are left out.
    """
    order: tuple[AnomalyKind, ...] = ("cyclist", "left_object", "vehicle", "trespasser", "runner")
    planned = (
        PlannedAnomaly(
            kind, NORMAL_SECONDS + number * (_ANOMALY_SECONDS + _GAP_SECONDS), _ANOMALY_SECONDS
        )
        for number, kind in enumerate(order)
    )
    return tuple(
        anomaly for anomaly in planned if anomaly.end_seconds <= min(duration_seconds, DEMO_SECONDS)
    )
