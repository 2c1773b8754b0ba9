"""Figures of several draws in one: mean, spread, and what each scene gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import mean, stdev

from pipeline.evaluation.alarms import AlarmMetrics
from pipeline.evaluation.localisation import LocalisationMetrics
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.roc import FrameMetrics, frame_metrics, has_both_classes

Metrics = FrameMetrics | LocalisationMetrics | AlarmMetrics
Figures = Mapping[str, float | None]


def means(draws: Sequence[Metrics]) -> dict[str, float | None]:
    """Mean of each metric over the draws; None where no draw has a value."""
    return _over(draws, mean, at_least=1)


def spreads(draws: Sequence[Metrics]) -> dict[str, float | None]:
    """Sample standard deviation over the draws; None where fewer than two have a value."""
    return _over(draws, stdev, at_least=2)


def scene_aurocs(evaluation: Evaluation) -> dict[str, list[float]]:
    """Frame AUROC micro within each scene, one a draw.

    Empty for a data set of a single scene; a scene with frames of one class alone is left out.
    """
    clips, labels = evaluation.dataset.test, evaluation.labels
    names = dict.fromkeys(clip.scene for clip in clips)
    result: dict[str, list[float]] = {}
    if len(names) < 2:
        return result
    for name in names:
        places = [number for number, clip in enumerate(clips) if clip.scene == name]
        truth = [labels[number] for number in places]
        if any(map(has_both_classes, truth)) or len({bool(clip.any()) for clip in truth}) == 2:
            result[name] = [
                frame_metrics([draw.values[number] for number in places], truth).frame_auroc_micro
                for draw in evaluation.draws
            ]
    return result


def _over(
    draws: Sequence[Metrics], summary: Callable[[list[float]], float], at_least: int
) -> dict[str, float | None]:
    rows = [asdict(draw) for draw in draws]
    result: dict[str, float | None] = {}
    for metric in rows[0]:
        values = [row[metric] for row in rows if row[metric] is not None]
        result[metric] = summary(values) if len(values) >= at_least else None
    return result
