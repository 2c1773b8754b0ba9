"""Pictures of an evaluation: the ROC curves, the scores of every clip, where the model looked."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.roc import Labels, roc
from pipeline.evaluation.runner import Evaluation, Highlight

_COLUMNS = 3
_LABEL_COLOUR = "#f4c7c3"
_MODEL_COLOUR = "#1f4e79"


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write roc.png, scores.png and heatmaps.png.

    Args:
        evaluation: What was measured.
        folder: Is made where it is not there.

    Returns:
        The files.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "roc.png": roc_figure(evaluation),
        "scores.png": scores_figure(evaluation),
        "heatmaps.png": heatmaps_figure(evaluation.highlights),
    }
    paths = []
    for name, figure in drawn.items():
        figure.savefig(folder / name, dpi=120)
        paths.append(folder / name)
    return paths


def roc_figure(evaluation: Evaluation) -> Figure:
    """ROC curves of every draw and of the trivial detectors."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    rows = [(draw, "-", _MODEL_COLOUR) for draw in evaluation.draws]
    rows += [
        (baseline, style, "grey")
        for baseline, style in zip(evaluation.baselines, (":", "--", "-."), strict=True)
    ]
    for row, style, colour in rows:
        curve = roc(row.values, evaluation.labels)
        axes.plot(
            curve.false_positive_rate,
            curve.true_positive_rate,
            linestyle=style,
            color=colour,
            label=f"{row.name.replace('_', ' ')}: {row.metrics.frame_auroc_micro:.3f}",
        )
    axes.set(
        title=f"{evaluation.dataset.title}{evaluation.dataset.coverage}: {evaluation.model}",
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    axes.legend(loc="lower right")
    return figure


def scores_figure(evaluation: Evaluation) -> Figure:
    """Energy of the first draw over time, a panel a clip; anomalous frames stand on a band."""
    clips = evaluation.dataset.test
    figure, panels = _panels(len(clips), height=1.6)
    first = evaluation.draws[0].values
    pooled = np.concatenate(first)
    # The first frames of a clip stand still and are far below all others.
    low, high = float(np.percentile(pooled, 1)), float(pooled.max())
    high += 0.05 * (high - low) + 1e-6
    for axes, clip, values, labels in zip(panels, clips, first, evaluation.labels, strict=True):
        for start, end in intervals(labels):
            axes.axvspan(start, end, color=_LABEL_COLOUR, linewidth=0)
        axes.plot(values, color=_MODEL_COLOUR, linewidth=1)
        axes.set(
            title=clip.name,
            xlim=(0, max(1, len(values) - 1)),
            ylim=(low, high + 0.05 * (high - low)),
        )
        axes.title.set_fontsize("small")
    figure.supxlabel("frame")
    figure.supylabel("energy")
    return figure


def heatmaps_figure(highlights: Sequence[Highlight]) -> Figure:
    """The frame with the highest energy of every clip under its anomaly map."""
    figure, panels = _panels(len(highlights), height=3.0)
    high = max(float(highlight.anomaly_map.max()) for highlight in highlights)
    low = min(float(np.median(highlight.anomaly_map)) for highlight in highlights)
    for axes, highlight in zip(panels, highlights, strict=True):
        height, width = highlight.pixels.shape[:2]
        axes.imshow(highlight.pixels)
        axes.imshow(
            highlight.anomaly_map,
            cmap=matplotlib.colormaps["inferno"],
            vmin=low,
            vmax=high,
            alpha=0.5,
            interpolation="bilinear",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )
        axes.set_axis_off()
        axes.set_title(f"{highlight.clip}, frame {highlight.index}", fontsize="small")
    return figure


def intervals(labels: Labels) -> list[tuple[int, int]]:
    """First and last index of every run of anomalous frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels, [False]]).astype(np.int8)))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(4 * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
