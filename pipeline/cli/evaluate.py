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

from pipeline.datasets.benchmarks import load_benchmark
from pipeline.evaluation.clip_sheets import short_clip_sheet
from pipeline.evaluation.report import to_json
from pipeline.evaluation.results import EvaluationOptions
from pipeline.evaluation.runner import evaluate as run_evaluation
from pipeline.evaluation.sheets import as_table, sheets
from pipeline.scoring.loading import load_scorer
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
) -> None:
    """Run an evaluation, print its tables, and write the requested files.

    Raises:
        DatasetError: the folder is not the data set.
        CheckpointError: the weights cannot be used.
        ValueError: there is no such device, or more shots than the Train split has.
        SourceError: a clip cannot be decoded.
        OSError: what was asked for cannot be written; known before the work begins.
    """
    console = Console()
    dataset = load_benchmark(name, root)
    scorer = load_scorer(weights, device)
    with ExitStack() as stack:
        result = None if json_path is None else stack.enter_context(atomic_path(json_path))
        report = None if report_path is None else stack.enter_context(atomic_path(report_path))
        if plots_folder is not None:
            plots_folder.mkdir(parents=True, exist_ok=True)
        with _progress(console) as progress:
            evaluation = run_evaluation(dataset, scorer, options, progress)
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


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
