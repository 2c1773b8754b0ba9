"""Figures of an evaluation: curves, scores of every clip, and heatmaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.alarms import SECONDS_PER_DAY, alarm_curve, intervals, normal_seconds
from pipeline.evaluation.results import Evaluation, Highlight
from pipeline.evaluation.roc import Labels, Values, roc

DOTS_PER_INCH = 120

_COLUMNS = 3
_LABEL_COLOUR = "#f4c7c3"
_MODEL_COLOUR = "#1f4e79"


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """Content of one panel of scores."""

    title: str
    values: Values
    labels: Labels


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write every figure as a PNG under its name.

    Args:
        evaluation: The evaluation.
        folder: Created if missing.

    Returns:
        The files.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(evaluation).items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=DOTS_PER_INCH)
    return paths


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """All figures by name: roc, scores, heatmaps, and alarms where there are alarm measures."""
    drawn = {
        "roc": roc_figure(evaluation),
        "scores": scores_figure(evaluation),
        "heatmaps": heatmaps_figure(evaluation.highlights),
    }
    if evaluation.alarms is not None:
        drawn["alarms"] = alarms_figure(evaluation)
    return drawn


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


def alarms_figure(evaluation: Evaluation) -> Figure:
    """Share of the events found over false alarms a day, of every draw and of differencing."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    gap = evaluation.options.alarms.merge_gap_seconds
    rows = [(draw, "-", _MODEL_COLOUR) for draw in evaluation.draws]
    rows.append((evaluation.frame_difference, "-.", "grey"))
    for row, style, colour in rows:
        curve = alarm_curve(row.values, evaluation.labels, evaluation.pts_seconds, gap)
        if curve is not None:
            axes.plot(
                curve.false_alarms_per_day,
                curve.event_recall,
                linestyle=style,
                color=colour,
                marker=".",
                label=row.name.replace("_", " "),
            )
    asked = evaluation.options.alarms
    if asked.false_alarms_per_day is None:
        axes.axhline(asked.event_recall, color="lightgrey", linewidth=1, zorder=0)
    else:
        axes.axvline(asked.false_alarms_per_day, color="lightgrey", linewidth=1, zorder=0)
    axes.set(
        title=f"{evaluation.dataset.title}{evaluation.dataset.coverage}: events",
        xlabel="false alarms a camera-day",
        ylabel="event recall",
        ylim=(0, 1.02),
    )
    # At least as wide as one false alarm, so that a perfect detector has a scale.
    normal = normal_seconds(evaluation.labels, evaluation.pts_seconds)
    axes.set_xlim(0, max(axes.get_xlim()[1], SECONDS_PER_DAY / normal))
    axes.legend(loc="lower right")
    return figure


def scores_figure(evaluation: Evaluation) -> Figure:
    """Energy of the first draw over time, one panel a clip; anomalous frames are shaded.

    Single images are in one panel a scene, in their order.
    """
    strips = _strips(evaluation)
    figure, panels = _panels(len(strips), height=1.6)
    pooled = np.concatenate([strip.values for strip in strips])
    # The first frames of a clip repeat and are far below all others.
    low, high = float(np.percentile(pooled, 1)), float(pooled.max())
    high += 0.05 * (high - low) + 1e-6
    for axes, strip in zip(panels, strips, strict=True):
        for start, end in intervals(strip.labels):
            axes.axvspan(start, end, color=_LABEL_COLOUR, linewidth=0)
        axes.plot(strip.values, color=_MODEL_COLOUR, linewidth=1)
        axes.set(
            title=strip.title,
            xlim=(0, max(1, len(strip.values) - 1)),
            ylim=(low, high + 0.05 * (high - low)),
        )
        axes.title.set_fontsize("small")
    figure.supxlabel("frame")
    figure.supylabel("energy")
    return figure


def heatmaps_figure(highlights: Sequence[Highlight]) -> Figure:
    """The frame with the highest energy of every clip with its anomaly map.

    Where there are gradient heatmaps, the frame is shown under each, side by side.
    """
    shown = [
        (highlight, heat, name)
        for highlight in highlights
        for heat, name in ((highlight.anomaly_map, ""), (highlight.gradient, ", |∇ₓE|"))
        if heat is not None
    ]
    columns = 4 if len(shown) > len(highlights) else _COLUMNS
    figure, panels = _panels(len(shown), height=3.0, columns=columns)
    ranges = {name: _range([heat for _, heat, of in shown if of == name]) for *_, name in shown}
    for axes, (highlight, heat, name) in zip(panels, shown, strict=True):
        low, high = ranges[name]
        height, width = highlight.pixels.shape[:2]
        axes.imshow(highlight.pixels)
        axes.imshow(
            heat,
            cmap=matplotlib.colormaps["inferno"],
            vmin=low,
            vmax=high,
            alpha=0.5,
            interpolation="bilinear",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )
        axes.set_axis_off()
        axes.set_title(f"{highlight.clip}, frame {highlight.index}{name}", fontsize="small")
    return figure


def _range(maps: Sequence[npt.NDArray[np.float32]]) -> tuple[float, float]:
    """The range of colours: from the lowest median to the highest value."""
    return min(float(np.median(heat)) for heat in maps), max(float(heat.max()) for heat in maps)


def _strips(evaluation: Evaluation) -> list[_Strip]:
    places: dict[str, list[int]] = {}
    for number, clip in enumerate(evaluation.dataset.test):
        places.setdefault(clip.place, []).append(number)
    values, labels = evaluation.draws[0].values, evaluation.labels
    return [
        _Strip(
            title,
            np.concatenate([values[number] for number in numbers]),
            np.concatenate([labels[number] for number in numbers]),
        )
        for title, numbers in places.items()
    ]


def _panels(count: int, height: float, columns: int = _COLUMNS) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(4 * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
