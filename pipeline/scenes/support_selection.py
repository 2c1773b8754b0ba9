"""Select the support of a scene among candidates: usual clips, spread over the time."""

import logging
from collections.abc import Sequence

import torch

from models import SceneScorer
from models.support_outliers import SupportCandidates
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.build_results import BuiltScene
from pipeline.scenes.support_clips import SupportClips

LOG = logging.getLogger(__name__)

OUTLIER = 3.0
"""A clip this many robust standard deviations above the others is an outlier."""
OUTLIER_BESIDE = 2.0
"""The same for a neighbour of an outlier: it may show a person who is just leaving the picture."""


def build_scene(scorer: SceneScorer, adaptation: Adaptation, camera: str = "") -> BuiltScene:
    """Select the support of an adaptation in the state "fitting", and build its scene.

    Args:
        scorer: The model.
        adaptation: With all its candidates.
        camera: Its name, for the log.

    Raises:
        ValueError: the clips have a shape that the model does not accept.
    """
    candidates, wanted = adaptation.candidates.clips, adaptation.settings.frames
    clips, ages = torch.from_numpy(candidates), adaptation.candidates.ages
    elapsed = None if ages is None else torch.tensor(ages)
    if clips.shape[0] > wanted:
        rated = scorer.rate_candidates(clips, elapsed)
    else:
        height, width = clips.shape[2:4]
        rated = SupportCandidates(
            scorer.compute_features(clips, elapsed), (height, width), (0.0,) * clips.shape[0]
        )
    far = rated.outlier_scores
    outliers = outliers_of(far)
    if outliers:
        LOG.info(
            "camera %s: %d of %d clips are outliers%s",
            camera,
            len(outliers),
            len(far),
            "" if len(far) - len(outliers) >= wanted else "; those nearest to the others are used",
        )
    seconds = adaptation.candidates.seconds
    places = choose_support(seconds, far, wanted)
    support = SupportClips(
        candidates[places],
        tuple(seconds[place] for place in places),
        scorer.config.clip_interval_seconds,
        None if ages is None else tuple(tuple(ages[place]) for place in places),
    )
    scene = scorer.adapt_candidates(rated, places)
    can_refit = adaptation.settings.can_refit(len(far))
    return BuiltScene(scene, rated.observation.stored() if can_refit else None, support)


def choose_support(
    seconds: Sequence[float], outlier_scores: Sequence[float], wanted: int
) -> list[int]:
    """Indices of the support among the candidates.

    Outliers are left out. Where too few clips are left, outliers are no exception, and the ones
    nearest to the others fill the support.

    Args:
        seconds: Time of each candidate, increasing.
        outlier_scores: As `models.support_outliers.SupportCandidates` has them.
        wanted: How many; at most as many as there are candidates.

    Returns:
        Increasing, all different.
    """
    outliers = outliers_of(outlier_scores)
    usual = [place for place in range(len(seconds)) if place not in outliers]
    if len(usual) <= wanted:
        fill = sorted(outliers, key=lambda place: outlier_scores[place])
        return sorted(usual + fill[: wanted - len(usual)])
    chosen = spread_over([seconds[place] for place in usual], wanted)
    return [usual[place] for place in chosen]


def outliers_of(outlier_scores: Sequence[float]) -> set[int]:
    """Indices of the candidates that are outliers."""
    outliers = {place for place, far in enumerate(outlier_scores) if far >= OUTLIER}
    beside = {near for place in outliers for near in (place - 1, place + 1)}
    return outliers | {
        place
        for place in beside
        if 0 <= place < len(outlier_scores) and outlier_scores[place] >= OUTLIER_BESIDE
    }


def spread_over(seconds: Sequence[float], wanted: int) -> list[int]:
    """Indices of times as far apart as possible: both ends, then always the farthest from all.

    Args:
        seconds: Increasing, at least `wanted`.
        wanted: How many, at least 1.

    Returns:
        Increasing, all different.
    """
    chosen = [0, len(seconds) - 1][:wanted]
    while len(chosen) < wanted:
        left = [place for place in range(len(seconds)) if place not in chosen]
        gaps = [min(abs(seconds[place] - seconds[one]) for one in chosen) for place in left]
        chosen.append(left[gaps.index(max(gaps))])
    return sorted(chosen)
