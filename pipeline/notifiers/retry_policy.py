"""Which message of a receiver is tried next, and when; which one is put aside. Pure.

Messages are tried in order. One that fails again and again while the receiver is there is passed
over: if others are delivered, it is the message that is at fault, and after some more attempts it
is put aside; if others fail too, it is the receiver, and all of them wait.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

from pipeline.notifiers.outbox import OutboxMessage

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
LONGEST_BIDDEN_SECONDS = 3600.0
"""A receiver may ask for more patience than this, but does not get it."""
TRIES_BEFORE_OTHERS = 3
MOST_TRIES = 8
"""Of a message while others are delivered; they take two minutes."""
_TRIES_AMONG_OTHERS = 3
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """To be tried again later."""

    reason: str
    """For people, without credentials."""
    retry_after_seconds: float | None = None
    """The receiver's own wish."""
    away: bool = False
    """Nobody answered at all: the message cannot be at fault."""
    patience_seconds: float | None = None
    """For how long it is tried again before it is put aside; None: as long as others fail too."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Trying again would not help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is no connection; the notifier wakes the delivery worker when there is one again."""


Outcome = Delivered | Failed | Refused | Disconnected


def retry_seconds(failures: int, chance: float, bidden: float | None = None) -> float:
    """How long to wait before the next attempt.

    It doubles from 1 s to 60 s, of which up to a half is left to chance, so that many senders that
    lost one receiver do not come back together. The receiver's wish counts if it is longer.

    Args:
        failures: RetryPolicy that failed in a row, >= 1.
        chance: Random number 0 … 1 for the jitter.
        bidden: Seconds that the receiver asked for.
    """
    doublings = min(failures - 1, 10)  # far beyond the longest wait already
    seconds = min(LONGEST_SECONDS, SHORTEST_SECONDS * 2.0**doublings) * (1 - chance / 2)
    return max(seconds, min(bidden or 0.0, LONGEST_BIDDEN_SECONDS))


@dataclass(slots=True)
class _Attempt:
    """Of the messages of one event; times in seconds of the monotonic clock."""

    first_at: float
    next_at: float
    tries: int = 0
    tries_among_others: int = 0
    others_pass: bool = False

    @property
    def is_suspect(self) -> bool:
        return self.tries >= TRIES_BEFORE_OTHERS


class Waiting(Protocol):
    """The oldest message that waits for the receiver."""

    def __call__(
        self, *, besides: Container[str] = (), subject: str | None = None
    ) -> OutboxMessage | None:
        """Not of some subjects, or only of one; None: there is none."""


class RetryPolicy:
    """Of one receiver."""

    def __init__(self) -> None:
        self._trials: dict[str, _Attempt] = {}
        self._failures = 0
        self._failed: set[str] = set()  # subjects, since the last success
        self._failed_at = self._not_before = -float("inf")

    def next(self, waiting: Waiting, now: float) -> tuple[OutboxMessage | None, float]:
        """What to try, and in how many seconds; None: nothing waits.

        Args:
            waiting: What there is.
            now: Monotonic seconds.
        """
        suspects = {subject for subject, trial in self._trials.items() if trial.is_suspect}
        best = waiting(besides=suspects)
        trial = None if best is None else self._trials.get(best.subject)
        best_at = -float("inf") if trial is None else trial.next_at
        for subject in sorted(suspects, key=lambda one: self._trials[one].next_at):
            if best is not None and self._trials[subject].next_at >= best_at:
                break
            if (suspect := waiting(subject=subject)) is None:
                del self._trials[subject]  # too old, or one too many
                continue
            best, best_at = suspect, self._trials[subject].next_at
            break
        if best is None:
            self._trials.clear()
            return None, 0.0
        not_before = self._not_before
        if len(self._failed) == 1 and best.subject not in self._failed:
            # Is it the receiver, or the one message?
            not_before = min(not_before, self._failed_at + _PROBE_SECONDS)
        return best, max(0.0, not_before - now, best_at - now)

    def failed(
        self, queued_message: OutboxMessage, failure: Failed, now: float, chance: float
    ) -> str | None:
        """Note a failure; why the message is to be put aside, or None: it is tried again.

        Args:
            queued_message: What was tried.
            failure: What became of it.
            now: Monotonic seconds.
            chance: Random number 0 … 1 for the jitter.
        """
        self._failures += 1
        wait = retry_seconds(self._failures, chance, failure.retry_after_seconds)
        self._failed_at, self._not_before = now, now + wait
        if failure.away:
            return None
        self._failed.add(queued_message.subject)
        trial = self._trials.setdefault(queued_message.subject, _Attempt(now, now))
        trial.tries += 1
        trial.tries_among_others += trial.others_pass
        trial.next_at = now + retry_seconds(trial.tries, chance)
        patience = failure.patience_seconds
        among_others = trial.tries_among_others >= _TRIES_AMONG_OTHERS
        if among_others and trial.tries >= MOST_TRIES:
            why = "while others are delivered"
        elif patience is not None and now - trial.first_at >= patience:
            why = f"within {now - trial.first_at:.0f} s"
        else:
            return None
        del self._trials[queued_message.subject]
        return f"{failure.reason}; {trial.tries} attempts {why}"

    def delivered(self, queued_message: OutboxMessage, now: float) -> None:
        """Note a success, or a message that was put aside."""
        self._failures = 0
        self._failed.clear()
        self._not_before = -float("inf")
        self._trials.pop(queued_message.subject, None)
        for trial in self._trials.values():
            if not trial.others_pass:
                trial.others_pass = True
                trial.next_at = now  # the receiver may just have come back

    def wait_seconds(self, now: float) -> float:
        """Until something may be tried."""
        return max(0.0, self._not_before - now)
