"""The two clocks of a process, passed to all that reads the time so that tests can set it."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic and wall clock."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds since any time; is never set."""
    unix: Callable[[], float] = time.time
    """Unix seconds UTC; may be set at any time."""


PROCESS_CLOCK = Clock()
