"""Streams whose pictures come in bursts although each has its time: when is each due? Pure."""

from collections import deque

_WINDOW_SECONDS = 30.0
_GAP_SECONDS = 0.25
"""A picture that comes so much later after the one before than their times differ ends a gap."""
_LEAST_GAPS = 3
LONGEST_HOLD_SECONDS = 10.0


class BurstSmoother:
    """Says when each picture of a live stream is to be handed on.

    Servers that cut a stream into pieces hand out seconds of it at once. Who takes only the newest
    picture would see one of each piece. So pictures are held until the time that the latest of the
    last half minute would have had; but only where gaps recur, so that a stream that comes evenly
    is never delayed, nor one for a hiccup or for what a server has kept for the beginning.
    """

    def __init__(self) -> None:
        """Begin with a connection."""
        self._seen: deque[tuple[float, float]] = deque()
        self._gaps: deque[float] = deque()
        self._last: tuple[float, float] | None = None
        self._due = -float("inf")

    def due_seconds(self, pts_seconds: float, arrived_seconds: float) -> float:
        """When the next picture is to be handed on.

        Args:
            pts_seconds: Its time in the stream, rising.
            arrived_seconds: Monotonic.

        Returns:
            On the same clock, never before its arrival nor before the one before it.
        """
        now, transit = arrived_seconds, arrived_seconds - pts_seconds
        if self._last is not None:
            step, waited = pts_seconds - self._last[0], now - self._last[1]
            if waited - step > _GAP_SECONDS:
                self._gaps.append(now)
        self._last = pts_seconds, now
        self._seen.append((now, transit))
        while self._seen[0][0] < now - _WINDOW_SECONDS:
            self._seen.popleft()
        while self._gaps and self._gaps[0] < now - _WINDOW_SECONDS:
            self._gaps.popleft()
        due = now
        if len(self._gaps) >= _LEAST_GAPS:
            latest = max(transit for _, transit in self._seen)
            due = min(max(now, pts_seconds + latest), now + LONGEST_HOLD_SECONDS)
        self._due = max(self._due, due)
        return self._due
