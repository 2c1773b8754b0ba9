r"""The paper's tables with our figures beside its own, on one page.

    python -m benchmarks.paper --ped2 UCSD_Anomaly_Dataset.v1p2 --avenue "Avenue Dataset" \
        --scenes SCENES --inspection made_defects --checkpoints runs/baselines

Rows and columns are in paper.yaml. Every evaluation is stored in the file of results as soon as it
is done; a second run measures only what is missing, so that it can be stopped at any time. What
cannot be measured, for want of data or of weights, says so on the page.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.paper_cells import (
    Cell,
    Column,
    Data,
    Paper,
    PaperRow,
    PaperTable,
    Places,
    drawn_figure,
    measured,
    read_paper,
    training_runs,
)
from benchmarks.paper_figures import as_rows
from cameras.source import SourceError
from models import CheckpointError
from models.baselines.imagenet import MissingWeightsError
from pipeline.telemetry.atomic_write import atomic_path

CONFIG = Path(__file__).with_name("paper.yaml")
PAGE = Path(__file__).parents[1] / "docs" / "experiments" / "paper-tables.md"
_HEAD = """# The tables of the paper

Figures of ours beside those of Wang et al., *Few-Shot Fast-Adaptive Anomaly Detection* (NeurIPS
2022). Written by `python -m benchmarks.paper`; each cell is "ours (paper)". A dash: not measured,
so far or for want of data or weights. Frame AUROC in percent unless the column says otherwise;
{draws}.
Where no figure of the paper is known to this project, none is given.
"""


def main() -> None:
    options = _arguments()
    console = Console(stderr=True)
    try:
        paper = read_paper(options.config)
        results = run(paper, options, console)
        options.out.write_text(page(paper, results))
    except (SourceError, ValueError) as error:
        raise SystemExit(f"paper: {error}") from error


def run(paper: Paper, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure the cells that are not in the file of results yet."""
    places = Places(_data(options), options.checkpoints)
    results: dict[str, Any] = {}
    if options.results.is_file():
        results = json.loads(options.results.read_text())
    results["runs"] = {**results.get("runs", {}), **training_runs(options.checkpoints)}
    for cell in cells(paper, options.only):
        if cell.key in results:
            continue
        if cell.data not in places.data:
            console.print(f"left out, no data: {cell.key}")
            continue
        console.print(cell.key)
        try:
            results[cell.key] = measured(cell, places, console)
        except (CheckpointError, MissingWeightsError) as error:
            console.print(f"left out: {error}")
            continue
        _store(results, options.results)
    for figure in paper.figures:
        wanted = options.only is None or options.only in figure.title
        if figure.key in results or not wanted or "held-out" not in places.data:
            continue
        console.print(figure.title)
        picture = options.images / "figure-e.png" if options.images is not None else None
        try:
            results[figure.key] = drawn_figure(figure, places, picture, console)
        except (CheckpointError, FloatingPointError) as error:
            console.print(f"left out: {error}")
            continue
        _store(results, options.results)
    _store(results, options.results)
    return results


def _store(results: Mapping[str, Any], path: Path) -> None:
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n")


def cells(paper: Paper, only: str | None) -> list[Cell]:
    """Every evaluation that the tables need, each once, in their order.

    Args:
        paper: All tables.
        only: Part of the title of the tables wanted; None: all.
    """
    found = [
        Cell.of(row, column, paper.draws)
        for table in paper.tables
        if only is None or only in table.title
        for column in table.columns
        for row in table.rows
        if row.method is not None
    ]
    return list(dict.fromkeys(found))


def page(paper: Paper, results: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    draws = "one draw of the support, the same for every method"
    if paper.draws > 1:
        draws = (
            f"mean ± standard deviation over {paper.draws} draws of the support, the same draws "
            "for every method"
        )
    parts = [_HEAD.format(draws=draws)]
    parts += [_table(table, results, paper.draws) for table in paper.tables]
    parts.append(_runs(results.get("runs", {})))
    for figure in paper.figures:
        curves = results.get(figure.key)
        rows = ["Not measured yet."] if curves is None else as_rows(curves)
        parts.append("\n".join([f"## {figure.title}", "", figure.note.strip(), "", *rows, ""]))
    return "\n".join(parts)


def _runs(runs: Mapping[str, Any]) -> str:
    lines = ["## Training runs of the baselines", "", "One episode a step, on one core.", ""]
    lines += ["| weights | pixels | scenes | iterations | CPU minutes |", "|---|---|---|---|---|"]
    for name, run in runs.items():
        height, width = run["size_hw"]
        figures = f"{run['scenes']} | {run['iterations']} | {run['cpu_minutes']:g}"
        lines.append(f"| {name} | {height} × {width} | {figures} |")
    return "\n".join([*lines, ""])


def _table(table: PaperTable, results: Mapping[str, Any], draws: int) -> str:
    lines = [f"## {table.title}", "", table.note.strip(), ""]
    measured_rows = [row for row in table.rows if row.method is not None or row.paper]
    if measured_rows and table.columns:
        heads = ["", *(column.title for column in table.columns)]
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        for row in measured_rows:
            figures = [
                _figure(row, column, number, results, draws)
                for number, column in enumerate(table.columns)
            ]
            lines.append(f"| {' | '.join([row.title, *figures])} |")
        lines.append("")
    reasons = [f"- *{row.title}*: {row.not_measured}" for row in table.rows if row.not_measured]
    if reasons:
        lines += ["Not measured:", "", *reasons, ""]
    return "\n".join(lines)


def _figure(
    row: PaperRow, column: Column, number: int, results: Mapping[str, Any], draws: int
) -> str:
    ours = "–"
    if row.method is not None:
        found = results.get(Cell.of(row, column, draws).key, {}).get(column.measure)
        if found is not None:
            digits = 3 if column.measure.startswith("energy") else 1
            spread = "" if found["std"] is None else f" ± {found['std']:.{digits}f}"
            ours = f"{found['mean']:.{digits}f}{spread}"
    theirs = row.paper[number] if row.paper else None
    return ours if theirs is None else f"{ours} ({theirs:g})"


def _data(options: argparse.Namespace) -> dict[Data, Path]:
    names: dict[Data, Path | None] = {
        "ped1": options.ped1,
        "ped2": options.ped2,
        "avenue": options.avenue,
        "held-out": options.scenes,
        "inspection": options.inspection,
        "turned": options.turned,
        "contaminated": options.contaminated,
    }
    return {name: path for name, path in names.items() if path is not None}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--ped1", type=Path, help="UCSD archive with Ped1")
    parser.add_argument("--ped2", type=Path, help="UCSD archive with Ped2")
    parser.add_argument("--avenue", type=Path)
    parser.add_argument("--scenes", type=Path, help="scenes, of which five are held out")
    parser.add_argument("--inspection", type=Path, help="made by benchmarks.inspection_set")
    parser.add_argument("--turned", type=Path, help="the same with --pose 90")
    parser.add_argument("--contaminated", type=Path, help="the same with --contaminated 0.1")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/baselines"))
    parser.add_argument("--results", type=Path, default=PAGE.with_suffix(".json"))
    parser.add_argument("--images", type=Path, help="folder for the picture of Figure E")
    parser.add_argument("--only", help="part of the title of the tables to measure")
    parser.add_argument("--out", type=Path, default=PAGE)
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
