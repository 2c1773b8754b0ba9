"""The same problem a thousand times a second makes one line a second, with a count."""

import logging
import time
from collections.abc import Callable


class RateGate:
    """Lets one event through per period, and says how many it held back. Pure."""

    def __init__(self, period_seconds: float = 1.0) -> None:
        self._period_seconds = period_seconds
        self._passed_at: float | None = None
        self._held_back = 0

    def count(self, now: float) -> int | None:
        """Count one event: None to keep silent, else how many were held back before it."""
        if self._passed_at is not None and now - self._passed_at < self._period_seconds:
            self._held_back += 1
            return None
        held_back, self._held_back = self._held_back, 0
        self._passed_at = now
        return held_back


class LimitedWarning:
    """Warnings of one kind, at most one line in a period."""

    def __init__(
        self,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        period_seconds: float = 1.0,
    ) -> None:
        self._log = log
        self._clock = clock
        self._gate = RateGate(period_seconds)

    def warn(self, text: str) -> None:
        """Log a warning, or count it; the next line that is logged tells the count."""
        held_back = self._gate.count(self._clock())
        if held_back is not None:
            more = f" ({held_back} more like it before)" if held_back else ""
            self._log.warning("%s%s", text, more)
