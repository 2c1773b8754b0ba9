"""Figures over several draws: mean, spread, and those of each scene."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev

import numpy as np

from pipeline.evaluation.alarms import AlarmMetrics
from pipeline.evaluation.inspection import InspectionMetrics
from pipeline.evaluation.localisation import LocalisationMetrics
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.roc import FrameMetrics, frame_metrics, has_both_classes

Metrics = FrameMetrics | LocalisationMetrics | AlarmMetrics | InspectionMetrics
Figures = Mapping[str, float | None]


def means(draws: Sequence[Metrics]) -> dict[str, float | None]:
    """Mean of each metric over the draws; None where no draw has a value."""
    return _over(draws, mean, at_least=1)


def spreads(draws: Sequence[Metrics]) -> dict[str, float | None]:
    """Sample standard deviation over the draws; None where fewer than two have a value."""
    return _over(draws, stdev, at_least=2)


@dataclass(frozen=True, slots=True)
class SceneAurocs:
    """Frame AUROC micro of the frames of one scene, in [0, 1]."""

    draws: tuple[float, ...]
    """Of the model, in the order of the seeds."""
    difference: float
    """Of the differencing baseline."""


def scene_aurocs(evaluation: Evaluation) -> dict[str, SceneAurocs]:
    """Frame AUROC of each scene.

    Empty for a data set of a single scene; a scene with frames of one class alone is left out.
    """
    clips, labels = evaluation.dataset.test, evaluation.labels
    names = dict.fromkeys(clip.scene for clip in clips)
    result: dict[str, SceneAurocs] = {}
    if len(names) < 2:
        return result
    for name in names:
        places = [number for number, clip in enumerate(clips) if clip.scene == name]
        truth = [labels[number] for number in places]
        if has_both_classes(np.concatenate(truth)):
            *draws, difference = (
                frame_metrics([row.values[place] for place in places], truth).frame_auroc_micro
                for row in (*evaluation.draws, evaluation.frame_difference)
            )
            result[name] = SceneAurocs(tuple(draws), difference)
    return result


def inspection_means(evaluation: Evaluation) -> dict[str, float | None]:
    """Mean over the categories of the mean over the draws; None where no category has a value."""
    categories = [means(draws) for draws in evaluation.inspection.values()]
    found: dict[str, float | None] = {}
    for key in categories[0] if categories else ():
        values = [one for category in categories if (one := category[key]) is not None]
        found[key] = mean(values) if values else None
    return found


def _over(
    draws: Sequence[Metrics], summary: Callable[[list[float]], float], at_least: int
) -> dict[str, float | None]:
    rows = [asdict(draw) for draw in draws]
    result: dict[str, float | None] = {}
    for metric in rows[0]:
        values = [row[metric] for row in rows if row[metric] is not None]
        result[metric] = summary(values) if len(values) >= at_least else None
    return result
