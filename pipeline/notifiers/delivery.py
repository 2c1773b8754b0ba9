"""How messages leave the outbox: one delivery worker for each receiver, in order, with retries.

Pure functions decide the waits; a delivery worker is a thread that carries them out. A slow
receiver delays its own delivery worker only.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from pipeline.notifiers.outbox import Outbox, OutboxError, OutboxMessage
from pipeline.notifiers.retry_policy import (
    Delivered,
    Disconnected,
    Failed,
    Outcome,
    Refused,
    RetryPolicy,
)
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.telemetry.metrics import Metrics

LOG = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
_ROUNDING = 1e-9
_OUTBOX_TROUBLE_SECONDS = 5.0


class Notifier(Protocol):
    """One receiver; all calls but `close` come from its delivery worker's thread."""

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Send one message; may take as long as the notifier's own deadlines allow."""

    def refresh(self, now: float) -> None:
        """Do what is due besides messages; called at least once a second. `now`: monotonic."""

    def close(self) -> None:
        """Say goodbye and let go; a delivery under way may be cut short."""


class RateLimit:
    """At most so many messages a second, after a first burst of as many. Pure."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._allowed = self._burst
        self._counted_at: float | None = None

    def wait_seconds(self, now: float) -> float:
        """Seconds until the next message may go; 0: now."""
        if self._counted_at is not None:
            gained = max(0.0, now - self._counted_at) * self._per_second
            self._allowed = min(self._burst, self._allowed + gained)
        self._counted_at = now
        missing = 1.0 - self._allowed
        return missing / self._per_second if missing > _ROUNDING else 0.0

    def spend(self) -> None:
        """Count one message."""
        self._allowed -= 1.0


class DeliveryWorker:
    """Takes the messages of one sink from the outbox to its notifier."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        outbox: Outbox,
        per_second: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._notifier = notifier
        self._outbox = outbox
        self._pace = RateLimit(per_second)
        self._metrics = metrics
        self._clock = clock
        self._chance = chance
        self._floods = LimitedWarning(LOG)
        self._attempts = RetryPolicy()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"delivery_worker {name}", daemon=True
        )

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    def drain(self, deadline: float) -> None:
        """Wait until all is delivered, a receiver fails, or the deadline (monotonic) is there."""
        self._idle.clear()
        self.wake()
        self._idle.wait(max(0.0, deadline - time.monotonic()))

    def stop(self, deadline: float) -> None:
        """End; what is not delivered stays in the outbox."""
        self._stop.set()
        self.wake()
        # A delivery that hangs is left to its daemon thread: it is repeated in the next run.
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                seconds = self.turn()
            except OutboxError as error:
                if self._stop.is_set():
                    return
                self._fail(str(error))
                seconds = _OUTBOX_TROUBLE_SECONDS
            if seconds > 0:
                self._wake.wait(seconds)
                self._wake.clear()

    def turn(self) -> float:
        """Deliver one message if one is due; seconds until there may be more to do.

        Raises:
            OutboxError: as from the outbox.
        """
        now = self._clock()
        self._notifier.refresh(now)
        queued_message, wait = self._attempts.next(partial(self._outbox.oldest, self.name), now)
        if queued_message is None:
            self._idle.set()
            return _IDLE_SECONDS
        if wait > 0:
            self._idle.set()
        wait = max(wait, self._pace.wait_seconds(now))
        if wait > 0:
            return min(wait, _IDLE_SECONDS)
        return self._deliver(queued_message)

    def _deliver(self, queued_message: OutboxMessage) -> float:
        try:
            outcome = self._notifier.deliver(queued_message)
        except Exception as error:  # whatever a library thinks of: the delivery worker must live on
            outcome = Failed(f"{type(error).__name__}: {error}")
        now = self._clock()
        match outcome:
            case Disconnected():
                self._idle.set()
                return _IDLE_SECONDS
            case Failed(reason):
                why = self._attempts.failed(queued_message, outcome, now, self._chance())
                if why is None:
                    self._idle.set()
                    self._fail(f"{reason}; trying again")
                    return min(self._attempts.wait_seconds(now), _IDLE_SECONDS)
                self._put_aside(queued_message, why)
            case Refused(reason):
                self._put_aside(queued_message, reason)
                self._attempts.delivered(queued_message, now)
            case Delivered():
                self._outbox.delivered(queued_message)
                self._attempts.delivered(queued_message, now)
        self._pace.spend()
        return 0.0

    def _put_aside(self, queued_message: OutboxMessage, reason: str) -> None:
        self._metrics.sink_failures.labels(self.name).inc()
        LOG.error("%s: message %s is put aside: %s", self.name, queued_message.key, reason)
        self._outbox.refused(queued_message, reason)

    def _fail(self, reason: str) -> None:
        self._metrics.sink_failures.labels(self.name).inc()
        self._floods.warn(f"{self.name}: {reason}")
