"""Keeps one camera coming: the only place that reconnects."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from cameras.source import ErrorCode, Picture, Source, SourceError

State = Literal["starting", "watching", "offline", "ended", "error"]

_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_LONGEST_LATELY_SECONDS = 10.0
"""For a camera that gave pictures within the last hour."""
_LATELY_SECONDS = 3600.0
_JITTER_RATIO = 0.2
_FOR_A_PERSON_TO_MEND: frozenset[ErrorCode] = frozenset({"unauthorised", "not_found", "codec"})


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera is, for people."""

    state: State
    """Pictures arrive in "watching"; "offline" and "error" are tried again, "ended" is not."""
    reason: str = ""
    """Code of the last `SourceError`; empty where all is well."""

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state


def backoff_seconds(
    failures: int, chance: float, longest_seconds: float = _LONGEST_SECONDS
) -> float:
    """How long to wait before the next attempt.

    It doubles from 1 s, give or take a fifth, so that cameras which were lost together do not come
    back together.

    Args:
        failures: Attempts that failed in a row, >= 1.
        chance: Random number 0 … 1 for the jitter.
        longest_seconds: Nobody waits for longer.
    """
    doublings = min(failures - 1, 10)  # far beyond the longest wait already
    seconds = min(longest_seconds, _SHORTEST_SECONDS * 2.0**doublings)
    jittered = seconds * (1 + _JITTER_RATIO * (2 * chance - 1))
    return min(longest_seconds, max(_SHORTEST_SECONDS, jittered))


class CameraSupervisor:
    """Opens a camera's source again and again, and hands on what it gives.

    A file is opened anew at its end where it loops; each pass is a connection. A live source is
    opened anew after every loss, however often that fails, until stopped. `status` and the counters
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
        chance: Callable[[], float] = random.random,
        on_error: Callable[[SourceError], None] | None = None,
    ) -> None:
        """Remember what to open.

        Args:
            camera: Name in the configuration.
            open: Gives a new source, not yet opened.
            loop: Begin a file anew at its end.
            first_connection: Number of the first connection or pass; the others count up from it.
            clock: Monotonic seconds.
            chance: Random numbers 0 … 1 for the jitter of the waits.
            on_error: Told of every failure, in the iterating thread.
        """
        self.camera = camera
        self._open = open
        self._loop = loop
        self._next_connection = first_connection
        self._clock = clock
        self._chance = chance
        self._on_error = on_error
        self._failures = 0
        self._worked_at: float | None = None
        self._received = 0
        self._decode_errors = 0
        self._late = 0
        self._called_at: float | None = None
        self._reconnects: Counter[ErrorCode] = Counter()
        self._status = CameraStatus("starting")

    @property
    def status(self) -> CameraStatus:
        """How the camera is now."""
        return self._status

    @property
    def received(self) -> int:
        """Pictures handed on, over all connections."""
        return self._received

    @property
    def decode_errors(self) -> int:
        """Packets or images that could not be decoded, over all connections."""
        return self._decode_errors

    @property
    def late(self) -> int:
        """Packets passed over because they came too late, over all connections."""
        return self._late

    def calling_seconds(self) -> float:
        """For how long the source has not returned from a call; 0 outside of one.

        A source keeps its own deadlines, but what it calls may not: a look-up of a host name, a
        driver, a file on a server that is gone. Nothing in this process can end such a call.
        """
        called_at = self._called_at
        return 0.0 if called_at is None else time.monotonic() - called_at

    @property
    def reconnects(self) -> dict[ErrorCode, int]:
        """Attempts to connect anew after a failure, by what had failed."""
        return dict(self._reconnects)

    def frames(self, stop: threading.Event) -> Iterator[tuple[int, Picture]]:
        """Yield pictures with the number of their connection, until stopped or at the last end.

        Ends by itself only after a file: at its end where it does not loop, or after an error that
        trying again cannot mend. A file that loops and breaks off begins anew if it gave a picture.
        A set `stop` is seen at the next picture, and at once while waiting to connect.

        Args:
            stop: Ends the iteration.
        """
        told = ""
        while not stop.is_set():
            received = self._received
            try:
                yield from self._connection(stop)
            except SourceError as error:
                failure = error
                if self._loop and failure.permanent and self._received > received:
                    told = self._tell_of_loop(failure, told)
                    continue
            else:
                if self._loop and not stop.is_set():
                    continue
                self._status = CameraStatus("ended")
                return
            if not self._goes_on_after(failure, stop):
                return

    def _connection(self, stop: threading.Event) -> Iterator[tuple[int, Picture]]:
        undecoded, late = self._decode_errors, self._late
        self._called_at = time.monotonic()
        try:
            with self._open() as source:
                connection, self._next_connection = (
                    self._next_connection,
                    self._next_connection + 1,
                )
                for picture in source:
                    self._called_at = None
                    if stop.is_set():
                        return
                    self._failures = 0
                    self._worked_at = self._clock()
                    self._received += 1
                    self._decode_errors = undecoded + picture.decode_errors
                    self._late = late + picture.late
                    self._status = CameraStatus("watching")
                    yield connection, picture
                    self._called_at = time.monotonic()
        finally:
            self._called_at = None

    def _tell_of_loop(self, failure: SourceError, told: str) -> str:
        """Tell once that a file which loops is damaged: what was told last, and is told now."""
        if str(failure) != told and self._on_error is not None:
            message = f"{failure}; it loops to its beginning from there"
            self._on_error(SourceError(failure.code, message, permanent=True))
        return str(failure)

    def _goes_on_after(self, failure: SourceError, stop: threading.Event) -> bool:
        """Record a failure and wait; False where there is nothing to wait for."""
        mendable_by_time = not failure.permanent and failure.code not in _FOR_A_PERSON_TO_MEND
        self._status = CameraStatus("offline" if mendable_by_time else "error", failure.code)
        if self._on_error is not None:
            self._on_error(failure)
        if failure.permanent:
            return False
        self._failures += 1
        longest = _LONGEST_SECONDS
        if mendable_by_time and self._worked_lately():
            longest = _LONGEST_LATELY_SECONDS
        if stop.wait(backoff_seconds(self._failures, self._chance(), longest)):
            return False
        self._reconnects[failure.code] += 1
        return True

    def _worked_lately(self) -> bool:
        worked_at = self._worked_at
        return worked_at is not None and self._clock() - worked_at < _LATELY_SECONDS
