"""How to put times of the wall clock in order although the clock may have been set back."""

AHEAD_SECONDS = 3600.0


def recency(at: float, now: float) -> tuple[bool, float]:
    """Sort key: what is oldest comes first.

    What is stamped more than an hour later than now was stamped by a clock that was ahead, before
    it was set right: it counts as the oldest, or everything new would be thrown away for it.

    Args:
        at: Unix seconds UTC.
        now: Unix seconds UTC.
    """
    return at <= now + AHEAD_SECONDS, at
