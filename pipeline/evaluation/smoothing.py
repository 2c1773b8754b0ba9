"""Smoothing of scores over time: causal, and the non-causal one of most papers."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from models.calibrator import smooth
from pipeline.evaluation.roc import Values


def exponential(values: Values, pts_seconds: Values, time_constant_seconds: float) -> Values:
    """Exponential average over the past that starts at the first value.

    It uses no later frame and no clip length, and needs no padding.

    Args:
        values: One a frame of one clip, (frames,).
        pts_seconds: Times of the frames, rising, (frames,).
        time_constant_seconds: Time for 63 % of a step; 0: no smoothing.

    Returns:
        (frames,).

    Raises:
        ValueError: the time constant is negative.
    """
    if time_constant_seconds < 0:
        raise ValueError(f"smoothing: want a time constant >= 0 s, got {time_constant_seconds}")
    smoothed, average = values.copy(), None
    for number, step in enumerate(np.diff(pts_seconds, prepend=pts_seconds[:1])):
        average = smooth(average, float(values[number]), float(step), time_constant_seconds)
        smoothed[number] = average
    return smoothed


def field_post_processing(values: Values, sigma_frames: float) -> Values:
    """Post-processing of most papers; not causal, since it uses future frames.

    The clip is scaled to 0 … 1 by its own lowest and highest value, then smoothed by a centred
    Gaussian; beyond its ends the clip is extended by its first and last value, so that the ends are
    not lowered.

    Args:
        values: One a frame of one clip, (frames,).
        sigma_frames: Standard deviation of the Gaussian; 0 does not smooth.

    Returns:
        (frames,), 0 … 1; all 0 where the values are all equal.
    """
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    if sigma_frames == 0:
        return np.asarray(scaled, dtype=np.float64)
    return np.asarray(gaussian_filter1d(scaled, sigma_frames, mode="nearest"), dtype=np.float64)
