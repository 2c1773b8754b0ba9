"""The wider scene of a first minute: its usual moments become the support, the others calibrate it.

What is like nothing else in the minute is left out. Whoever crosses the picture, or stays for a
while, does not make himself usual: a clip is judged by those that are more than ten seconds away
and, while the first scene finds something unusual, by those outside of that stretch. What comes
again is normal, and so is what most of the minute shows: the first scene had seen too little then.
"""

import logging
from collections.abc import Sequence

from models import SceneScorer
from models.calibrator import calibrate_afterwards
from models.scene_model import Observation
from pipeline.stages.first_minute import FirstMinute
from pipeline.stages.made_scenes import Widened, Widening
from pipeline.stages.support import choose_support, standing_out

LOG = logging.getLogger(__name__)

_CANDIDATE_STEP_SECONDS = 1.0
_ALIKE_SECONDS = 10.0
"""Whoever crosses the picture is seen in clip after clip; these do not make one another usual."""
_ALIKE_SHARE = 0.25
"""But at most so much of all that was seen, on each side."""
_PAUSE_SECONDS = 5.0
"""What is unusual again within so short a time is the same."""
_BESIDE_SECONDS = 1.0
"""So near to a moment that is left out, another one does not count."""
_CANDIDATES_A_CLIP = 3
"""Candidates for each clip of the support, at least: the others calibrate."""


def widen(scorer: SceneScorer, widening: Widening, camera: str = "") -> Widened | None:
    """Make the wider scene of a first minute.

    Args:
        scorer: The model.
        widening: What it is made of.
        camera: Its name, for the log.

    Returns:
        None: too few of its moments are usable, and the first scene is to go on.
    """
    minute, settings = widening.minute, widening.settings
    usable: Sequence[int] = range(len(minute.moments))
    if widening.only_usual:
        usable = usual_moments(minute)
    every = max(1, round(_CANDIDATE_STEP_SECONDS / minute.step_seconds))
    chosen = [place for place in range(0, len(minute.moments), every) if place in usable]
    seen: list[Observation] = [minute.moments[place] for place in chosen]
    offset = 0.0
    if widening.seen is not None:
        seen.insert(0, widening.seen)
        offset = widening.seen_seconds[-1] + _CANDIDATE_STEP_SECONDS
    seconds = [*widening.seen_seconds, *(offset + minute.seconds[place] for place in chosen)]
    wanted = min(max(settings.widen, settings.frames), len(seconds) // _CANDIDATES_A_CLIP)
    if wanted < settings.frames:
        return None
    observation = Observation.joined(seen, scorer.device)
    stretches = [(offset + begin, offset + end) for begin, end in unusual_stretches(minute)]
    survey = scorer.survey_seen(
        observation, widening.size_hw, alike(seconds, stretches), usual_clips(seconds, stretches)
    )
    places = choose_support(seconds, survey.outlyingness, wanted)
    odd = [seconds[place] for place in standing_out(survey.outlyingness)]
    scene = scorer.adapt_surveyed(survey, places)
    support = [seconds[place] for place in places]
    rest = [
        place
        for place in usable
        if _far(offset + minute.seconds[place], support, scorer.config.clip_seconds)
        and _far(offset + minute.seconds[place], odd, _BESIDE_SECONDS)
    ]
    if not rest:
        return None
    moments = Observation.joined([minute.moments[place] for place in rest], scorer.device)
    energies = scorer.energies_seen(moments, scene)
    times = [minute.seconds[place] for place in rest]
    calibration = calibrate_afterwards(
        settings.calibrator, scene.support_energies, times, energies, minute.step_seconds
    )
    if calibration is None:
        return None
    _say(camera, widening, len(odd))
    return Widened(scene, calibration, tuple(times), tuple(energies), minute.step_seconds)


def usual_moments(minute: FirstMinute) -> list[int]:
    """Places of the moments in which, and around which, the first scene finds nothing."""
    unusual = _unusual_seconds(minute)
    return [
        place
        for place, second in enumerate(minute.seconds)
        if minute.usual[place] and _far(second, unusual, _BESIDE_SECONDS)
    ]


def unusual_stretches(minute: FirstMinute) -> list[tuple[float, float]]:
    """First and last moment of each stretch in which the first scene finds something, rising."""
    stretches: list[tuple[float, float]] = []
    for second in _unusual_seconds(minute):
        if stretches and second - stretches[-1][1] <= _PAUSE_SECONDS:
            stretches[-1] = stretches[-1][0], second
        else:
            stretches.append((second, second))
    return stretches


def alike(
    seconds: Sequence[float], stretches: Sequence[tuple[float, float]] = ()
) -> list[list[int]]:
    """For each clip the places of those, itself among them, that may show the very same.

    Args:
        seconds: When the clips were seen, rising; at least one.
        stretches: Times from and to which something unusual was seen; a clip in one of them, or
            beside it, is not judged by the others that are.
    """
    reach = min(_ALIKE_SECONDS, _ALIKE_SHARE * (seconds[-1] - seconds[0]))
    found = []
    for second in seconds:
        begin, end = second - reach, second + reach
        for first, last in stretches:
            if _is_in(second, (first, last)):
                begin, end = min(begin, first - _BESIDE_SECONDS), max(end, last + _BESIDE_SECONDS)
        found.append([place for place, other in enumerate(seconds) if begin <= other <= end])
    return found


def usual_clips(
    seconds: Sequence[float], stretches: Sequence[tuple[float, float]]
) -> list[int] | None:
    """Places of the clips outside of all stretches; None: they are the smaller part."""
    outside = [
        place
        for place, second in enumerate(seconds)
        if not any(_is_in(second, stretch) for stretch in stretches)
    ]
    return outside if 2 * len(outside) > len(seconds) else None


def _is_in(second: float, stretch: tuple[float, float]) -> bool:
    return stretch[0] - _BESIDE_SECONDS <= second <= stretch[1] + _BESIDE_SECONDS


def _unusual_seconds(minute: FirstMinute) -> list[float]:
    pairs = zip(minute.seconds, minute.usual, strict=True)
    return [second for second, usual in pairs if not usual]


def _say(camera: str, widening: Widening, odd: int) -> None:
    minute = widening.minute
    strange, moments = minute.usual.count(False), len(minute.usual)
    if minute.mostly_unusual and not widening.only_usual:
        LOG.warning(
            "camera %s: most of its first minute was unusual (%d of %d moments); it is normal now",
            camera,
            strange,
            moments,
        )
    if odd or strange:
        LOG.info(
            "camera %s: of its first minute %d of %d moments were unusual, and %d clips stand out",
            camera,
            strange,
            moments,
            odd,
        )


def _far(time: float, others: Sequence[float], seconds: float) -> bool:
    """Whether a time is farther from all others than so many seconds."""
    return all(abs(time - other) > seconds for other in others)
