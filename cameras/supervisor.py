"""Reconnect one camera after losses; nothing else reconnects."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from cameras.source import ErrorCode, Picture, Source, SourceError

State = Literal["starting", "watching", "offline", "ended", "error"]

_MIN_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0
_MAX_RECENT_BACKOFF_SECONDS = 10.0
"""For a camera that delivered frames within the last hour."""
_RECENT_SECONDS = 3600.0
_JITTER_RATIO = 0.2
_NEEDS_OPERATOR: frozenset[ErrorCode] = frozenset({"unauthorised", "not_found", "codec"})


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """State of a camera with its reason."""

    state: State
    """Frames arrive in "watching"; "offline" and "error" are retried, "ended" is not."""
    reason: str = ""
    """Code of the last `SourceError`; empty without an error."""

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state


def backoff_seconds(
    failures: int, jitter: float, max_seconds: float = _MAX_BACKOFF_SECONDS
) -> float:
    """Return how long to wait before the next attempt.

    The delay doubles from 1 s, with a jitter of one fifth, so that cameras lost together do not
    reconnect together.

    Args:
        failures: Consecutive failed attempts, >= 1.
        jitter: Random number 0 … 1 for the jitter.
        max_seconds: Upper limit.
    """
    doublings = min(failures - 1, 10)  # already far beyond the upper limit
    seconds = min(max_seconds, _MIN_BACKOFF_SECONDS * 2.0**doublings)
    jittered = seconds * (1 + _JITTER_RATIO * (2 * jitter - 1))
    return min(max_seconds, max(_MIN_BACKOFF_SECONDS, jittered))


class CameraSupervisor:
    """Opens a camera's source again after every loss, and yields its frames.

    A looping file is opened again at its end; each pass is a connection. A live source is opened
    again after every loss, without a limit of attempts, until stopped. `status` and the counters
    may be read from other threads.
    """

    def __init__(
        self,
        camera: str,
        open: Callable[[], Source],
        loop: bool,
        first_connection: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        on_error: Callable[[SourceError], None] | None = None,
    ) -> None:
        """Store what to open.

        Args:
            camera: Name in the configuration.
            open: Returns a new source, not yet opened.
            loop: Restart a file at its end.
            first_connection: Number of the first connection or pass; the others count up from it.
            clock: Monotonic seconds.
            jitter: Random numbers 0 … 1 for the jitter of the waits.
            on_error: Called with every failure, in the iterating thread.
        """
        self.camera = camera
        self._open = open
        self._loop = loop
        self._next_connection = first_connection
        self._clock = clock
        self._jitter = jitter
        self._on_error = on_error
        self._failures = 0
        self._delivered_at: float | None = None
        self._received = 0
        self._decode_errors = 0
        self._late = 0
        self._call_began_at: float | None = None
        self._reconnects: Counter[ErrorCode] = Counter()
        self._status = CameraStatus("starting")

    @property
    def status(self) -> CameraStatus:
        """Current state of the camera."""
        return self._status

    @property
    def received(self) -> int:
        """Frames yielded, over all connections."""
        return self._received

    @property
    def decode_errors(self) -> int:
        """Frames that were damaged or could not be decoded, over all connections."""
        return self._decode_errors

    @property
    def late(self) -> int:
        """Packets skipped because they arrived too late, over all connections."""
        return self._late

    def blocked_seconds(self) -> float:
        """Return for how long a call into the source has been blocking; 0 outside of a call.

        A source has deadlines of its own, but the functions it calls may not: a host name look-up,
        a driver, a file on an unreachable server. Nothing in this process can end such a call.
        """
        began_at = self._call_began_at
        return 0.0 if began_at is None else time.monotonic() - began_at

    @property
    def reconnects(self) -> dict[ErrorCode, int]:
        """Attempts to reconnect after a failure, by error code."""
        return dict(self._reconnects)

    def frames(self, stop: threading.Event) -> Iterator[tuple[int, Picture]]:
        """Yield frames with the number of their connection, until stopped or ended.

        Without `stop` it ends only for a file: at its end where it does not loop, or after a
        permanent error. A looping file that is damaged restarts if it yielded a frame. `stop` takes
        effect at the next frame, and at once while waiting to reconnect.

        Args:
            stop: Ends the iteration.
        """
        reported = ""
        while not stop.is_set():
            received = self._received
            try:
                yield from self._connection(stop)
            except SourceError as error:
                failure = error
                if self._loop and failure.permanent and self._received > received:
                    reported = self._report_loop(failure, reported)
                    continue
            else:
                if self._loop and not stop.is_set():
                    continue
                self._status = CameraStatus("ended")
                return
            if not self._retry_after(failure, stop):
                return

    def _connection(self, stop: threading.Event) -> Iterator[tuple[int, Picture]]:
        decode_errors, late = self._decode_errors, self._late
        self._call_began_at = time.monotonic()
        try:
            with self._open() as source:
                connection, self._next_connection = (
                    self._next_connection,
                    self._next_connection + 1,
                )
                for picture in source:
                    self._call_began_at = None
                    if stop.is_set():
                        return
                    self._failures = 0
                    self._delivered_at = self._clock()
                    self._received += 1
                    self._decode_errors = decode_errors + picture.decode_errors
                    self._late = late + picture.late
                    self._status = CameraStatus("watching")
                    yield connection, picture
                    self._call_began_at = time.monotonic()
        finally:
            self._call_began_at = None

    def _report_loop(self, failure: SourceError, reported: str) -> str:
        """Report once that a looping file is damaged; return the last reported message."""
        if str(failure) != reported and self._on_error is not None:
            message = f"{failure}; it loops to its beginning from there"
            self._on_error(SourceError(failure.code, message, permanent=True))
        return str(failure)

    def _retry_after(self, failure: SourceError, stop: threading.Event) -> bool:
        """Record a failure and wait; return whether to try again."""
        transient = not failure.permanent and failure.code not in _NEEDS_OPERATOR
        self._status = CameraStatus("offline" if transient else "error", failure.code)
        if self._on_error is not None:
            self._on_error(failure)
        if failure.permanent:
            return False
        self._failures += 1
        limit = _MAX_BACKOFF_SECONDS
        if transient and self._delivered_recently():
            limit = _MAX_RECENT_BACKOFF_SECONDS
        if stop.wait(backoff_seconds(self._failures, self._jitter(), limit)):
            return False
        self._reconnects[failure.code] += 1
        return True

    def _delivered_recently(self) -> bool:
        delivered_at = self._delivered_at
        return delivered_at is not None and self._clock() - delivered_at < _RECENT_SECONDS
