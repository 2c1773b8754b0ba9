"""What the API takes and gives; the OpenAPI document is made of it."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipeline.config.base import Name, Section
from pipeline.events.event_tracker import Suppression
from pipeline.telemetry.health import WorkerPhase
from pipeline.transport.commands import EventId, Label, SceneId
from pipeline.transport.messages import CameraState, SceneState

CameraName = Annotated[Name, Path(description="Name of the camera.")]
EventPath = Annotated[EventId, Path(description="Id of the event.")]
ScenePath = Annotated[SceneId, Path(description="Id of the scene.")]


class Shown(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Problem(Shown):
    """Why something was not done."""

    detail: str
    """What was got and what is wanted."""


class NewCamera(Section):
    """A camera to be watched from now on."""

    name: Name
    """Of letters, digits, "_" and "-"; names its files, too."""
    camera: dict[str, JsonValue] = Field(repr=False)
    """As it would stand in the configuration file; {VEDETTE_CAMERA_…} stands for a secret."""


class LearningShown(Shown):
    """How far a camera has learnt what is normal."""

    trusted: bool
    """Whether its scene is calibrated: before, events are recorded and nobody is notified."""
    trusted_in_seconds: float
    """Normal stream time until then, as far as is known; 0 where it is."""
    normal_seconds: float
    """Normal time that was watched in this scene."""
    wanted_seconds: float
    """Normal time from which the threshold is not extrapolated: one alarm a day wants a day."""
    enough: bool
    """Whether that much was watched."""


class CameraShown(Shown):
    """One camera."""

    name: str
    origin: Literal["file", "attached"]
    """Whether it stands in the configuration file, or came at run time."""
    enabled: bool
    state: CameraState
    reason: str
    """Why it is in this state, or how far it got; may be empty."""
    learning: LearningShown | None
    """When it will be trusted, and what its threshold rests on; null: not known now."""
    settings: dict[str, Any] | None
    """As in the configuration, with everything inherited, without credentials; null: unusable."""


class CamerasShown(Shown):
    """All cameras."""

    cameras: list[CameraShown]


class WorkerShown(Shown):
    """One process of the service."""

    name: str
    """Its role, of an ingest worker also its camera."""
    phase: WorkerPhase
    pid: int | None
    """Process id; null while there is no process."""
    restarts: int
    """Starts after the first one."""
    reason: str
    degraded: dict[str, str] = {}
    """Part that does not do all it should, such as `store` on a full disk, and why."""


class ServiceShown(Shown):
    """The processes of the service."""

    workers: list[WorkerShown]


class ScenesShown(Shown):
    """The scenes that a camera has had."""

    model_config = ConfigDict(extra="allow")

    scenes: list[dict[str, Any]]


class EventShown(Shown):
    """An event, as it is stored; times are Unix seconds UTC."""

    model_config = ConfigDict(extra="ignore")

    id: str
    camera: str
    connection: int
    first_index: int
    started_at: float
    started_pts_seconds: float
    ended_at: float | None
    """Null while it goes on."""
    duration_seconds: float
    peak_score: float
    peak_at: float
    terms: dict[str, float]
    """Why: what each term of the energy adds to the score of the peak, before smoothing. motion:
    more moves, or faster, than is normal there; residual: it looks unlike the scene; still: what
    stands still looks unlike it. Empty where nobody knows."""
    zones: list[str]
    """Zones that it reached, in that order; empty on a camera without zones."""
    state: SceneState
    suppressed: bool
    """Nobody was told."""
    suppressed_by: Suppression | None
    """Why: it began in the cool-down of another one, outside of the schedule, or while the camera
    was learning its scene (calibrating)."""
    frames: int
    acknowledged_at: float | None
    label: Label | None
    note: str | None
    remembered: bool
    """Whether what it showed is normal for its scene from now on."""
    snapshot: str | None
    """Address of the picture of its peak; null: there is none."""
    heatmap: str | None
    """Address of the same with the anomaly map."""
    clip: str | None
    """Address of the video."""


class EventsShown(Shown):
    """A page of events, newest first."""

    events: list[EventShown]
    next_cursor: str | None
    """For the next page; null: this is the last one."""


class EventPatch(Section):
    """What a person says of an event; what is left out stays as it is."""

    acknowledged: bool = False
    """Whether somebody has seen it."""
    label: Label | None = None
    """What it is taken for; null: nobody knows. What is normal the scene remembers, and forgets
    when it is taken for anything else."""
    note: Annotated[str, Field(max_length=2000)] | None = None
    """Free text; null: none."""


class ScoreShown(Shown):
    """What was seen in one second or minute."""

    model_config = ConfigDict(extra="allow")

    begins_at: int
    highest: float | None
    """Null where no frame had a score."""
    mean: float | None


class ScoresShown(Shown):
    """The course of a camera's score, oldest first."""

    scores: list[ScoreShown]


class Reloaded(Shown):
    """What reading the configuration file again has changed: names of cameras."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    unchanged: list[str]
    needs_restart: list[str]
    """Sections that differ, but hold only after a restart of the service."""


class Health(Shown):
    """Whether all is well."""

    ok: bool


class FrameShown(Shown):
    """The score of one frame."""

    captured_at: float
    score: float | None
    energy: float | None
    threshold: float | None
    state: SceneState
    terms: dict[str, float] = {}
    """What each term of the energy adds to the score."""


class FramesShown(Shown):
    """Single scores, oldest first."""

    frames: list[FrameShown]


class AlarmShown(Shown):
    """An event that a threshold would have raised."""

    begins_at: float
    ends_at: float
    peak: float


class LevelShown(Shown):
    """What one threshold would have raised."""

    threshold: float
    count: int
    per_day: float | None
    """Null: too little was watched to say."""
    alarms: list[AlarmShown]
    """The newest 500."""


class AlarmsShown(Shown):
    """What thresholds would have raised."""

    threshold: float
    """In force now."""
    watched_seconds: float
    zones: bool
    """Whether the camera has zones: they are not counted by, so that there would be fewer."""
    levels: list[LevelShown]


class ProbeProblem(Shown):
    """Why a source cannot be watched."""

    code: str
    """refused, unauthorised, not_found, timeout, codec, corrupt, ended or malformed."""
    message: str


class ProbeShown(Shown):
    """What a source sends."""

    report: dict[str, Any] | None = None
    """Null: it cannot be watched."""
    picture: str | None = None
    """One picture, JPEG in base64."""
    problem: ProbeProblem | None = None


class DevicesShown(Shown):
    """The cameras of the local network."""

    devices: list[dict[str, Any]]


class ProcessShown(WorkerShown):
    """One process, and what it takes."""

    cpu_percent: float | None = None
    """Of one core, since somebody looked before; null: not known yet."""
    memory_bytes: int | None = None


class SystemShown(Shown):
    """What the service runs on, and what it takes."""

    versions: dict[str, str]
    started_at: float
    processes: list[ProcessShown]
    cameras: list[dict[str, Any]]
    """Frames a second, dropped frames and latency of each camera that sends."""
    storage: dict[str, Any]
    """Sizes of the data folder, free space, and for how long events are kept."""


class LogShown(Shown):
    """Newest lines of the logs."""

    lines: list[str]


class TokenShown(Shown):
    """One token, without itself."""

    name: str
    role: Literal["viewer", "admin"]
    origin: Literal["file", "made"]


class TokensShown(Shown):
    """All tokens."""

    tokens: list[TokenShown]


class NewTokenShown(Shown):
    """A token that was made."""

    name: str
    role: Literal["viewer", "admin"]
    token: str
    """Told only once."""
