"""Refit a scene on its calibration window: usual samples become support, the others calibrate.

What most of the window shows is normal. Samples that the scene in use scores as unusual are left
out, with a second before and after, while they are the smaller part and enough samples are left;
otherwise that scene was based on too little, and they count. What is unusual at different times,
more than ten seconds apart, recurs: then each time counts, unless it is unlike the rest of the
window. What lasts less than ten seconds and is unlike everything else in the window is left out in
any case.
"""

import logging
from collections.abc import Sequence
from statistics import median

from models import SceneScorer
from models.calibration import robust_spread
from models.calibrator import calibrate_afterwards
from models.scene_model import Observation
from pipeline.scenes.adaptation_settings import CANDIDATES_PER_CLIP
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.calibration_window import CANDIDATE_STEP_SECONDS, CalibrationWindow
from pipeline.scenes.support_selection import choose_support, outliers_of

LOG = logging.getLogger(__name__)

_SAME_EPISODE_SECONDS = 10.0
"""A person who crosses the picture is in clip after clip; these do not make each other usual."""
_SAME_EPISODE_SHARE = 0.25
"""But at most this share of the whole time, on each side."""
_MARGIN_SECONDS = 1.0
"""Samples this near to one that is left out are left out too."""
_LEAST_USUAL = 5
_LEAST_SPREAD = 0.25
"""In standard deviations of all clips: clips that are nearly equal must not make outliers."""
_LEAST_LEFT = 1 / 3
"""Share of the candidates of a window. What is unusual every few seconds leaves less, and is
normal."""


def refit_scene(scorer: SceneScorer, request: RefitRequest, camera: str = "") -> RefitResult | None:
    """Refit a scene on its calibration window.

    Args:
        scorer: The model.
        request: The window, and the candidates of the first support.
        camera: Its name, for the log.

    Returns:
        None: too few samples are usable, and the scene in use stays.
    """
    window = request.window
    least = CANDIDATES_PER_CLIP * request.least - len(request.candidate_seconds)
    usable, spans = usual_samples(window, least), episodes(window.unusual)
    recurs = len(spans) > 1 and len(usable) < len(window.seconds)
    if recurs:
        usable = set(range(len(window.seconds)))
    chosen = sorted(usable & _candidates(window))
    features: list[Observation] = [window.features[place] for place in chosen]
    offset = 0.0
    if request.candidate_features is not None:
        features.insert(0, request.candidate_features)
        offset = request.candidate_seconds[-1] + CANDIDATE_STEP_SECONDS
    seconds = [*request.candidate_seconds, *(offset + window.seconds[place] for place in chosen)]
    wanted = min(request.wanted, len(seconds) // CANDIDATES_PER_CLIP)
    if wanted < request.least:
        return None
    observation = Observation.joined(features, scorer.device)
    same = [(offset + begin, offset + end) for begin, end in spans] if recurs else []
    rated = scorer.rate_features(observation, request.size_hw, neighbours(seconds, same))
    far = _relative_to_usual(rated.outlier_scores, seconds, same)
    places = choose_support(seconds, far, wanted)
    outliers = [seconds[place] for place in outliers_of(far)]
    scene = scorer.adapt_candidates(rated, places)
    support = [seconds[place] for place in places]
    rest = [
        place
        for place in sorted(usable)
        if _is_far(offset + window.seconds[place], support, scorer.config.clip_seconds)
        and _is_far(offset + window.seconds[place], outliers, _MARGIN_SECONDS)
    ]
    if not rest:
        return None
    samples = Observation.joined([window.features[place] for place in rest], scorer.device)
    energies = scorer.energies_of(samples, scene)
    times = [window.seconds[place] for place in rest]
    calibration = calibrate_afterwards(
        request.calibrator, scene.support_energies, times, energies, window.step_seconds
    )
    if calibration is None:
        return None
    _log_unusual(camera, window, usable, len(outliers), len(spans) if recurs else 0)
    return RefitResult(scene, calibration, tuple(times), tuple(energies), window.step_seconds)


def usual_samples(window: CalibrationWindow, least: int = 0) -> set[int]:
    """Indices of the samples of a window that count as usual.

    Args:
        window: Whose time has passed.
        least: Number of candidates that are needed; where fewer would be left, all samples count.
    """
    found = {
        place
        for place, second in enumerate(window.seconds)
        if all(
            second < begin - _MARGIN_SECONDS or second > end + _MARGIN_SECONDS
            for begin, end in window.unusual
        )
    }
    mostly_usual = 2 * window.unusual_seconds <= window.now_seconds
    candidates = _candidates(window)
    enough = len(found & candidates) >= max(least, _LEAST_LEFT * len(candidates))
    return found if mostly_usual and enough else set(range(len(window.seconds)))


def episodes(unusual: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge unusual spans less than ten seconds apart: they count as the same occurrence."""
    found: list[tuple[float, float]] = []
    for begin, end in unusual:
        if found and begin - found[-1][1] <= _SAME_EPISODE_SECONDS:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


def neighbours(
    seconds: Sequence[float], spans: Sequence[tuple[float, float]] = ()
) -> list[list[int]]:
    """For each clip the indices of those, itself included, that may show the same occurrence.

    Args:
        seconds: Times of the clips, increasing; at least one.
        spans: Begin and end of occurrences, not overlapping.
    """
    reach = min(_SAME_EPISODE_SECONDS, _SAME_EPISODE_SHARE * (seconds[-1] - seconds[0]))

    def near(second: float) -> tuple[float, float]:
        for begin, end in spans:
            if begin - _MARGIN_SECONDS <= second <= end + _MARGIN_SECONDS:
                return min(begin, second - reach), max(end, second + reach)
        return second - reach, second + reach

    return [
        [place for place, other in enumerate(seconds) if first <= other <= last]
        for first, last in map(near, seconds)
    ]


def _relative_to_usual(
    far: Sequence[float], seconds: Sequence[float], spans: Sequence[tuple[float, float]]
) -> Sequence[float]:
    """Outlier scores relative to the clips outside of all occurrences.

    What stays in view for long is in so many clips that it is usual relative to all of them.
    """
    usual = [one for one, second in zip(far, seconds, strict=True) if not _in(second, spans)]
    if not spans or len(usual) < _LEAST_USUAL:
        return far
    middle = median(usual)
    spread = robust_spread(usual, middle)
    return [(one - middle) / max(spread, _LEAST_SPREAD) for one in far]


def _in(second: float, spans: Sequence[tuple[float, float]]) -> bool:
    return any(begin - _MARGIN_SECONDS <= second <= end + _MARGIN_SECONDS for begin, end in spans)


def _log_unusual(
    camera: str, window: CalibrationWindow, usable: set[int], outliers: int, times: int
) -> None:
    strange, seconds = window.unusual_seconds, window.now_seconds
    if window.unusual and len(usable) == len(window.seconds) and not times:
        LOG.warning(
            "camera %s: much of the calibration window was unusual (%.0f of %.0f s); "
            "it counts as normal now",
            camera,
            strange,
            seconds,
        )
    if outliers or window.unusual:
        LOG.info(
            "camera %s: %.0f of %.0f s of the calibration window were unusual%s; "
            "outliers among its clips: %d",
            camera,
            strange,
            seconds,
            f", at {times} different times: what recurs counts as normal now" if times else "",
            outliers,
        )


def _candidates(window: CalibrationWindow) -> set[int]:
    """Indices of the samples that may become support."""
    return set(range(0, len(window.seconds), window.every))


def _is_far(time: float, others: Sequence[float], seconds: float) -> bool:
    """Whether a time is more than `seconds` away from all others."""
    return all(abs(time - other) > seconds for other in others)
