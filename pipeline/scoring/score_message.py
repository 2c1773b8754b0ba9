"""From the result of a frame to the message to the sink. Pure functions."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scenes.calibration_window import LearningProgress
from pipeline.transport.messages import UNJUDGED, FrameMessage, ScoreMessage

SNAPSHOT_RATIO = 0.8
"""Part of the score that starts an event from which on the pixels are sent with it."""
PICTURE_RATIO = 0.4
"""Part of the same score from which on frames are requested with pictures of the size of the
source: early, as the frames that are already sent have none."""


def score_message(
    frame: FrameMessage,
    judgement: ScoredFrame,
    anomaly_map: npt.NDArray[np.float32] | None,
    enter: float,
    scored_at: float,
    learning: LearningProgress | None = None,
    terms: Mapping[str, float] | None = None,
    gradient: npt.NDArray[np.float32] | None = None,
) -> ScoreMessage:
    """The message for a frame.

    Args:
        frame: The frame.
        judgement: Its result.
        anomaly_map: (h, w) in units of the score; None without energy.
        enter: Score at which an event may start: from near it on, the pixels are sent too.
        scored_at: Now, Unix seconds.
        learning: How far the calibration of the scene is.
        terms: What each term adds to the score; None without energy.
        gradient: Pooled gradient heatmap (h, w); None where it is not wanted.
    """
    shown = is_shown(judgement, enter)
    return ScoreMessage(
        camera=frame.camera,
        connection=frame.connection,
        index=frame.index,
        pts_seconds=frame.pts_seconds,
        captured_at=frame.captured_at,
        scored_at=scored_at,
        dropped=frame.dropped,
        state=judgement.state,
        progress=judgement.progress,
        energy=judgement.energy,
        score=judgement.score,
        threshold=judgement.threshold,
        anomaly_map=anomaly_map,
        gradient=gradient if shown else None,
        pixels=frame.pixels if shown else None,
        source_hw=frame.source_hw,
        picture=frame.picture if shown else None,
        learning=None if learning is None else learning.as_json(),
        terms=dict(terms or {}),
    )


def is_shown(judgement: ScoredFrame, enter: float) -> bool:
    """Whether a frame may become the picture of an event, so that its pixels are sent."""
    score = None if judgement.state in UNJUDGED else judgement.score
    return score is not None and score >= SNAPSHOT_RATIO * enter


def in_units_of_score(
    cells: npt.NDArray[np.float32], calibration: Calibration
) -> npt.NDArray[np.float32]:
    """A map of energies as one of scores: 0 is the median of normal, 1 the threshold."""
    scale = calibration.threshold - calibration.median
    return ((cells - calibration.median) / scale).astype(np.float32)


def terms_of_score(parts: Mapping[str, float], calibration: Calibration) -> dict[str, float]:
    """What the terms add to an energy as what they add to the score, to three digits."""
    scale = calibration.threshold - calibration.median
    return {name: round(part / scale, 3) for name, part in parts.items()}
