"""Request and response schemas of the API; the OpenAPI document is generated from them."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipeline.config.base import Name, Section
from pipeline.events.event import Suppression
from pipeline.telemetry.health import WorkerPhase
from pipeline.transport.commands import EventId, Label, SceneId
from pipeline.transport.messages import CameraState, SceneState

CameraName = Annotated[Name, Path(description="Name of the camera.")]
EventPath = Annotated[EventId, Path(description="Id of the event.")]
ScenePath = Annotated[SceneId, Path(description="Id of the scene.")]


class Shown(BaseModel):
    """Base of the response schemas."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Problem(Shown):
    """Why a request failed."""

    detail: str
    """What was got and what is wanted."""


class NewCamera(Section):
    """A camera to attach."""

    name: Name
    """Letters, digits, "_" and "-"; also used in file names."""
    camera: dict[str, JsonValue] = Field(repr=False)
    """The camera as in the configuration file; {VEDETTE_CAMERA_…} is a placeholder of a secret."""


class AdaptRequest(Section):
    """How to adapt to a scene again."""

    replace: list[Annotated[int, Field(ge=0, le=1000)]] = Field(default=[], max_length=1000)
    """Numbers of the support clips of the current scene to replace by new ones; empty: all."""


class LearningShown(Shown):
    """Learning progress of a camera."""

    trusted: bool
    """Whether its scene is calibrated: before, events are recorded without notification."""
    trusted_in_seconds: float
    """Estimated normal stream time until it is calibrated; 0 once it is."""
    normal_seconds: float
    """Normal stream time watched in this scene."""
    wanted_seconds: float
    """Normal stream time without extrapolation of the threshold: a day for one alarm a day."""
    enough: bool
    """Whether `normal_seconds` has reached `wanted_seconds`."""


class CameraShown(Shown):
    """One camera."""

    name: str
    origin: Literal["file", "attached"]
    """Whether it is defined in the configuration file or was attached at run time."""
    enabled: bool
    state: CameraState
    reason: str
    """Why it is in this state, or its progress; may be empty."""
    learning: LearningShown | None
    """Learning progress; null: unknown now."""
    settings: dict[str, Any] | None
    """Settings including inherited ones, without credentials; null: the camera is unusable."""


class CamerasShown(Shown):
    """All cameras."""

    cameras: list[CameraShown]


class WorkerShown(Shown):
    """One process of the service."""

    name: str
    """Name in the process table; for an ingest worker with the camera."""
    phase: WorkerPhase
    pid: int | None
    """Process id; null while there is no process."""
    restarts: int
    """Starts after the first one."""
    reason: str
    degraded: dict[str, str] = {}
    """Degraded part → why, such as `store` on a full disk."""


class ServiceShown(Shown):
    """The processes of the service."""

    workers: list[WorkerShown]


class ScenesShown(Shown):
    """The stored scenes of a camera."""

    model_config = ConfigDict(extra="allow")

    scenes: list[dict[str, Any]]


class SupportShown(Shown):
    """The frames that a scene was adapted to."""

    pictures: list[str]
    """Path of one frame of each clip."""


class EventShown(Shown):
    """An event as stored; times are Unix seconds UTC."""

    model_config = ConfigDict(extra="ignore")

    id: str
    camera: str
    connection: int
    first_index: int
    started_at: float
    started_pts_seconds: float
    ended_at: float | None
    """Null while it is active."""
    duration_seconds: float
    peak_score: float
    peak_at: float
    terms: dict[str, float]
    """Contribution of each term of the energy to the peak score, before smoothing. motion: more or
    faster motion than normal at that place; residual: appearance unlike the scene; still:
    appearance of static content unlike the scene. Empty if unknown."""
    zones: list[str]
    """Zones that it entered, in that order; empty on a camera without zones."""
    state: SceneState
    suppressed: bool
    """Whether no notification was sent."""
    suppressed_by: Suppression | None
    """Why: it began in the cool-down of another event, outside of the schedule, or while the scene
    was calibrated."""
    frames: int
    acknowledged_at: float | None
    label: Label | None
    note: str | None
    accepted_as_normal: bool
    """Whether the scene accepts it as normal."""
    snapshot: str | None
    """Path of the frame with the peak score; null: there is none."""
    heatmap: str | None
    """Path of this frame with the anomaly map overlaid; null: there is none."""
    clip: str | None
    """Path of the video; null: there is none."""


class EventsShown(Shown):
    """A page of events, newest first."""

    events: list[EventShown]
    next_cursor: str | None
    """Cursor of the next page; null: this is the last page."""


class EventPatch(Section):
    """Changes to the annotations of an event; omitted fields do not change."""

    acknowledged: bool = False
    """Whether it is acknowledged."""
    label: Label | None = None
    """Label of the event; null: none. An event labelled normal is accepted as normal in its scene,
    until it gets another label."""
    note: Annotated[str, Field(max_length=2000)] | None = None
    """Free text; null: none."""


class ScoreShown(Shown):
    """Scores of one second or minute."""

    model_config = ConfigDict(extra="allow")

    begins_at: int
    highest: float | None
    """Null where no frame had a score."""
    mean: float | None


class ScoresShown(Shown):
    """Score history of a camera, oldest first."""

    scores: list[ScoreShown]


class Reloaded(Shown):
    """Changes made by reloading the configuration file: names of cameras."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    unchanged: list[str]
    needs_restart: list[str]
    """Sections that differ but take effect only after a restart of the service."""


class Health(Shown):
    """Result of a health check."""

    ok: bool


class FrameShown(Shown):
    """The score of one frame."""

    captured_at: float
    score: float | None
    energy: float | None
    threshold: float | None
    state: SceneState
    terms: dict[str, float] = {}
    """Contribution of each term of the energy to the score."""


class FramesShown(Shown):
    """Single scores, oldest first."""

    frames: list[FrameShown]


class AlarmShown(Shown):
    """An event that a threshold would have raised."""

    begins_at: float
    ends_at: float
    peak: float


class LevelShown(Shown):
    """Events that one target rate of false alarms would have raised."""

    false_alarms_per_day: float
    threshold: float
    """The present score at which events would begin."""
    count: int
    per_day: float | None
    """Null: the observed time is too short."""
    alarms: list[AlarmShown]
    """The newest 500."""


class AlarmsShown(Shown):
    """Events that target rates of false alarms would have raised, by rising rate."""

    false_alarms_per_day: float
    """The current target rate."""
    calibrated: bool
    """Whether the scene is calibrated; before, there are no levels."""
    watched_seconds: float
    zones: bool
    """Whether the camera has zones; they are ignored here, so that the real number is lower."""
    levels: list[LevelShown]
