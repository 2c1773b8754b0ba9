"""In-order delivery of every score: unacknowledged scores of the sender, filter of the receiver.

The sender numbers its scores 1, 2, 3 … and sends with each one the number of the unacknowledged
score before it. The receiver accepts a score only when it has that one: so a receiver that starts
in the middle of a stream, when a part of it was lost with the previous process, waits for the
retransmission instead of storing score 6 and then treating score 5 as an old one.

Both halves are free of I/O; the clock is passed in.
"""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.transport.messages import ScoreAck, ScoreMessage


class UnacknowledgedFullError(Exception):
    """More scores wait for an acknowledgement than the credits of the cameras can explain."""


class UnacknowledgedScores:
    """Scores that were sent and are not acknowledged, oldest first."""

    def __init__(self, capacity: int, resend_seconds: float) -> None:
        self._capacity = capacity
        self._resend_seconds = resend_seconds
        self._waiting: dict[ScoreAck, ScoreMessage] = {}
        self._last_number = 0
        self._progress_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, score: ScoreMessage, now: float) -> ScoreMessage | None:
        """Add a score; returns what to send, or None if the same score is already in flight.

        Raises:
            UnacknowledgedFullError: the capacity is reached.
        """
        key = ScoreAck(score.camera, score.connection, score.index)
        if key in self._waiting:
            return None
        if len(self._waiting) >= self._capacity:
            raise UnacknowledgedFullError(
                f"want at most {self._capacity} unacknowledged scores, got one more "
                f"(camera {score.camera})"
            )
        if not self._waiting:
            self._progress_at = now
        newest = next(reversed(self._waiting.values()), None)
        self._last_number += 1
        numbered = replace(
            score, number=self._last_number, after=0 if newest is None else newest.number
        )
        self._waiting[key] = numbered
        return numbered

    def acknowledge(self, ack: ScoreAck, now: float) -> bool:
        """Remove a score; False if it was not waiting (acknowledged twice)."""
        if self._waiting.pop(ack, None) is None:
            return False
        self._progress_at = now
        return True

    def due(self, now: float) -> list[ScoreMessage]:
        """All waiting scores, in order, if nothing was acknowledged for the resend time."""
        if not self._waiting or now - self._progress_at < self._resend_seconds:
            return []
        self._progress_at = now
        return list(self._chained())

    def _chained(self) -> Iterator[ScoreMessage]:
        after = 0
        for score in self._waiting.values():
            yield replace(score, after=after)
            after = score.number


class ScoreDeduplicator:
    """Decides which scores the receiver may accept, for each sender."""

    def __init__(self) -> None:
        # One entry for each scorer process so far: one more at each restart of the scorer.
        self._last: dict[bytes, int] = {}

    def accepts(self, sender: bytes, score: ScoreMessage) -> bool:
        """Whether all unacknowledged scores before this one have arrived; repetitions pass."""
        last = self._last.get(sender, 0)
        if score.after > last:
            return False
        self._last[sender] = max(last, score.number)
        return True
