"""`vedette evaluate`: measure the detector on a public benchmark."""

import json
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.cli.methods import MethodOptions
from pipeline.datasets.benchmarks import load_benchmark
from pipeline.datasets.layout import Dataset, only_scenes
from pipeline.evaluation.clip_sheets import short_clip_sheet
from pipeline.evaluation.method_sheet import method_sheet
from pipeline.evaluation.report import to_json
from pipeline.evaluation.results import Evaluation, EvaluationOptions
from pipeline.evaluation.runner import evaluate as run_evaluation
from pipeline.evaluation.sheets import as_table, sheets
from pipeline.telemetry.atomic_write import atomic_path


def evaluate(
    name: str,
    root: Path,
    options: EvaluationOptions,
    weights: str,
    device: str,
    json_path: Path | None,
    plots_folder: Path | None,
    report_path: Path | None,
    methods: MethodOptions | None = None,
) -> None:
    """Run an evaluation, print its tables, and write the requested files.

    Raises:
        DatasetError: the folder is not the data set, or has no such scene.
        CheckpointError: the weights cannot be used.
        ValueError: there is no such device, or more shots than the Train split has.
        SourceError: a clip cannot be decoded.
        OSError: what was asked for cannot be written; known before the work begins.
    """
    console = Console()
    methods = methods or MethodOptions()
    dataset = only_scenes(load_benchmark(name, root), methods.scenes)
    if len(methods.names) > 1:
        if plots_folder is not None or report_path is not None:
            raise ValueError("--plots, --report: want a single method, got several")
        compare(dataset, options, methods, weights, device, json_path, console)
        return
    names = [scene.name for scene in dataset.scenes]
    (scorer_of,) = methods.scorers(weights, device, names).values()
    scorer = scorer_of(names[0])
    with ExitStack() as stack:
        result = None if json_path is None else stack.enter_context(atomic_path(json_path))
        report = None if report_path is None else stack.enter_context(atomic_path(report_path))
        if plots_folder is not None:
            plots_folder.mkdir(parents=True, exist_ok=True)
        with progress_bars(console) as progress:
            evaluation = run_evaluation(dataset, scorer, options, progress, scorer_of)
        if result is not None:
            result.write_text(json.dumps(to_json(evaluation), indent=1) + "\n")
        if report is not None:
            # Only here: matplotlib takes a second to load.
            from pipeline.evaluation.html_report import html_report

            report.write_text(html_report(evaluation), encoding="utf-8")
    for sheet in (*sheets(evaluation), short_clip_sheet(evaluation)):
        console.print(as_table(sheet))
        console.print(sheet.note, highlight=False, markup=False)
        console.print()
    console.print(
        f"{dataset.labels.size} frames, {int(dataset.labels.sum())} anomalous; "
        f"{evaluation.seconds:.1f} s, {evaluation.frames_per_second:.1f} frames/s "
        f"on {scorer.device}",
        highlight=False,
    )
    for path in (json_path, report_path):
        if path is not None:
            console.print(f"wrote {path}", highlight=False)
    if plots_folder is not None:
        from pipeline.evaluation.plots import write_plots

        for path in write_plots(evaluation, plots_folder):
            console.print(f"wrote {path}", highlight=False)


def compare(
    dataset: Dataset,
    options: EvaluationOptions,
    methods: MethodOptions,
    weights: str,
    device: str,
    json_path: Path | None,
    console: Console,
) -> None:
    """Evaluate several methods one after the other, and print one table of all.

    Raises:
        CheckpointError: the weights of a method cannot be used.
        ValueError: an unknown method, or as `evaluate`.
        OSError: the result cannot be written.
    """
    names = [scene.name for scene in dataset.scenes]
    scorers = methods.scorers(weights, device, names)
    found: dict[str, Evaluation] = {}
    with ExitStack() as stack:
        result = None if json_path is None else stack.enter_context(atomic_path(json_path))
        for label, scorer_of in scorers.items():
            console.print(label)
            with progress_bars(console) as progress:
                found[label] = run_evaluation(
                    dataset, scorer_of(names[0]), options, progress, scorer_of
                )
        if result is not None:
            data = {label: to_json(one) for label, one in found.items()}
            result.write_text(json.dumps({"methods": data}, indent=1) + "\n")
    sheet = method_sheet(found)
    console.print(as_table(sheet))
    console.print(sheet.note, highlight=False, markup=False)
    if json_path is not None:
        console.print(f"wrote {json_path}", highlight=False)


def progress_bars(console: Console) -> Progress:
    """Progress bars that count."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
