"""A synthetic, rendered street: a camera for the demo, for tests and for training.

`SyntheticStreet` renders any frame of a seed's street with exact labels; `open_synthetic` opens it
as a source.
"""

from cameras.simulation.plan import ANOMALY_KINDS, AnomalyKind, PlannedAnomaly, planned_demo
from cameras.simulation.scene import Rendered, SyntheticStreet
from cameras.simulation.source import open_synthetic

__all__ = [
    "ANOMALY_KINDS",
    "AnomalyKind",
    "PlannedAnomaly",
    "Rendered",
    "SyntheticStreet",
    "open_synthetic",
    "planned_demo",
]
