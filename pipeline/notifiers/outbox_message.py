"""A message that waits for one sink, and the bounds of the messages that may wait."""

from dataclasses import dataclass
from typing import Literal

OUTBOX_NAME = "outbox.sqlite"
"""Name of the database in the data folder."""
Kind = Literal["new", "update", "end"]
Loss = Literal["age", "count", "bytes"]
_KINDS: tuple[Kind, ...] = ("new", "update", "end")


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message to one sink."""

    sink: str
    """Name of the sink, such as "webhook:office"."""
    key: str
    """The same for every repetition of this message: a receiver processes it once."""
    subject: str
    """Id of the event; its messages are delivered in order, and its updates coalesce."""
    kind: Kind
    revision: int
    """Increases with the event, for any kind; >= 0."""
    body: str
    created_at: float
    """Unix seconds."""
    number: int = 0
    """Sequence number, assigned by the outbox."""

    @property
    def position(self) -> int:
        """Order among the messages of one event."""
        return self.revision * len(_KINDS) + _KINDS.index(self.kind)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the messages that wait for one sink."""

    messages: int = 10_000
    size_bytes: int = 64 << 20
    age_seconds: float = 86400.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that wait for one sink."""

    messages: int
    size_bytes: int
    oldest_at: float | None
    """Unix seconds; None if nothing waits."""
    refused: int
    """Messages that the receiver does not accept, stored for inspection until they are too old."""
