"""Which of the candidates become a scene's support: usual ones, spread over the time. Pure."""

import logging
from collections.abc import Sequence

import torch

from models import SceneScorer
from models.support_outliers import SupportCandidates
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.build_results import BuiltScene
from pipeline.scenes.support_clips import SupportClips

LOG = logging.getLogger(__name__)

STANDS_OUT = 3.0
"""A clip so many robust standard deviations above the others is no part of normal life."""
STANDS_OUT_BESIDE = 2.0
"""So is one from here on beside such a clip: somebody who is just leaving the picture."""


def make_scene(scorer: SceneScorer, adaptation: Adaptation, camera: str = "") -> BuiltScene:
    """Choose the support of an adaptation that is fitting, and make its scene.

    Args:
        scorer: The model.
        adaptation: With all its candidates.
        camera: Its name, for the log.

    Raises:
        ValueError: the clips are of a shape that the model does not take.
    """
    candidates, wanted = adaptation.candidates, adaptation.settings.frames
    clips, ages = torch.from_numpy(candidates), adaptation.candidate_ages
    elapsed = None if ages is None else torch.tensor(ages)
    if clips.shape[0] > wanted:
        rated = scorer.rated(clips, elapsed)
    else:
        height, width = clips.shape[2:4]
        rated = SupportCandidates(
            scorer.look(clips, elapsed), (height, width), (0.0,) * clips.shape[0]
        )
    far = rated.outlier_scores
    odd = standing_out(far)
    if odd:
        LOG.info(
            "camera %s: %d of %d clips stand out%s",
            camera,
            len(odd),
            len(far),
            "" if len(far) - len(odd) >= wanted else "; those nearest to the others are kept",
        )
    seconds = adaptation.candidate_seconds
    places = choose_support(seconds, far, wanted)
    support = SupportClips(
        candidates[places],
        tuple(seconds[place] for place in places),
        scorer.config.clip_interval_seconds,
        None if ages is None else tuple(tuple(ages[place]) for place in places),
    )
    scene = scorer.adapt_candidates(rated, places)
    widens = adaptation.settings.widens(len(far))
    return BuiltScene(scene, rated.observation.stored() if widens else None, support)


def choose_support(
    seconds: Sequence[float], outlier_scores: Sequence[float], wanted: int
) -> list[int]:
    """Places of the support among the candidates.

    Those that stand out are left out. Where too few are left they were no exception, and the ones
    nearest to the others fill it up.

    Args:
        seconds: When each candidate was taken, rising.
        outlier_scores: As `models.support_outliers.Survey` has it.
        wanted: How many; at most as many as there are candidates.

    Returns:
        Rising, all different.
    """
    odd = standing_out(outlier_scores)
    usual = [place for place in range(len(seconds)) if place not in odd]
    if len(usual) <= wanted:
        fill = sorted(odd, key=lambda place: outlier_scores[place])
        return sorted(usual + fill[: wanted - len(usual)])
    chosen = spread_over([seconds[place] for place in usual], wanted)
    return [usual[place] for place in chosen]


def standing_out(outlier_scores: Sequence[float]) -> set[int]:
    """Places of the candidates that are no part of normal life."""
    odd = {place for place, far in enumerate(outlier_scores) if far >= STANDS_OUT}
    beside = {near for place in odd for near in (place - 1, place + 1)}
    return odd | {
        place
        for place in beside
        if 0 <= place < len(outlier_scores) and outlier_scores[place] >= STANDS_OUT_BESIDE
    }


def spread_over(seconds: Sequence[float], wanted: int) -> list[int]:
    """Places of moments as far apart as can be: both ends, then always the farthest from all.

    Args:
        seconds: Rising, at least `wanted`.
        wanted: How many, at least 1.

    Returns:
        Rising, all different.
    """
    chosen = [0, len(seconds) - 1][:wanted]
    while len(chosen) < wanted:
        left = [place for place in range(len(seconds)) if place not in chosen]
        gaps = [min(abs(seconds[place] - seconds[one]) for one in chosen) for place in left]
        chosen.append(left[gaps.index(max(gaps))])
    return sorted(chosen)
