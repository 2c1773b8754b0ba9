"""What is wrong for a while: told once at its beginning, seldom while it lasts, and at its end."""

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Gauge

LOG = logging.getLogger(__name__)

_REMIND_SECONDS = 600.0
_STEADY_SECONDS = 10.0
"""A part works again after so long without a failure: a full disk takes one line and
refuses the next."""


class OngoingProblems:
    """Parts of a worker that do not do all they should, and why; safe between threads.

    A worker with any is `degraded`: it goes on, and what it cannot do is made up for later or lost.
    """

    def __init__(
        self, gauge: Gauge | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without any.

        Args:
            gauge: With the label `part`: 1 while it lasts; None: none.
            clock: Monotonic seconds.
        """
        self._gauge = gauge
        self._clock = clock
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}
        self._began_at: dict[str, float] = {}
        self._told_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._works: set[str] = set()

    def set(self, part: str, reason: str) -> None:
        """Say that a part is degraded; an empty reason: that it is not.

        Args:
            part: A small enumeration, such as "store".
            reason: For people, without credentials.
        """
        if not reason:
            self.clear(part)
            return
        now = self._clock()
        with self._lock:
            self._reasons[part] = reason
            self._failed_at[part] = now
            self._works.discard(part)
            began_at = self._began_at.setdefault(part, now)
            told_at = self._told_at.get(part)
            tell = told_at is None or now - told_at >= _REMIND_SECONDS
            if tell:
                self._told_at[part] = now
        if self._gauge is not None:
            self._gauge.labels(part).set(1)
        if tell and now == began_at:
            LOG.warning("degraded: %s: %s", part, reason)
        elif tell:
            LOG.warning("degraded since %.0f s: %s: %s", now - began_at, part, reason)

    def clear(self, part: str) -> None:
        """Say that a part works; it counts as degraded until it has done so for ten seconds."""
        if part not in self._reasons:
            return
        with self._lock:
            if part in self._reasons:
                self._works.add(part)
        self._end_what_works()

    def snapshot(self) -> dict[str, str]:
        """Part → reason; called at every heartbeat, so that what works again ends in time."""
        self._end_what_works()
        with self._lock:
            return dict(self._reasons)

    def _end_what_works(self) -> None:
        now = self._clock()
        ended: list[tuple[str, float]] = []
        with self._lock:
            for part in [*self._works]:
                if now - self._failed_at[part] >= _STEADY_SECONDS:
                    self._works.remove(part)
                    for known in (self._reasons, self._told_at, self._failed_at):
                        del known[part]
                    ended.append((part, now - self._began_at.pop(part)))
        for part, seconds in ended:
            if self._gauge is not None:
                self._gauge.labels(part).set(0)
            LOG.info("%s: works again after %.0f s", part, seconds)
