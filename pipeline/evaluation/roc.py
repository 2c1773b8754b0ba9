"""Frame-level measures of a detector: AUROC, equal error rate, average precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

Labels = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

METRICS = ("frame_auroc_micro", "frame_auroc_macro", "eer", "average_precision")


@dataclass(frozen=True, slots=True)
class FrameMetrics:
    """Frame-level measures of a detector, all in [0, 1]."""

    frame_auroc_micro: float
    """Area under the ROC curve of all frames pooled; 0.5 is chance."""
    frame_auroc_macro: float | None
    """Mean over the clips that have both classes; None where no clip has."""
    eer: float
    """Equal error rate: where false alarms and misses are equally frequent; low is good."""
    average_precision: float
    """Mean precision over recall; chance is the share of anomalous frames."""


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Points of the ROC curve, from (0, 0) to (1, 1)."""

    false_positive_rate: Values
    true_positive_rate: Values


def frame_metrics(values: Sequence[Values], labels: Sequence[Labels]) -> FrameMetrics:
    """Measure one detector on one test split.

    Args:
        values: For each clip, (frames,), any unit; high = anomalous.
        labels: For each clip, (frames,), True = anomalous.

    Raises:
        ValueError: lengths differ, a value is not finite, or all frames are of one class.
    """
    pooled, truth = _pooled(values, labels)
    each = [
        float(roc_auc_score(clip_labels, clip_values))
        for clip_values, clip_labels in zip(values, labels, strict=True)
        if has_both_classes(clip_labels)
    ]
    return FrameMetrics(
        frame_auroc_micro=float(roc_auc_score(truth, pooled)),
        frame_auroc_macro=float(np.mean(each)) if each else None,
        eer=equal_error_rate(roc(values, labels)),
        average_precision=float(average_precision_score(truth, pooled)),
    )


def roc(values: Sequence[Values], labels: Sequence[Labels]) -> RocCurve:
    """The ROC curve of all frames pooled; arguments and errors as `frame_metrics`."""
    pooled, truth = _pooled(values, labels)
    false_positive_rate, true_positive_rate, _ = roc_curve(truth, pooled)
    return RocCurve(false_positive_rate, true_positive_rate)


def equal_error_rate(curve: RocCurve) -> float:
    """Intersection of the curve with the diagonal of equal errors, interpolated linearly.

    Returns:
        The false positive rate, which equals the miss rate there, in [0, 1].
    """
    excess = curve.false_positive_rate + curve.true_positive_rate - 1.0  # rises from -1 to 1
    after = int(np.argmax(excess >= 0.0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    rates = curve.false_positive_rate
    return float(rates[before] + share * (rates[after] - rates[before]))


def has_both_classes(labels: Labels) -> bool:
    """Whether there are normal and anomalous frames."""
    return bool(labels.any() and not labels.all())


def _pooled(values: Sequence[Values], labels: Sequence[Labels]) -> tuple[Values, Labels]:
    for number, (clip_values, clip_labels) in enumerate(zip(values, labels, strict=True)):
        if clip_values.shape != clip_labels.shape:
            raise ValueError(
                f"clip {number}: want one value for each of {clip_labels.size} labels, "
                f"got {clip_values.size}"
            )
    pooled, truth = np.concatenate(values), np.concatenate(labels)
    if not np.isfinite(pooled).all():
        raise ValueError(
            f"want finite values, got {np.count_nonzero(~np.isfinite(pooled))} of {pooled.size} "
            "that are NaN or infinite"
        )
    if not has_both_classes(truth):
        raise ValueError(
            f"want normal and anomalous frames, got {np.count_nonzero(truth)} anomalous "
            f"of {truth.size}"
        )
    return pooled, truth
