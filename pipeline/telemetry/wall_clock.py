"""Order and compare times of the wall clock although the clock may be set at any time."""

AHEAD_SECONDS = 3600.0
_LEAST_STEP_SECONDS = 60.0
SET_SINCE = 1_577_836_800.0
"""1 January 2020: a clock that shows an earlier time has not been set."""


def recency(at: float, now: float) -> tuple[bool, float]:
    """Sort key: oldest first.

    A time stamp more than an hour after now comes from a clock that was ahead before it was
    corrected: it counts as the oldest, otherwise all new entries would be deleted before it.

    Args:
        at: Time stamp, Unix seconds UTC.
        now: Unix seconds UTC.
    """
    return at <= now + AHEAD_SECONDS, at


def age_seconds(at: float, now: float) -> float | None:
    """Age of a time stamp; None: unknown, because its clock had not been set.

    Args:
        at: Time stamp, Unix seconds UTC.
        now: Unix seconds UTC.
    """
    return None if at < SET_SINCE <= now else now - at


class ClockWatch:
    """Detects steps of the wall clock between two calls."""

    def __init__(self) -> None:
        """Create a watch; the first call returns 0."""
        self._last: tuple[float, float] | None = None

    def step_seconds(self, wall_seconds: float, monotonic_seconds: float) -> float:
        """Step of the wall clock since the last call, seconds; 0 if it is less than a minute.

        Args:
            wall_seconds: Wall clock, Unix seconds.
            monotonic_seconds: Monotonic clock at the same time.
        """
        last, self._last = self._last, (wall_seconds, monotonic_seconds)
        if last is None:
            return 0.0
        step = (wall_seconds - last[0]) - (monotonic_seconds - last[1])
        return step if abs(step) > _LEAST_STEP_SECONDS else 0.0
