"""Several methods in one table: the same data set, draws and protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean, stdev

from pipeline.evaluation.report import protocol
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.sheets import FRAME_HEADINGS, Sheet, SheetRow, number, percent, title
from pipeline.evaluation.summary import inspection_means, means, scene_aurocs, spreads


def method_sheet(evaluations: Mapping[str, Evaluation]) -> Sheet:
    """One row a method, then the trivial detectors.

    Args:
        evaluations: By name of the method; of the same data set and options.
    """
    first = next(iter(evaluations.values()))
    columns = _columns(first)
    rows = tuple(
        SheetRow((name, *_cells(one, columns), number(one.seconds, 0)))
        for name, one in evaluations.items()
    )
    trivial = tuple(
        SheetRow(
            (
                row.name.replace("_", " "),
                *(percent(asdict(row.metrics)[key]) for key in FRAME_HEADINGS),
                *("–" for _ in columns[len(FRAME_HEADINGS) :]),
                "–",
            )
        )
        for row in first.baselines
    )
    return Sheet(
        f"{title(first)}: methods, {first.options.shots}-shot, percent",
        ("method", *columns, "seconds"),
        (rows, trivial),
        f"{protocol(first)} Each method with clips and a picture size of its own.",
    )


def _columns(evaluation: Evaluation) -> list[str]:
    columns = list(FRAME_HEADINGS.values())
    if evaluation.inspection:
        return [*columns, "mean of categories", "pixel AUROC", "mIoU", "AUPRO"]
    if evaluation.localisation is not None:
        columns += ["pixel AUROC", "IoU", "RBDC", "TBDC"]
    return columns


def _cells(evaluation: Evaluation, columns: Sequence[str]) -> list[str]:
    metrics = [draw.metrics for draw in evaluation.draws]
    middle, spread = means(metrics), spreads(metrics)
    cells = [percent(middle[key], spread[key]) for key in FRAME_HEADINGS]
    if evaluation.inspection:
        scenes = scene_aurocs(evaluation).values()
        draws = [mean(draw) for draw in zip(*(scene.draws for scene in scenes), strict=True)]
        wide = stdev(draws) if len(draws) > 1 else None
        cells.append(percent(mean(draws) if draws else None, wide))
        found = inspection_means(evaluation)
        cells += [percent(found[key]) for key in ("pixel_auroc", "iou", "aupro")]
    elif evaluation.localisation is not None:
        where = evaluation.localisation.draws
        middle, spread = means(where), spreads(where)
        cells += [
            percent(middle[key], spread[key]) for key in ("pixel_auroc", "iou", "rbdc", "tbdc")
        ]
    assert len(cells) == len(columns)
    return cells
