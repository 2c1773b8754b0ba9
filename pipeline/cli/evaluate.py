"""`vedette evaluate`: measure the detector on a public benchmark."""

import json
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

from models import SceneScorer
from pipeline.datasets.avenue import load_avenue
from pipeline.datasets.layout import Dataset
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.report import protocol, table, to_json
from pipeline.evaluation.runner import EvaluationOptions
from pipeline.evaluation.runner import evaluate as run_evaluation


def evaluate(
    name: str,
    root: Path,
    options: EvaluationOptions,
    weights: str,
    device: str,
    json_path: Path | None,
    plots_folder: Path | None,
) -> None:
    """Run, print the table, and write what was asked for.

    Raises:
        DatasetError: the folder is not the data set.
        CheckpointError: the weights cannot be used.
        ValueError: there is no such device, or more shots than the Train split has.
        SourceError: a clip cannot be decoded.
    """
    console = Console()
    dataset = load_dataset(name, root)
    scorer = SceneScorer.load(weights, device)
    with _progress(console) as progress:
        evaluation = run_evaluation(dataset, scorer, options, progress)
    console.print(table(evaluation))
    console.print(protocol(evaluation), highlight=False)
    console.print(
        f"{dataset.labels.size} frames, {int(dataset.labels.sum())} anomalous; "
        f"{evaluation.seconds:.1f} s, {evaluation.frames_per_second:.1f} frames/s "
        f"on {scorer.device}",
        highlight=False,
    )
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(to_json(evaluation), indent=1) + "\n")
        console.print(f"wrote {json_path}", highlight=False)
    if plots_folder is not None:
        # Only here: matplotlib takes a second to load.
        from pipeline.evaluation.plots import write_plots

        for path in write_plots(evaluation, plots_folder):
            console.print(f"wrote {path}", highlight=False)


def load_dataset(name: str, root: Path) -> Dataset:
    """The benchmark of that name.

    Raises:
        DatasetError: the folder is not the data set.
        ValueError: an unknown name.
    """
    if name == "ucsd-ped1":
        return load_ucsd(root, "ped1")
    if name == "ucsd-ped2":
        return load_ucsd(root, "ped2")
    if name == "avenue":
        return load_avenue(root)
    raise ValueError(f"data set: want ucsd-ped1, ucsd-ped2 or avenue, got {name!r}")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
