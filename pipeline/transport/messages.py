"""What travels between the processes: frozen dataclasses, one a message kind.

`FrameMessage` and `ScoreMessage` carry raw buffers beside their header; everything in a header is
plain JSON data. `wire.py` turns them into ZeroMQ parts and back.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

SCHEMA_VERSION = 1

SceneState = Literal["collecting", "fitting", "calibrating", "ready", "held", "stale"]
CameraState = Literal[
    "starting", "adapting", "watching", "offline", "stale", "ended", "disabled", "error"
]


@dataclass(frozen=True, slots=True)
class Hello:
    """Ingest worker → scoring worker: here I am; repeated until credits arrive."""

    camera: str
    incarnation: int
    """Number of the process of the ingest worker."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Scoring worker → ingest worker: the answer to `Hello`."""

    incarnation: int
    """Number of the process of the scoring worker; a new one means that it forgot all."""
    credits: int
    """How many frames may be on the way and not yet done."""
    context_seconds: float
    """How much of the past a clip reaches back to; sent again after a restart of the scorer."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameMessage:
    """Ingest worker → scoring worker: one sampled frame."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    sent_at: float
    """Seconds of the monotonic clock at which the ingest worker handed it to the socket."""
    dropped: int
    """Frames of this connection dropped by policy before this one, in all."""
    context: bool
    """True: was done before, only to fill the clip of its successors; is not scored again."""
    scorer: int
    """Incarnation of the scoring worker that granted the credit; any other one ignores the frame,
    so that a frame still under way cannot overtake those that its predecessor took down."""
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB."""
    blind: str | None = None
    """Why nothing can be seen in it: "frozen", "black" or "constant"; None: something can."""
    source_hw: list[int] | None = None
    """Height and width of the camera's own pictures; None: those of the pixels."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """The camera's own picture for people, a JPEG file, uint8 (N,); None: this frame has none."""


@dataclass(frozen=True, slots=True)
class Done:
    """Scoring worker → ingest worker: the sink has this frame's score; one credit comes back."""

    connection: int
    index: int
    pictures: bool = False
    """Whether every frame shall have a picture for now, as the camera is near an event."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMessage:
    """Scoring worker → alert sink: the second of the three nouns, one a scored frame."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    scored_at: float
    dropped: int
    """As in `FrameMessage`."""
    state: SceneState
    """Life of the scene at this frame; "collecting" and "fitting" carry no energy, and of "held"
    and "stale" nobody is alerted."""
    progress: str
    """For people: "3/16" while collecting, "12/60 s" while calibrating, why it is stale."""
    energy: float | None
    """Raw energy, unbounded, low = normal."""
    score: float | None
    """Calibrated: 0 = the median of normal, 1 = the threshold."""
    threshold: float | None
    """The energy at which the score is 1."""
    anomaly_map: npt.NDArray[np.float32] | None = field(default=None)
    """float32 (h, w) in units of the score, coarse; None without energy."""
    pixels: npt.NDArray[np.uint8] | None = field(default=None)
    """uint8 (H, W, 3), RGB; only where the score is worth a snapshot."""
    source_hw: list[int] | None = None
    """As in `FrameMessage`."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """As in `FrameMessage`; only beside pixels."""
    learning: dict[str, float | bool] | None = None
    """How far the scene is learnt: `pipeline.scenes.calibration_window.Learning` as plain data."""
    terms: dict[str, float] = field(default_factory=dict)
    """What each term of the energy adds to the score of this frame, before smoothing, in units of
    the score: why it is high. Empty without energy."""
    number: int = 0
    """Set by the sending socket: position in its stream, from 1 (see delivery.py)."""
    after: int = 0
    """Set by the sending socket: number of the unacknowledged score before this one, 0 = none."""


@dataclass(frozen=True, slots=True)
class ScoreAck:
    """Alert sink → scoring worker: this score is kept (or was kept before)."""

    camera: str
    connection: int
    index: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every worker → supervisor: I live, and these are my counters."""

    worker: str
    """Name in the process table, such as "ingest:front_door"."""
    pid: int
    incarnation: int
    """Number of the process of the worker; another one for each start."""
    sent_at: float
    cameras: dict[str, str] = field(default_factory=dict)
    """Camera name → `CameraState`, optionally followed by ": reason"."""
    metrics: list[list[object]] = field(default_factory=list)
    """Snapshot of the worker's metrics (see pipeline.telemetry.metrics)."""
    ready: bool = False
    """Whether the worker does its work: its model is loaded, its address listened on."""
    learning: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    """Camera name → how far its scene is learnt, as in `ScoreMessage`."""
    problems: dict[str, str] = field(default_factory=dict)
    """Part of the worker that is degraded → why."""


@dataclass(frozen=True, slots=True)
class Live:
    """Alert sink → whoever watches: newest score of a camera, and events as they change."""

    camera: str
    kind: Literal["score", "event"]
    body: dict[str, object]
    """The score without its buffers, or the event as stored."""


AnswerStatus = Literal["ok", "invalid", "unknown", "conflict", "unavailable", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """A command: whoever commands → supervisor, and supervisor → the worker that it concerns."""

    id: str
    """Chosen by whoever asks; comes back with the answer."""
    command: str
    """Its name (see commands.py)."""
    arguments: dict[str, object]
    deadline: float
    """Seconds of the monotonic clock, which all processes of a machine share: after them nobody
    waits for the answer, and the command must not be carried out."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of a `Request`; goes back the same way."""

    id: str
    status: AnswerStatus
    """invalid: malformed; unknown: no such camera, event or scene; conflict: not in this state;
    unavailable: a worker is away; failed: such as a full disk."""
    body: dict[str, object] = field(default_factory=dict)
    problem: str = ""
    """What was got and what is wanted, for people, without credentials; empty when ok."""
    anomaly_map: npt.NDArray[np.float32] | None = field(default=None)
    """float32 (h, w) in units of the score, of a picture with one."""
    pixels: npt.NDArray[np.uint8] | None = field(default=None)
    """uint8 (H, W, 3), RGB, of a picture."""
    source_hw: list[int] | None = None
    """As in `FrameMessage`, of a picture."""
    picture: npt.NDArray[np.uint8] | None = field(default=None)
    """As in `FrameMessage`."""


@dataclass(frozen=True, slots=True)
class RevisionAck:
    """Worker → supervisor: this is the table of cameras that I work by; repeated every second."""

    worker: str
    revision: int


@dataclass(frozen=True, slots=True)
class CameraTable:
    """Supervisor → worker: the cameras from now on, credentials included."""

    revision: int
    cameras: dict[str, object]
    """Name → `pipeline.config.Camera` as JSON data, with everything inherited."""
