"""The scores topic: scoring worker → alert sink, acknowledged one by one, never lost."""

import secrets
import time
from collections.abc import Callable

from pipeline.transport.delivery import ScoreDeduplicator, UnacknowledgedScores
from pipeline.transport.messages import ScoreAck, ScoreMessage
from pipeline.transport.ports import Port
from pipeline.transport.topics import (
    SCORES,
    SCORES_OUTBOX_CAPACITY,
    SCORES_RESEND_SECONDS,
    Endpoints,
)
from pipeline.transport.wire import encode


class ScoreSender(Port):
    """The scoring worker's end: keeps each score until the sink acknowledges it, over its restarts.

    Call `poll` often: it also retransmits.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        resend_seconds: float = SCORES_RESEND_SECONDS,
        capacity: int = SCORES_OUTBOX_CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A new identity for each sender: its numbers must not be mixed with those of an earlier
        # process.
        super().__init__(SCORES, endpoints, sends=True, identity=secrets.token_hex(8).encode())
        self._outbox = UnacknowledgedScores(capacity, resend_seconds)
        self._clock = clock

    @property
    def unacknowledged(self) -> int:
        """Number of scores that the sink has not acknowledged."""
        return len(self._outbox)

    def send(self, score: ScoreMessage) -> None:
        """Store a score and send it; its arrays must not change.

        Raises:
            UnacknowledgedFullError: too many scores are unacknowledged.
            WireError: a number in it is not finite, or an array is of a wrong type or shape.
        """
        encode(score)  # raises before the score is stored, or each retransmission would fail
        numbered = self._outbox.put(score, self._clock())
        if numbered is not None:
            self._send(numbered)

    def poll(self, timeout_seconds: float) -> list[ScoreAck]:
        """Return new acknowledgements, each once; retransmits overdue scores."""
        acks = []
        for _, message in self._receive(timeout_seconds):
            if not isinstance(message, ScoreAck):
                self._reject(f"want an acknowledgement, got {type(message).__name__}")
            elif self._outbox.acknowledge(message, self._clock()):
                acks.append(message)
        for score in self._outbox.due(self._clock()):
            if not self._send(score):
                break
        return acks


class ScoreReceiver(Port):
    """The alert sink's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(SCORES, endpoints, sends=False)
        self._inbox = ScoreDeduplicator()
        self._senders: dict[str, bytes] = {}

    def poll(self, timeout_seconds: float) -> list[ScoreMessage]:
        """Scores in order for each camera, some repeated; empty after the time-out."""
        scores = []
        for sender, message in self._receive(timeout_seconds):
            if not isinstance(message, ScoreMessage):
                self._reject(f"want a score, got {type(message).__name__}")
            elif self._inbox.accepts(sender, message):
                self._senders[message.camera] = sender
                scores.append(message)
        return scores

    def ack(self, ack: ScoreAck) -> None:
        """Acknowledge a score; if the acknowledgement is lost, the score is retransmitted."""
        sender = self._senders.get(ack.camera)
        if sender is not None:
            self._send(ack, to=sender)
