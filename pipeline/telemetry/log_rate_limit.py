"""Limit the rate of log lines: a frequent problem is logged once a second, with a count."""

import logging
import time
from collections.abc import Callable


class RateGate:
    """Passes one event per period and counts the suppressed ones; the clock is passed in."""

    def __init__(self, period_seconds: float = 1.0) -> None:
        self._period_seconds = period_seconds
        self._passed_at: float | None = None
        self._suppressed = 0

    def count(self, now: float) -> int | None:
        """Count an event; None: suppressed, else the number of events suppressed before it."""
        if self._passed_at is not None and now - self._passed_at < self._period_seconds:
            self._suppressed += 1
            return None
        suppressed, self._suppressed = self._suppressed, 0
        self._passed_at = now
        return suppressed


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
        """Log a warning, or count it; the next logged line contains the count."""
        suppressed = self._gate.count(self._clock())
        if suppressed is not None:
            more = f" ({suppressed} more like it before)" if suppressed else ""
            self._log.warning("%s%s", text, more)
