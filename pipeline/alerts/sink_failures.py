"""Failures of the alert sink: counted, reported as ongoing problems, and logged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.storage.store_errors import StoreDamagedError, StoreError, StoreUnreachableError
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems

LOG = logging.getLogger(__name__)

_STORE_RETRY_SECONDS = 15.0  # an attempt to reach a server that does not answer takes 5 s


class SinkFailures:
    """Counts and reports failed writes, so that the sink can continue."""

    def __init__(
        self, metrics: Metrics, problems: OngoingProblems, clock: Callable[[], float]
    ) -> None:
        """Prepare.

        Args:
            metrics: Metrics of the sink.
            problems: Ongoing problems of the sink.
            clock: Monotonic seconds.
        """
        self._metrics = metrics
        self._problems = problems
        self._clock = clock
        self._limited_log = LimitedWarning(LOG)
        self._store_retry_at = -float("inf")

    @property
    def may_try_store(self) -> bool:
        """Whether the store is not known to be unreachable, or it is time to try again."""
        return self._clock() >= self._store_retry_at

    def retry_store_now(self) -> None:
        """Allow an attempt at once, even if the store was unreachable just now."""
        self._store_retry_at = -float("inf")

    @contextmanager
    def reported(self, part: str, *, clears: bool = True) -> Iterator[None]:
        """Report an `OSError` or `StoreError` of the block instead of raising it.

        Args:
            part: Name of what is written, such as "store".
            clears: Whether success ends the ongoing problem of that part.

        Raises:
            StoreDamagedError: the worker must restart with a new store.
        """
        try:
            yield
            if clears:
                self.clear(part)
        except StoreDamagedError:
            raise
        except (OSError, StoreError) as error:
            if isinstance(error, StoreUnreachableError):
                self._store_retry_at = self._clock() + _STORE_RETRY_SECONDS
            self.report(part, str(error))

    def report(self, part: str, reason: str) -> None:
        """Count and report one failure."""
        self._metrics.sink_failures.labels(part).inc()
        if part == "scores":
            self._limited_log.warn(f"{part}: {reason}")
        else:
            self._problems.set(part, reason)

    def clear(self, part: str) -> None:
        """End the ongoing problem of a part."""
        self._problems.clear(part)
