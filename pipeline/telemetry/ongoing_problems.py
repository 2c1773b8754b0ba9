"""Problems that last: logged at their beginning, rarely while they last, and at their end."""

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Gauge

LOG = logging.getLogger(__name__)

_REMIND_SECONDS = 600.0
_STEADY_SECONDS = 10.0
"""Time without a failure after which a part counts as working again: a full disk may accept one
line and refuse the next."""


class OngoingProblems:
    """Degraded parts of a worker and the reasons; thread-safe.

    A worker with any is `degraded`: it continues, and what it cannot do is done later or lost.
    """

    def __init__(
        self, gauge: Gauge | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create an empty set.

        Args:
            gauge: Gauge with the label `part`, 1 while a problem lasts; None: no gauge.
            clock: Monotonic seconds.
        """
        self._gauge = gauge
        self._clock = clock
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}
        self._began_at: dict[str, float] = {}
        self._logged_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._working: set[str] = set()

    def set(self, part: str, reason: str) -> None:
        """Set a part as degraded; an empty reason clears it, see `clear`.

        Args:
            part: Name from a small enumeration, such as "store".
            reason: Text for people, without credentials.
        """
        if not reason:
            self.clear(part)
            return
        now = self._clock()
        with self._lock:
            self._reasons[part] = reason
            self._failed_at[part] = now
            self._working.discard(part)
            began_at = self._began_at.setdefault(part, now)
            logged_at = self._logged_at.get(part)
            is_due = logged_at is None or now - logged_at >= _REMIND_SECONDS
            if is_due:
                self._logged_at[part] = now
        if self._gauge is not None:
            self._gauge.labels(part).set(1)
        if is_due and now == began_at:
            LOG.warning("degraded: %s: %s", part, reason)
        elif is_due:
            LOG.warning("degraded since %.0f s: %s: %s", now - began_at, part, reason)

    def clear(self, part: str) -> None:
        """Note that a part works; it counts as degraded until it has worked for ten seconds."""
        if part not in self._reasons:
            return
        with self._lock:
            if part in self._reasons:
                self._working.add(part)
        self._remove_working()

    def snapshot(self) -> dict[str, str]:
        """Part → reason; called at every heartbeat, so that ended problems are removed in time."""
        self._remove_working()
        with self._lock:
            return dict(self._reasons)

    def _remove_working(self) -> None:
        now = self._clock()
        ended: list[tuple[str, float]] = []
        with self._lock:
            for part in [*self._working]:
                if now - self._failed_at[part] >= _STEADY_SECONDS:
                    self._working.remove(part)
                    for known in (self._reasons, self._logged_at, self._failed_at):
                        del known[part]
                    ended.append((part, now - self._began_at.pop(part)))
        for part, seconds in ended:
            if self._gauge is not None:
                self._gauge.labels(part).set(0)
            LOG.info("%s: works again after %.0f s", part, seconds)
