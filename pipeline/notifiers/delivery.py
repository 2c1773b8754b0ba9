"""Delivery of the messages in the outbox: one worker per receiver, in order, with retries.

`RetryPolicy` and `RateLimit` compute the waits; a delivery worker is a thread that applies them. A
slow receiver delays its own delivery worker only.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pipeline.notifiers.outbox import Outbox, OutboxError
from pipeline.notifiers.outbox_message import Kind, OutboxMessage
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
_OUTBOX_RETRY_SECONDS = 5.0


class Notifier(Protocol):
    """One receiver; all calls but `close` come from its delivery worker's thread."""

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Send one message; may take as long as the notifier's own deadlines allow."""

    def refresh(self, now: float) -> None:
        """Do periodic work besides messages; called at least once a second. `now`: monotonic."""

    def close(self) -> None:
        """Close the connection; a delivery in progress may be aborted."""


class RateLimit:
    """Token bucket: at most so many messages per second, after a first burst of as many."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._allowed = self._burst
        self._counted_at: float | None = None

    def wait_seconds(self, now: float) -> float:
        """Seconds until the next message may be sent; 0: now."""
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
    """Delivers the messages of one sink from the outbox to its notifier."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        outbox: Outbox,
        per_second: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._notifier = notifier
        self._outbox = outbox
        self._rate_limit = RateLimit(per_second)
        self._metrics = metrics
        self._clock = clock
        self._jitter = jitter
        self._limited_log = LimitedWarning(LOG)
        self._retry_policy = RetryPolicy()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"delivery_worker {name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Wake the thread: there may be something to deliver."""
        self._wake.set()

    def drain(self, deadline: float) -> None:
        """Wait until all is delivered, the receiver fails, or the deadline (monotonic) passes."""
        self._idle.clear()
        self.wake()
        self._idle.wait(max(0.0, deadline - time.monotonic()))

    def stop(self, deadline: float) -> None:
        """End the thread; undelivered messages stay in the outbox."""
        self._stop.set()
        self.wake()
        # A delivery that hangs is left to the daemon thread: the next run repeats it.
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                seconds = self.step()
            except OutboxError as error:
                if self._stop.is_set():
                    return
                self._fail(str(error))
                seconds = _OUTBOX_RETRY_SECONDS
            if seconds > 0:
                self._wake.wait(seconds)
                self._wake.clear()

    def step(self) -> float:
        """Deliver one message if one is due; returns the seconds until the next step.

        Raises:
            OutboxError: the outbox is closed.
        """
        now = self._clock()
        self._notifier.refresh(now)
        queued_message, wait = self._retry_policy.next(partial(self._outbox.oldest, self.name), now)
        if queued_message is None:
            self._idle.set()
            return _IDLE_SECONDS
        if wait > 0:
            self._idle.set()
        wait = max(wait, self._rate_limit.wait_seconds(now))
        if wait > 0:
            return min(wait, _IDLE_SECONDS)
        return self._deliver(queued_message)

    def _deliver(self, queued_message: OutboxMessage) -> float:
        try:
            outcome = self._notifier.deliver(queued_message)
        except Exception as error:  # any error of a library: the delivery worker must continue
            outcome = Failed(f"{type(error).__name__}: {error}")
        now = self._clock()
        match outcome:
            case Disconnected():
                self._idle.set()
                return _IDLE_SECONDS
            case Failed(reason):
                why = self._retry_policy.failed(queued_message, outcome, now, self._jitter())
                if why is None:
                    self._idle.set()
                    self._fail(f"{reason}; trying again")
                    return min(self._retry_policy.wait_seconds(now), _IDLE_SECONDS)
                self._put_aside(queued_message, why)
            case Refused(reason):
                self._put_aside(queued_message, reason)
                self._retry_policy.delivered(queued_message, now)
            case Delivered():
                self._outbox.delivered(queued_message)
                self._retry_policy.delivered(queued_message, now)
        self._rate_limit.spend()
        return 0.0

    def _put_aside(self, queued_message: OutboxMessage, reason: str) -> None:
        self._metrics.sink_failures.labels(self.name).inc()
        LOG.error("%s: message %s is put aside: %s", self.name, queued_message.key, reason)
        self._outbox.refused(queued_message, reason)

    def _fail(self, reason: str) -> None:
        self._metrics.sink_failures.labels(self.name).inc()
        self._limited_log.warn(f"{self.name}: {reason}")


@dataclass(frozen=True, slots=True)
class Receiver:
    """One sink of messages."""

    notifier: Notifier
    delivery_worker: DeliveryWorker
    kinds: frozenset[Kind]
    """Kinds of messages that it receives."""
