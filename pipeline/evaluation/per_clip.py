"""Figures of each test clip and each kind of anomaly, and the energy term that separates best.

Pure functions of an evaluation. Single images are grouped by scene.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from pipeline.evaluation.alarms import detection_delays, false_alarms, intervals
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.roc import Labels, Values, has_both_classes
from pipeline.evaluation.separation import ranks

_Places = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TermMeans:
    """Mean contribution of a term to the energy, in the first draw; None without such frames."""

    anomalous: float | None
    normal: float | None

    @property
    def gap(self) -> float | None:
        """Difference of anomalous and normal frames; None where frames are of one class."""
        if self.anomalous is None or self.normal is None:
            return None
        return self.anomalous - self.normal


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """One labelled interval, in the first draw."""

    first: int
    last: int
    """Frames, both included."""
    delay_seconds: float | None
    """From its first frame to the first at or above the threshold; None: missed."""


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """One test clip, or the single images of one scene."""

    name: str
    frames: int
    anomalous: int
    """Number of anomalous frames."""
    aurocs: tuple[float, ...]
    """Frame AUROC of each draw, 0 … 1; empty where frames are of one class."""
    highest: float
    """Highest energy in the first draw."""
    highest_frame: int
    events: tuple[EventOutcome, ...] | None
    """None without alarm measures."""
    false_alarms: int | None
    """In the first draw; None without alarm measures."""
    terms: Mapping[str, TermMeans]

    @property
    def found(self) -> int:
        """Number of events found."""
        return sum(event.delay_seconds is not None for event in self.events or ())


@dataclass(frozen=True, slots=True)
class KindFigures:
    """The anomalous frames of one kind."""

    name: str
    frames: int
    aurocs: tuple[float, ...]
    """Of each draw, 0 … 1: against the normal frames of each frame's own scene."""
    highest: float
    """Highest energy in the first draw."""
    terms: Mapping[str, TermMeans]
    """Normal frames are those of scenes with this kind."""


def clip_figures(evaluation: Evaluation) -> list[ClipFigures]:
    """Figures of every clip, in the order of the data set."""
    places: dict[str, list[int]] = {}
    for number, clip in enumerate(evaluation.dataset.test):
        places.setdefault(clip.place, []).append(number)
    return [_of_clips(evaluation, name, numbers) for name, numbers in places.items()]


def term_means(evaluation: Evaluation) -> Mapping[str, TermMeans]:
    """Term means over all test frames."""
    parts, labels = np.concatenate(evaluation.parts), evaluation.dataset.labels
    return _terms(evaluation.terms, parts[labels], parts[~labels])


def kind_figures(evaluation: Evaluation) -> list[KindFigures]:
    """Figures of every kind of anomaly in the order of the names; empty where there are none.

    A kind in scenes without normal test frames is left out, as it cannot be ranked.
    """
    labels = evaluation.dataset.labels
    sizes = [clip.size for clip in evaluation.labels]
    kinds = np.repeat([clip.kind for clip in evaluation.dataset.test], sizes)
    scenes = np.repeat([clip.scene for clip in evaluation.dataset.test], sizes)
    draws = [np.concatenate(draw.values) for draw in evaluation.draws]
    parts = np.concatenate(evaluation.parts)
    found = []
    for kind in sorted({clip.kind for clip in evaluation.dataset.test} - {""}):
        pairs: list[tuple[_Places, _Places]] = []
        for scene in sorted(set(scenes[labels & (kinds == kind)])):
            normal = ~labels & (scenes == scene)
            if normal.any():
                pairs.append((labels & (kinds == kind) & (scenes == scene), normal))
        if pairs:
            of_kind = np.any([some for some, _ in pairs], axis=0)
            normal = np.any([some for _, some in pairs], axis=0)
            found.append(
                KindFigures(
                    kind,
                    int(of_kind.sum()),
                    tuple(_against(values, pairs) for values in draws),
                    float(draws[0][of_kind].max()),
                    _terms(evaluation.terms, parts[of_kind], parts[normal]),
                )
            )
    return found


def separating(terms: Mapping[str, TermMeans]) -> str | None:
    """The term with the largest gap; None where no term has one above 0."""
    gaps = {name: means.gap for name, means in terms.items() if means.gap is not None}
    best = max(gaps, key=lambda name: gaps[name], default=None)
    return best if best is not None and gaps[best] > 0 else None


def _of_clips(evaluation: Evaluation, name: str, numbers: Sequence[int]) -> ClipFigures:
    labels = np.concatenate([evaluation.labels[number] for number in numbers])
    parts = np.concatenate([evaluation.parts[number] for number in numbers])
    draws = [
        np.concatenate([draw.values[number] for number in numbers]) for draw in evaluation.draws
    ]
    events, false = None, None
    if evaluation.alarms is not None:
        events, false = _outcomes(evaluation, numbers, evaluation.alarms.draws[0].threshold)
    return ClipFigures(
        name,
        labels.size,
        int(labels.sum()),
        tuple(float(roc_auc_score(labels, values)) for values in draws)
        if has_both_classes(labels)
        else (),
        float(draws[0].max()),
        int(draws[0].argmax()),
        events,
        false,
        _terms(evaluation.terms, parts[labels], parts[~labels]),
    )


def _outcomes(
    evaluation: Evaluation, numbers: Sequence[int], threshold: float
) -> tuple[tuple[EventOutcome, ...], int]:
    events: list[EventOutcome] = []
    false = 0
    gap = evaluation.options.alarms.merge_gap_seconds
    for number in numbers:
        labels, times = evaluation.labels[number], evaluation.pts_seconds[number]
        above: Labels = evaluation.draws[0].values[number] >= threshold
        delays = detection_delays(above, labels, times)
        events += [
            EventOutcome(first, last, delay)
            for (first, last), delay in zip(intervals(labels), delays, strict=True)
        ]
        false += false_alarms(above, labels, times, gap)
    return tuple(events), false


def _against(values: Values, pairs: Sequence[tuple[_Places, _Places]]) -> float:
    return float(
        np.concatenate([ranks(values[some], values[normal]) for some, normal in pairs]).mean()
    )


def _terms(names: Sequence[str], anomalous: Values, normal: Values) -> dict[str, TermMeans]:
    return {
        name: TermMeans(_mean(anomalous[:, place]), _mean(normal[:, place]))
        for place, name in enumerate(names)
    }


def _mean(values: Values) -> float | None:
    return float(values.mean()) if values.size else None
