"""Schedule the frames of streams that arrive in bursts. Pure functions of the clock passed in."""

from collections import deque

_WINDOW_SECONDS = 30.0
_GAP_SECONDS = 0.25
"""A frame that arrives this much later than its time stamp implies ends a gap."""
_MIN_GAPS = 3
MAX_HOLD_SECONDS = 10.0


class BurstSmoother:
    """Computes when each frame of a live stream is due.

    Servers that segment a stream deliver seconds of it at once. A reader that keeps only the newest
    frame would get one frame of each segment. So frames are delayed by the longest transit time of
    the last half minute; but only where gaps recur, so that an evenly delivered stream is never
    delayed, neither after a single hiccup nor after the backlog that a server sends first.
    """

    def __init__(self) -> None:
        """Start with a new connection."""
        self._transits: deque[tuple[float, float]] = deque()
        self._gaps: deque[float] = deque()
        self._last: tuple[float, float] | None = None
        self._due = -float("inf")

    def due_seconds(self, pts_seconds: float, arrived_seconds: float) -> float:
        """Return when the next frame is due.

        Args:
            pts_seconds: Its stream time, increasing.
            arrived_seconds: Arrival, monotonic clock.

        Returns:
            Monotonic seconds, not before its arrival nor before the previous frame is due.
        """
        now, transit = arrived_seconds, arrived_seconds - pts_seconds
        if self._last is not None:
            step, waited = pts_seconds - self._last[0], now - self._last[1]
            if waited - step > _GAP_SECONDS:
                self._gaps.append(now)
        self._last = pts_seconds, now
        self._transits.append((now, transit))
        while self._transits[0][0] < now - _WINDOW_SECONDS:
            self._transits.popleft()
        while self._gaps and self._gaps[0] < now - _WINDOW_SECONDS:
            self._gaps.popleft()
        due = now
        if len(self._gaps) >= _MIN_GAPS:
            latest = max(transit for _, transit in self._transits)
            due = min(max(now, pts_seconds + latest), now + MAX_HOLD_SECONDS)
        self._due = max(self._due, due)
        return self._due
