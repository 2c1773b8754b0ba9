"""An evaluation for people (a table) and for scripts (JSON), each with its protocol."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

from rich.table import Table

from pipeline.evaluation.roc import METRICS, FrameMetrics, has_both_classes
from pipeline.evaluation.runner import Detector, Evaluation

HEADINGS = {
    "frame_auroc_micro": "AUROC micro",
    "frame_auroc_macro": "AUROC macro",
    "eer": "EER",
    "average_precision": "AP",
}

_BASELINES_KEPT = ("frame_index", "frame_difference")  # what a constant scores needs no file


def protocol(evaluation: Evaluation) -> str:
    """How the figures came about, in one sentence; it belongs wherever one of them stands."""
    options, labels = evaluation.options, evaluation.labels
    clips = "1 clip" if options.shots == 1 else f"{options.shots} clips"
    seeds = f"seeds {options.seeds[0]} to {options.seeds[-1]}"
    if options.draws == 1:
        draws = f"one draw (seed {options.seed})"
    else:
        draws = f"{options.draws} draws ({seeds}), mean and sample standard deviation over them"
    length, interval = evaluation.config.clip_length, evaluation.config.clip_interval_seconds
    spacing = "" if length == 1 else f" {interval:g} s apart"
    both = sum(map(has_both_classes, labels))
    return (
        f"Support of {clips} drawn at random from Train, {draws}; every test frame scored causally "
        f"from {length} frame{'s' if length > 1 else ''}{spacing}; raw energies, no smoothing "
        "unless the row says so (then exponential, over the past alone), no scaling per clip, no "
        f"frame left out; macro over the {both} of {len(labels)} test clips with both classes."
    )


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The result as plain data; shares are in [0, 1], and null where they are not defined."""
    options = evaluation.options
    return {
        "dataset": f"{evaluation.dataset.name}{evaluation.dataset.coverage}",
        "model": evaluation.model,
        "shots": options.shots,
        "protocol": protocol(evaluation),
        "frames": sum(clip.size for clip in evaluation.labels),
        "draws": [
            {"seed": seed, **asdict(draw.metrics)}
            for seed, draw in zip(options.seeds, evaluation.draws, strict=True)
        ],
        "mean": over_draws(evaluation.draws, mean, at_least=1),
        "std": over_draws(evaluation.draws, stdev, at_least=2),
        "baselines": {
            baseline.name: asdict(baseline.metrics)
            for baseline in evaluation.baselines
            if baseline.name in _BASELINES_KEPT
        },
        "seconds": round(evaluation.seconds, 2),
        "frames_per_second": round(evaluation.frames_per_second, 2),
        "smoothed": {
            "time_constant_seconds": options.smoothing_seconds,
            "mean": over_draws(evaluation.smoothed_draws, mean, at_least=1),
            "std": over_draws(evaluation.smoothed_draws, stdev, at_least=2),
            "baselines": {"frame_difference": asdict(evaluation.smoothed_difference.metrics)},
        },
    }


def over_draws(
    draws: Sequence[Detector], summary: Callable[[list[float]], float], at_least: int
) -> dict[str, float | None]:
    """One number a metric; None where fewer than `at_least` draws have a value."""
    result: dict[str, float | None] = {}
    for metric in METRICS:
        values = [value for draw in draws if (value := getattr(draw.metrics, metric)) is not None]
        result[metric] = summary(values) if len(values) >= at_least else None
    return result


def table(evaluation: Evaluation) -> Table:
    """The figures in percent, the trivial detectors beside the model."""
    dataset, options = evaluation.dataset, evaluation.options
    result = Table(
        title=f"{dataset.title}{dataset.coverage}: frame level, percent", title_justify="left"
    )
    result.add_column("detector")
    for heading in HEADINGS.values():
        result.add_column(heading, justify="right")
    name = f"{evaluation.config.preset}, {options.shots}-shot"
    smoothed = f"smoothed {options.smoothing_seconds:g} s"
    result.add_row(name, *_summary(evaluation.draws), style="bold", end_section=True)
    for draw in evaluation.draws:
        result.add_row(draw.name, *_cells(draw.metrics), style="dim")
    result.add_section()
    for baseline in evaluation.baselines:
        result.add_row(baseline.name.replace("_", " "), *_cells(baseline.metrics))
    result.add_section()
    result.add_row(f"{name}, {smoothed}", *_summary(evaluation.smoothed_draws))
    difference = _cells(evaluation.smoothed_difference.metrics)
    result.add_row(f"frame difference, {smoothed}", *difference)
    return result


def _summary(draws: Sequence[Detector]) -> list[str]:
    middle, spread = over_draws(draws, mean, at_least=1), over_draws(draws, stdev, at_least=2)
    return [_with_spread(middle[metric], spread[metric]) for metric in HEADINGS]


def _cells(metrics: FrameMetrics) -> list[str]:
    return [_with_spread(getattr(metrics, metric), None) for metric in HEADINGS]


def _with_spread(share: float | None, spread: float | None) -> str:
    if share is None:
        return "–"
    figure = f"{100 * share:.1f}"
    return figure if spread is None else f"{figure} ± {100 * spread:.1f}"
