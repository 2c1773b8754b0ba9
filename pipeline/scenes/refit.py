"""The wider scene of a minute: some of its usual moments become the support, the others calibrate.

Normal is what most of the minute is. What the scene in use finds unusual is left out, with a second
before and after, while it is the smaller part and enough is left; else that scene had seen too
little, and it counts. What is found at different times, more than ten seconds apart, recurs: then
each time counts, unless it is like nothing of the rest of the minute. What is there for less than
ten seconds and like nothing else in the minute is left out anyway.
"""

import logging
from collections.abc import Sequence
from statistics import median

from models import SceneScorer
from models.calibrator import calibrate_afterwards
from models.scene_model import Observation
from pipeline.scenes.adaptation_settings import CANDIDATES_A_CLIP
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.calibration_window import CANDIDATE_STEP_SECONDS, CalibrationWindow
from pipeline.scenes.support_selection import choose_support, standing_out

LOG = logging.getLogger(__name__)

_ALIKE_SECONDS = 10.0
"""Whoever crosses the picture is seen in clip after clip; these do not make one another usual."""
_ALIKE_SHARE = 0.25
"""But at most so much of all that was seen, on each side."""
_BESIDE_SECONDS = 1.0
"""So near to a moment that is left out, another one does not count."""
_LEAST_USUAL = 5
_LEAST_SPREAD = 0.25
"""In standard deviations of all clips: clips that are nearly alike shall not make outliers."""
_LEAST_LEFT = 1 / 3
"""Of the candidates of a minute. What is unusual every few seconds leaves less, and is normal."""


def widen(scorer: SceneScorer, widening: RefitRequest, camera: str = "") -> RefitResult | None:
    """Make the wider scene of a minute.

    Args:
        scorer: The model.
        widening: What it is made of.
        camera: Its name, for the log.

    Returns:
        None: too few of its moments are usable, and the scene in use is to go on.
    """
    minute = widening.minute
    least = CANDIDATES_A_CLIP * widening.least - len(widening.seen_seconds)
    usable, spans = usual_moments(minute, least), episodes(minute.unusual)
    recurs = len(spans) > 1 and len(usable) < len(minute.seconds)
    if recurs:
        usable = set(range(len(minute.seconds)))
    chosen = sorted(usable & _candidates(minute))
    seen: list[Observation] = [minute.moments[place] for place in chosen]
    offset = 0.0
    if widening.seen is not None:
        seen.insert(0, widening.seen)
        offset = widening.seen_seconds[-1] + CANDIDATE_STEP_SECONDS
    seconds = [*widening.seen_seconds, *(offset + minute.seconds[place] for place in chosen)]
    wanted = min(widening.wanted, len(seconds) // CANDIDATES_A_CLIP)
    if wanted < widening.least:
        return None
    observation = Observation.joined(seen, scorer.device)
    same = [(offset + begin, offset + end) for begin, end in spans] if recurs else []
    rated = scorer.rate_features(observation, widening.size_hw, alike(seconds, same))
    far = _beside_the_usual(rated.outlier_scores, seconds, same)
    places = choose_support(seconds, far, wanted)
    odd = [seconds[place] for place in standing_out(far)]
    scene = scorer.adapt_candidates(rated, places)
    support = [seconds[place] for place in places]
    rest = [
        place
        for place in sorted(usable)
        if _far(offset + minute.seconds[place], support, scorer.config.clip_seconds)
        and _far(offset + minute.seconds[place], odd, _BESIDE_SECONDS)
    ]
    if not rest:
        return None
    moments = Observation.joined([minute.moments[place] for place in rest], scorer.device)
    energies = scorer.energies_seen(moments, scene)
    times = [minute.seconds[place] for place in rest]
    calibration = calibrate_afterwards(
        widening.reading, scene.support_energies, times, energies, minute.step_seconds
    )
    if calibration is None:
        return None
    _say(camera, minute, usable, len(odd), len(spans) if recurs else 0)
    return RefitResult(scene, calibration, tuple(times), tuple(energies), minute.step_seconds)


def usual_moments(minute: CalibrationWindow, least: int = 0) -> set[int]:
    """Places of the moments of a minute that count.

    Args:
        minute: Over.
        least: So many candidates are needed; where fewer would be left, all moments count.
    """
    found = {
        place
        for place, second in enumerate(minute.seconds)
        if all(
            second < begin - _BESIDE_SECONDS or second > end + _BESIDE_SECONDS
            for begin, end in minute.unusual
        )
    }
    mostly_usual = 2 * minute.unusual_seconds <= minute.now_seconds
    candidates = _candidates(minute)
    enough = len(found & candidates) >= max(least, _LEAST_LEFT * len(candidates))
    return found if mostly_usual and enough else set(range(len(minute.seconds)))


def episodes(unusual: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From when to when something unusual was there; less than ten seconds apart it is the same."""
    found: list[tuple[float, float]] = []
    for begin, end in unusual:
        if found and begin - found[-1][1] <= _ALIKE_SECONDS:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


def alike(seconds: Sequence[float], spans: Sequence[tuple[float, float]] = ()) -> list[list[int]]:
    """For each clip the places of those, itself among them, that may show the same passer-by.

    Args:
        seconds: When the clips were seen, rising; at least one.
        spans: From when to when one thing was there all the time, at most one at a time.
    """
    reach = min(_ALIKE_SECONDS, _ALIKE_SHARE * (seconds[-1] - seconds[0]))

    def near(second: float) -> tuple[float, float]:
        for begin, end in spans:
            if begin - _BESIDE_SECONDS <= second <= end + _BESIDE_SECONDS:
                return min(begin, second - reach), max(end, second + reach)
        return second - reach, second + reach

    return [
        [place for place, other in enumerate(seconds) if first <= other <= last]
        for first, last in map(near, seconds)
    ]


def _beside_the_usual(
    far: Sequence[float], seconds: Sequence[float], spans: Sequence[tuple[float, float]]
) -> Sequence[float]:
    """How far clips stand out, measured by those that nothing unusual was in.

    What stays in the picture for long is in so many clips that by all of them it is usual.
    """
    usual = [one for one, second in zip(far, seconds, strict=True) if not _in(second, spans)]
    if not spans or len(usual) < _LEAST_USUAL:
        return far
    middle = median(usual)
    spread = 1.4826 * median(abs(one - middle) for one in usual)
    return [(one - middle) / max(spread, _LEAST_SPREAD) for one in far]


def _in(second: float, spans: Sequence[tuple[float, float]]) -> bool:
    return any(begin - _BESIDE_SECONDS <= second <= end + _BESIDE_SECONDS for begin, end in spans)


def _say(camera: str, minute: CalibrationWindow, usable: set[int], odd: int, times: int) -> None:
    strange, seconds = minute.unusual_seconds, minute.now_seconds
    if minute.unusual and len(usable) == len(minute.seconds) and not times:
        LOG.warning(
            "camera %s: much of its first minute was unusual (%.0f of %.0f s); it is normal now",
            camera,
            strange,
            seconds,
        )
    if odd or minute.unusual:
        LOG.info(
            "camera %s: of its minute %.0f of %.0f s were unusual%s, and %d clips stand out",
            camera,
            strange,
            seconds,
            f", at {times} different times: what recurs is normal now" if times else "",
            odd,
        )


def _candidates(minute: CalibrationWindow) -> set[int]:
    """Places of the moments that may become part of the support, as far as they count."""
    return set(range(0, len(minute.seconds), minute.every))


def _far(time: float, others: Sequence[float], seconds: float) -> bool:
    """Whether a time is farther from all others than so many seconds."""
    return all(abs(time - other) > seconds for other in others)
