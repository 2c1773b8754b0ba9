"""Retry policy: which message of a receiver to try next, and when. No I/O, no clock.

Messages are tried in order. A message that fails repeatedly while the receiver answers is skipped:
if others are delivered, the message is the cause, and after some more attempts it is put aside; if
others fail too, the receiver is the cause, and all messages wait.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

from pipeline.notifiers.outbox_message import OutboxMessage

MIN_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = 3600.0
"""Upper bound of the wait that a receiver may request."""
TRIES_BEFORE_OTHERS = 3
MAX_TRIES = 8
"""Attempts for one message while others are delivered; they take two minutes."""
_TRIES_AMONG_OTHERS = 3
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has accepted the message."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The message is to be tried again later."""

    reason: str
    """For people, without credentials."""
    retry_after_seconds: float | None = None
    """Wait that the receiver requested."""
    unreachable: bool = False
    """The receiver did not answer: the message cannot be the cause."""
    give_up_seconds: float | None = None
    """For how long it is tried again before it is put aside; None: as long as others fail too."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver rejects the message: another attempt would not succeed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is no connection; the notifier wakes the delivery worker when it is connected."""


Outcome = Delivered | Failed | Refused | Disconnected


def retry_seconds(failures: int, jitter: float, requested: float | None = None) -> float:
    """How long to wait before the next attempt.

    It doubles from 1 s to 60 s, less a jitter of up to a half, so that many senders that lost one
    receiver do not reconnect at the same time. The wait that the receiver requested is used if it
    is longer.

    Args:
        failures: Attempts that failed in a row, >= 1.
        jitter: Random number 0 … 1.
        requested: Seconds that the receiver requested.
    """
    doublings = min(failures - 1, 10)  # far beyond the longest wait already
    seconds = min(MAX_RETRY_SECONDS, MIN_RETRY_SECONDS * 2.0**doublings) * (1 - jitter / 2)
    return max(seconds, min(requested or 0.0, MAX_RETRY_AFTER_SECONDS))


@dataclass(slots=True)
class _Attempts:
    """Attempts for the messages of one event; times in seconds of the monotonic clock."""

    first_at: float
    next_at: float
    tries: int = 0
    tries_among_others: int = 0
    others_succeed: bool = False

    @property
    def is_suspect(self) -> bool:
        return self.tries >= TRIES_BEFORE_OTHERS


class Waiting(Protocol):
    """The oldest message that waits for the receiver."""

    def __call__(
        self, *, exclude: Container[str] = (), subject: str | None = None
    ) -> OutboxMessage | None:
        """Skip some subjects, or select one; None: no such message waits."""


class RetryPolicy:
    """Retry policy of one receiver."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempts] = {}
        self._failures = 0
        self._failed: set[str] = set()  # subjects, since the last success
        self._failed_at = self._not_before = -float("inf")

    def next(self, waiting: Waiting, now: float) -> tuple[OutboxMessage | None, float]:
        """Which message to try, and in how many seconds; None: nothing waits.

        Args:
            waiting: Finds the oldest message that waits.
            now: Monotonic seconds.
        """
        suspects = {subject for subject, attempt in self._attempts.items() if attempt.is_suspect}
        best = waiting(exclude=suspects)
        attempt = None if best is None else self._attempts.get(best.subject)
        best_at = -float("inf") if attempt is None else attempt.next_at
        for subject in sorted(suspects, key=lambda one: self._attempts[one].next_at):
            if best is not None and self._attempts[subject].next_at >= best_at:
                break
            if (suspect := waiting(subject=subject)) is None:
                del self._attempts[subject]  # dropped by the bounds of the outbox
                continue
            best, best_at = suspect, self._attempts[subject].next_at
            break
        if best is None:
            self._attempts.clear()
            return None, 0.0
        not_before = self._not_before
        if len(self._failed) == 1 and best.subject not in self._failed:
            # Try another message early, to find whether the receiver or the message is the cause.
            not_before = min(not_before, self._failed_at + _PROBE_SECONDS)
        return best, max(0.0, not_before - now, best_at - now)

    def failed(
        self, queued_message: OutboxMessage, failure: Failed, now: float, jitter: float
    ) -> str | None:
        """Count a failure; returns why the message is put aside, or None: it is tried again.

        Args:
            queued_message: The message that was tried.
            failure: The outcome.
            now: Monotonic seconds.
            jitter: Random number 0 … 1.
        """
        self._failures += 1
        wait = retry_seconds(self._failures, jitter, failure.retry_after_seconds)
        self._failed_at, self._not_before = now, now + wait
        if failure.unreachable:
            return None
        self._failed.add(queued_message.subject)
        attempt = self._attempts.setdefault(queued_message.subject, _Attempts(now, now))
        attempt.tries += 1
        attempt.tries_among_others += attempt.others_succeed
        attempt.next_at = now + retry_seconds(attempt.tries, jitter)
        give_up_seconds = failure.give_up_seconds
        among_others = attempt.tries_among_others >= _TRIES_AMONG_OTHERS
        if among_others and attempt.tries >= MAX_TRIES:
            why = "while others are delivered"
        elif give_up_seconds is not None and now - attempt.first_at >= give_up_seconds:
            why = f"within {now - attempt.first_at:.0f} s"
        else:
            return None
        del self._attempts[queued_message.subject]
        return f"{failure.reason}; {attempt.tries} attempts {why}"

    def delivered(self, queued_message: OutboxMessage, now: float) -> None:
        """Count a delivered message, or one that was put aside."""
        self._failures = 0
        self._failed.clear()
        self._not_before = -float("inf")
        self._attempts.pop(queued_message.subject, None)
        for attempt in self._attempts.values():
            if not attempt.others_succeed:
                attempt.others_succeed = True
                attempt.next_at = now  # the receiver may have become available just now

    def wait_seconds(self, now: float) -> float:
        """Seconds until the next attempt is allowed."""
        return max(0.0, self._not_before - now)
