"""How to put times of the wall clock in order although the clock may have been set back."""

AHEAD_SECONDS = 3600.0
_LEAST_STEP_SECONDS = 60.0
SET_SINCE = 1_577_836_800.0
"""The first of January 2020: what shows an earlier time is a clock that nobody has set."""


def recency(at: float, now: float) -> tuple[bool, float]:
    """Sort key: what is oldest comes first.

    What is stamped more than an hour later than now was stamped by a clock that was ahead, before
    it was set right: it counts as the oldest, or everything new would be thrown away for it.

    Args:
        at: Unix seconds UTC.
        now: Unix seconds UTC.
    """
    return at <= now + AHEAD_SECONDS, at


def age_seconds(at: float, now: float) -> float | None:
    """How old something is; None: nobody knows, as the clock that stamped it had not been set.

    Args:
        at: Unix seconds UTC.
        now: Unix seconds UTC.
    """
    return None if at < SET_SINCE <= now else now - at


class ClockWatch:
    """Finds out by how much the wall clock was set since it was looked at last."""

    def __init__(self) -> None:
        """Begin before the first look."""
        self._last: tuple[float, float] | None = None

    def step_seconds(self, wall_seconds: float, monotonic_seconds: float) -> float:
        """By how much the clock was set; 0 where it went on, give or take a minute.

        Args:
            wall_seconds: Unix seconds.
            monotonic_seconds: At the same moment.
        """
        last, self._last = self._last, (wall_seconds, monotonic_seconds)
        if last is None:
            return 0.0
        step = (wall_seconds - last[0]) - (monotonic_seconds - last[1])
        return step if abs(step) > _LEAST_STEP_SECONDS else 0.0
