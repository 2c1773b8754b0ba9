"""Messages between the processes: frozen dataclasses, one per message kind.

`FrameMessage`, `ScoreMessage` and `Answer` carry raw buffers after their header; everything in a
header is plain JSON data. `wire.py` converts them into ZeroMQ parts and back.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

SCHEMA_VERSION = 1

SceneState = Literal["collecting", "fitting", "calibrating", "ready", "suppressed", "stale"]
UNJUDGED: tuple[SceneState, ...] = ("collecting", "fitting", "suppressed", "stale")
"""States in which no score raises an alert."""
CameraState = Literal[
    "starting", "adapting", "watching", "offline", "stale", "ended", "disabled", "error"
]


@dataclass(frozen=True, slots=True)
class Hello:
    """Ingest worker → scoring worker: announces the worker; repeated until credits arrive."""

    camera: str
    incarnation: int
    """Process number of the ingest worker."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Scoring worker → ingest worker: the answer to `Hello`."""

    incarnation: int
    """Process number of the scoring worker; a new one means that its state was lost."""
    credits: int
    """Maximum number of frames in flight, sent and not yet done."""
    context_seconds: float
    """Stream time that a clip spans; these frames are sent again after a restart of the scorer."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameMessage:
    """Ingest worker → scoring worker: one sampled frame."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    sent_at: float
    """Seconds of the monotonic clock at which the ingest worker sent it."""
    dropped: int
    """Total number of frames of this connection dropped by policy before this one."""
    context: bool
    """True: it was done before and only fills the clips of later frames; it is not scored again."""
    scorer: int
    """Incarnation of the scoring worker that granted the credit; any other one ignores the frame,
    so that a frame in flight cannot overtake those that were lost with the previous process."""
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB."""
    blind: str | None = None
    """Why the frame shows nothing: "frozen", "black" or "constant"; None: it is usable."""
    source_hw: list[int] | None = None
    """Height and width of the camera's frames; None: those of the pixels."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """The full-size frame for people as a JPEG file, uint8 (N,); None: this frame has none."""


@dataclass(frozen=True, slots=True)
class Done:
    """Scoring worker → ingest worker: the sink has this frame's score; returns one credit."""

    connection: int
    index: int
    pictures: bool = False
    """Whether every frame must have a picture for now, because an event is likely or active."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMessage:
    """Scoring worker → alert sink: the score of one frame."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    scored_at: float
    dropped: int
    """As in `FrameMessage`."""
    state: SceneState
    """State of the scene at this frame; "collecting" and "fitting" carry no energy, and
    "suppressed" and "stale" raise no alert."""
    progress: str
    """For people: "3/16" while collecting, "12/60 s" while calibrating, why it is stale."""
    energy: float | None
    """Raw energy, unbounded, low = normal."""
    score: float | None
    """Calibrated score: 0 = the median of normal, 1 = the threshold."""
    threshold: float | None
    """Energy at which the score is 1."""
    anomaly_map: npt.NDArray[np.float32] | None = field(default=None)
    """float32 (h, w) in units of the score, coarse; None without energy."""
    gradient: npt.NDArray[np.float32] | None = field(default=None)
    """float32 (h, w), pooled |∇ₓE|, >= 0; only together with pixels, where it is configured."""
    pixels: npt.NDArray[np.uint8] | None = field(default=None)
    """uint8 (H, W, 3), RGB; only if the score justifies a snapshot."""
    source_hw: list[int] | None = None
    """As in `FrameMessage`."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """As in `FrameMessage`; only together with pixels."""
    learning: dict[str, float | bool] | None = None
    """Learning progress: `pipeline.scenes.calibration_window.Learning` as plain data."""
    terms: dict[str, float] = field(default_factory=dict)
    """Contribution of each term of the energy to the score of this frame, before smoothing, in
    units of the score. Empty without energy."""
    number: int = 0
    """Set by the sending socket: position in its stream, from 1 (see delivery.py)."""
    after: int = 0
    """Set by the sending socket: number of the unacknowledged score before this one, 0 = none."""


@dataclass(frozen=True, slots=True)
class ScoreAck:
    """Alert sink → scoring worker: this score is stored (now or earlier)."""

    camera: str
    connection: int
    index: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every worker → supervisor: the process runs; its states, problems and metrics."""

    worker: str
    """Name in the process table, such as "ingest:front_door"."""
    pid: int
    incarnation: int
    """Process number of the worker; another one for each start."""
    sent_at: float
    cameras: dict[str, str] = field(default_factory=dict)
    """Camera name → `CameraState`, optionally followed by ": reason"."""
    metrics: list[list[object]] = field(default_factory=list)
    """Snapshot of the worker's metrics (see pipeline.telemetry.metrics)."""
    ready: bool = False
    """Whether the preparation is finished: its model is loaded, it listens on its address."""
    learning: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    """Camera name → learning progress of its scene, as in `ScoreMessage`."""
    problems: dict[str, str] = field(default_factory=dict)
    """Part of the worker that is degraded → why."""


@dataclass(frozen=True, slots=True)
class Live:
    """Alert sink → subscribers: newest score of a camera, and each change of an event."""

    camera: str
    kind: Literal["score", "event"]
    body: dict[str, object]
    """The score without its buffers, or the event as stored."""


AnswerStatus = Literal["ok", "invalid", "unknown", "conflict", "unavailable", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """A command: client → supervisor, and supervisor → the worker that executes it."""

    id: str
    """Chosen by the sender; the answer repeats it."""
    command: str
    """Name of the command (see commands.py)."""
    arguments: dict[str, object]
    deadline: float
    """Seconds of the monotonic clock, which all processes of a machine share: afterwards the
    client no longer waits for the answer, and the command must not be executed."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Result of a `Request`; returned the same way."""

    id: str
    status: AnswerStatus
    """invalid: malformed; unknown: no such camera, event or scene; conflict: not possible in this
    state; unavailable: a worker is not running; failed: an error, such as a full disk."""
    body: dict[str, object] = field(default_factory=dict)
    problem: str = ""
    """What was got and what is wanted, for people, without credentials; empty when ok."""
    anomaly_map: npt.NDArray[np.float32] | None = field(default=None)
    """For `GetPicture`, if there is one: float32 (h, w) in units of the score."""
    pixels: npt.NDArray[np.uint8] | None = field(default=None)
    """For `GetPicture`: uint8 (H, W, 3), RGB."""
    source_hw: list[int] | None = None
    """As in `FrameMessage`."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """As in `FrameMessage`."""


@dataclass(frozen=True, slots=True)
class RevisionAck:
    """Worker → supervisor: the revision of the camera table in use; repeated every second."""

    worker: str
    revision: int


@dataclass(frozen=True, slots=True)
class CameraTable:
    """Supervisor → worker: the cameras from now on, including credentials."""

    revision: int
    cameras: dict[str, object]
    """Name → `pipeline.config.Camera` as JSON data, with everything inherited."""
