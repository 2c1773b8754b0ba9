"""One scored frame as the event tracker reads it and the score log stores it."""

from dataclasses import dataclass, field, fields

from pipeline.transport.messages import SceneState, ScoreMessage

Position = tuple[int, int]
"""Connection and index of a frame; frames of a camera are ordered by it."""


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """Score of one frame of a camera; one line of the score log."""

    camera: str
    connection: int
    index: int
    pts_seconds: float
    captured_at: float
    """Unix seconds UTC."""
    energy: float | None = field(default=None, kw_only=True)
    score: float | None
    threshold: float | None = field(default=None, kw_only=True)
    """The energy at which the score is 1."""
    state: SceneState
    dropped: int = field(default=0, kw_only=True)
    """Frames of this connection that were dropped so far."""
    zones: dict[str, float] = field(default_factory=dict)
    """Score of each zone; empty without zones or without a score."""
    terms: dict[str, float] = field(default_factory=dict)
    """What each term of the energy adds to the score, see `ScoreMessage`; empty without energy."""

    @property
    def position(self) -> Position:
        """Position of the frame among those of its camera."""
        return self.connection, self.index


def record_of(message: ScoreMessage, zones: dict[str, float]) -> ScoreRecord:
    """The record of a score and of the scores of its zones."""
    names = (field.name for field in fields(ScoreRecord) if field.name != "zones")
    return ScoreRecord(**{name: getattr(message, name) for name in names}, zones=zones)
