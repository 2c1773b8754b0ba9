"""Causal smoothing of scores: what a watcher sees who trusts a moment more than a frame."""

import numpy as np

from pipeline.evaluation.roc import Values


def exponential(values: Values, pts_seconds: Values, time_constant_seconds: float) -> Values:
    """Exponential average over the past that starts at the first value.

    It uses no later frame and no clip length, and pads nothing.

    Args:
        values: One a frame of one clip, (frames,).
        pts_seconds: Times of the frames, rising, (frames,).
        time_constant_seconds: Time after which a step has come through by 63 %; 0 changes nothing.

    Returns:
        (frames,).

    Raises:
        ValueError: the time constant is negative.
    """
    if time_constant_seconds < 0:
        raise ValueError(f"smoothing: want a time constant >= 0 s, got {time_constant_seconds}")
    if time_constant_seconds == 0:
        return values
    kept = np.exp(-np.diff(pts_seconds) / time_constant_seconds)
    smoothed = values.copy()
    for number, keep in enumerate(kept, start=1):
        smoothed[number] += keep * (smoothed[number - 1] - smoothed[number])
    return smoothed
