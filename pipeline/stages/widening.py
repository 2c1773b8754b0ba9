"""The wider scene of a first minute: its usual moments become the support, the others calibrate it.

The minute is taken for normal life, as the support was; what is there for less than ten seconds and
like nothing else in it is not. Whatever the first scene thought of a moment does not count, for it
had seen too little.
"""

import logging

import torch

from models import SceneScorer
from models.calibrator import calibrate_afterwards
from models.scene_model import Observation
from pipeline.stages.first_minute import Widened, Widening
from pipeline.stages.support import choose_support, standing_out

LOG = logging.getLogger(__name__)

_CANDIDATE_STEP_SECONDS = 1.0
_ALIKE_SECONDS = 10.0
"""Whoever crosses the picture is seen in clip after clip; these do not make one another usual."""
_BESIDE_SECONDS = 1.0
"""So near to a candidate that stands out, a moment does not calibrate."""


def widen(scorer: SceneScorer, widening: Widening, camera: str = "") -> Widened | None:
    """Make the wider scene of a first minute.

    Args:
        scorer: The model.
        widening: What it is made of.
        camera: Its name, for the log.

    Returns:
        None: too few of its moments are usable, and the first scene is to go on.
    """
    minute = widening.minute
    every = max(1, round(_CANDIDATE_STEP_SECONDS / minute.step_seconds))
    chosen = range(0, len(minute.moments), every)
    seen: list[Observation] = [minute.moments[place] for place in chosen]
    offset = 0.0
    if len(widening.support):
        seen.insert(0, scorer.look(torch.from_numpy(widening.support)))
        offset = widening.support_seconds[-1] + _CANDIDATE_STEP_SECONDS
    seconds = [*widening.support_seconds, *(offset + minute.seconds[place] for place in chosen)]
    if len(seconds) < widening.wanted:
        return None
    survey = scorer.survey_seen(
        Observation.joined(seen, scorer.device),
        widening.size_hw,
        round(_ALIKE_SECONDS / (every * minute.step_seconds)),
    )
    places = choose_support(seconds, survey.outlyingness, widening.wanted)
    odd = [seconds[place] for place in standing_out(survey.outlyingness)]
    scene = scorer.adapt_surveyed(survey, places)
    support = [seconds[place] for place in places]
    rest = [
        place
        for place, time in enumerate(minute.seconds)
        if _far(offset + time, support, scorer.config.clip_seconds)
        and _far(offset + time, odd, _BESIDE_SECONDS)
    ]
    if not rest:
        return None
    moments = Observation.joined([minute.moments[place] for place in rest], scorer.device)
    energies = scorer.energies_seen(moments, scene)
    times = [minute.seconds[place] for place in rest]
    calibration = calibrate_afterwards(
        widening.calibrator, scene.support_energies, times, energies, minute.step_seconds
    )
    if calibration is None:
        return None
    if odd:
        LOG.info("camera %s: %d of %d clips stand out", camera, len(odd), len(seconds))
    return Widened(scene, calibration, tuple(times), tuple(energies), minute.step_seconds)


def _far(time: float, others: list[float], seconds: float) -> bool:
    """Whether a time is farther from all others than so many seconds."""
    return all(abs(time - other) > seconds for other in others)
