"""An event and its changes: output of the event tracker, content of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.transport.messages import SceneState

ChangeKind = Literal["new", "suppressed", "released", "update", "end"]
"""new: an event began; suppressed: one began that is suppressed; released: one that began outside
of the schedule continues into its hours; update: it has a new peak or zone; end: it ended."""
Suppression = Literal["cooldown", "schedule", "calibrating"]


@dataclass(frozen=True, slots=True)
class Event:
    """One interval in which the scene of a camera was anomalous."""

    id: str
    """Made of camera, connection and first index: the same scores give the same id again."""
    camera: str
    connection: int
    """Connection of the first frame."""
    first_index: int
    started_at: float
    """Wall clock of the first frame, Unix seconds UTC."""
    started_pts_seconds: float
    """Stream time of the first frame within its connection."""
    ended_at: float | None
    """Wall clock of the last frame that was up; None while the event is active."""
    duration_seconds: float
    """From the first to the last frame that was up, in stream time."""
    peak_score: float
    """Highest score; of the zones alone if only they count."""
    peak_at: float
    """Wall clock of the frame with the highest score."""
    peak_connection: int
    peak_index: int
    state: SceneState
    """State of the scene at the first frame; "calibrating" means a provisional threshold."""
    suppressed: bool
    """The event is stored, but no notification is sent."""
    frames: int
    """Number of frames that were up."""
    zones: tuple[str, ...] = ()
    """Zones that were up for their minimum duration, in the order in which they were reached."""
    suppressed_by: Suppression | None = None
    """Why no notification is sent: the event began in the cool-down of another one, or outside of
    the schedule and has not continued into its hours, or while the scene was calibrated."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """What each term of the energy adds to the score of the peak, by its name: why there is an
    event. Unlike the score not smoothed; empty if unknown."""


@dataclass(frozen=True, slots=True)
class EventChange:
    """A change of an event: it began, left its suppression, rose or spread, or ended."""

    kind: ChangeKind
    event: Event
