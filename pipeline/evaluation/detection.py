"""RBDC and TBDC: how many anomalous regions and tracks are found, against false regions a frame.

Written from the definitions of Ramachandra and Jones, "Street Scene: A new dataset and evaluation
protocol for video anomaly detection" (WACV 2020), section 4:

    detected region         a connected component of an anomaly map above the threshold
    region of the truth     is found if its IoU with some detected region is at least β = 0.1
    track of the truth      is found if at least α = 10 % of its regions are
    false positive          a detected region whose IoU with every region of the truth is below β
    RBDC, TBDC              area under the rate of regions, of tracks, found over the false
                            positives a frame, from 0 to 1

Each cell of a map stands for the pixels that it covers, and IoU is that of sets of pixels, not of
boxes. A detected region may find several regions of the truth, and several may find the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.pixels import AnomalyMap
from pipeline.evaluation.regions import FrameRegions, components
from pipeline.evaluation.roc import Values

REGION_IOU = 0.1
TRACK_SHARE = 0.1

_THRESHOLDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class DetectionCurve:
    """Detection rates at falling thresholds; starts above all values."""

    false_per_frame: Values
    """False positive regions a frame, (thresholds,)."""
    region_rate: Values
    """Share of the regions that are found, (thresholds,)."""
    track_rate: Values
    """Share of the tracks that are found, (thresholds,)."""


def detection_curve(
    maps: Sequence[Sequence[AnomalyMap]], truth: Sequence[Sequence[FrameRegions]]
) -> DetectionCurve | None:
    """Sweep the threshold down until there is more than one false region a frame.

    Args:
        maps: For each clip, one map (h, w) a frame; all of one size.
        truth: For each clip, the regions of each frame.

    Returns:
        None where there is no region to find.
    """
    frames = [frame for clip in truth for frame in clip]
    pictures = np.stack([picture for clip in maps for picture in clip])
    peaks = pictures.max(axis=(1, 2))
    tracks = _numbered_tracks(truth)
    if not tracks.size:
        return None
    per_track = np.bincount(tracks)
    starts = np.cumsum([0, *(len(frame.tracks) for frame in frames)])
    rows = [(0.0, 0.0, 0.0)]
    for threshold in _thresholds(pictures):
        found = np.zeros(tracks.size, dtype=bool)
        false_count = 0
        for number in np.flatnonzero(peaks >= threshold):
            frame = frames[number]
            hits, false_regions = match(pictures[number] >= threshold, frame)
            found[starts[number] : starts[number + 1]] = hits
            false_count += false_regions
        share_of_track = np.bincount(tracks, weights=found) / per_track
        rows.append(
            (
                false_count / len(frames),
                float(found.mean()),
                float(np.mean(share_of_track >= TRACK_SHARE)),
            )
        )
        if rows[-1][0] > 1.0:
            break
    return DetectionCurve(*np.array(rows).T)


def match(above: npt.NDArray[np.bool_], frame: FrameRegions) -> tuple[npt.NDArray[np.bool_], int]:
    """Compare the detected regions of a frame with the truth.

    Args:
        above: Cells above the threshold, (h, w).
        frame: The truth.

    Returns:
        Which regions of the truth are found, (regions,), and the number of false positives.
    """
    labels, count = components(above)
    regions = len(frame.pixels)
    if not regions:
        return np.zeros(0, dtype=bool), count
    places = labels.ravel()
    covered = np.bincount(places, weights=frame.cell_pixels.ravel(), minlength=count + 1)[1:]
    truth = frame.pixels.reshape(regions, places.size)
    pairs = places + (count + 1) * np.arange(regions)[:, None]  # one bin a pair of regions
    shared = np.bincount(pairs.ravel(), weights=truth.ravel(), minlength=regions * (count + 1))
    overlap = shared.reshape(regions, count + 1)[:, 1:]
    union = truth.sum(axis=1)[:, None] + covered - overlap
    hits = overlap / union >= REGION_IOU
    return hits.any(axis=1), int(count - np.count_nonzero(hits.any(axis=0)))


def area(false_per_frame: Values, rate: Values) -> float:
    """Area under a rate over the false positives a frame, 0 … 1.

    Where false positives become fewer as the threshold falls, because regions merge, the higher
    number still counts, so that marking whole frames is not rewarded. The rate is made monotonic in
    the same way. Points are joined linearly, and a curve that ends before 1 continues at its last
    value.

    Args:
        false_per_frame: >= 0, at falling thresholds, beginning with 0; (points,).
        rate: 0 … 1, (points,).

    Returns:
        In [0, 1].
    """
    across, height = np.maximum.accumulate(false_per_frame), np.maximum.accumulate(rate)
    inside = across <= 1.0
    return float(
        np.trapezoid(
            np.append(height[inside], np.interp(1.0, across, height)),
            np.append(across[inside], 1.0),
        )
    )


def _thresholds(pictures: npt.NDArray[np.float16]) -> list[np.float16]:
    """Falling thresholds with geometrically growing numbers of cells at or above them.

    Few false regions a frame means few cells above the threshold; so the highest values are sampled
    most densely.
    """
    values = np.sort(pictures.astype(np.float32), axis=None)[::-1]  # quicker than half precision
    ranks = np.unique(np.geomspace(1, values.size, _THRESHOLDS).astype(np.int64)) - 1
    return [np.float16(value) for value in np.unique(values[ranks])[::-1]]


def _numbered_tracks(truth: Sequence[Sequence[FrameRegions]]) -> npt.NDArray[np.int64]:
    """Track of every region of every frame, counted through all clips."""
    numbers: list[int] = []
    first = 0
    for clip in truth:
        of_clip = [first + track for frame in clip for track in frame.tracks]
        numbers += of_clip
        first = max(of_clip, default=first - 1) + 1
    return np.array(numbers, dtype=np.int64)
