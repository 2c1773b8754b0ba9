"""Delivery of every score in order: what the sender keeps, and what the receiver lets through.

The sender numbers its scores 1, 2, 3 … and says with each one which unacknowledged number comes
right before it. The receiver lets a score through only when it has that one: so a receiver that
starts in the middle of a stream, when a part of it went down with its predecessor, waits for the
repetition instead of keeping score 6 and then taking score 5 for an old one.

Both halves are pure; the clock is passed in.
"""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.transport.messages import ScoreAck, ScoreMessage


class UnacknowledgedFullError(Exception):
    """More scores wait for an acknowledgement than the credits of the cameras can explain."""


class UnacknowledgedScores:
    """Scores that are sent and not acknowledged, oldest first."""

    def __init__(self, capacity: int, resend_seconds: float) -> None:
        self._capacity = capacity
        self._resend_seconds = resend_seconds
        self._waiting: dict[ScoreAck, ScoreMessage] = {}
        self._last_number = 0
        self._progress_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, score: ScoreMessage, now: float) -> ScoreMessage | None:
        """Keep a score; what to send, or None where the same one is on its way already.

        Raises:
            UnacknowledgedFullError: the outbox is at its capacity.
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
        """Forget a score; False where it was not waiting (acknowledged twice)."""
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
    """Which scores the receiver may take, for each sender."""

    def __init__(self) -> None:
        # One number for each scorer that ever spoke: it grows by one at each restart of the scorer.
        self._last: dict[bytes, int] = {}

    def accepts(self, sender: bytes, score: ScoreMessage) -> bool:
        """Is everything unacknowledged before this score here? Repetitions are let through."""
        last = self._last.get(sender, 0)
        if score.after > last:
            return False
        self._last[sender] = max(last, score.number)
        return True
