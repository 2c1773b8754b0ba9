"""The figures of an evaluation laid out in tables, for the terminal and for the HTML report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Literal

from rich.table import Table

from pipeline.evaluation.alarms import SECONDS_PER_DAY, AlarmOptions
from pipeline.evaluation.report import field_protocol, protocol
from pipeline.evaluation.results import Alarms, DetectorResult, Evaluation, FieldRows, Localisation
from pipeline.evaluation.summary import (
    Figures,
    Metrics,
    SceneAurocs,
    inspection_means,
    means,
    scene_aurocs,
    spreads,
)

FRAME_HEADINGS = {
    "frame_auroc_micro": "AUROC micro",
    "frame_auroc_macro": "AUROC macro",
    "eer": "EER",
    "average_precision": "AP",
}
LOCALISATION_HEADINGS = {"pixel_auroc": "pixel AUROC", "rbdc": "RBDC", "tbdc": "TBDC", "iou": "IoU"}

_STYLES = {"headline": "bold", "draw": "dim", "plain": ""}


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One line of a table."""

    cells: tuple[str, ...]
    """The name, then one figure a column."""
    kind: Literal["headline", "draw", "plain"] = "plain"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table with its note."""

    title: str
    columns: tuple[str, ...]
    sections: tuple[tuple[SheetRow, ...], ...]
    """Groups of rows with a line between them."""
    note: str
    """Protocol of the figures."""


def sheets(evaluation: Evaluation) -> list[Sheet]:
    """All tables that have figures; the causal frame level comes first."""
    found = [frame_sheet(evaluation)]
    if evaluation.field_rows is not None:
        found.append(field_sheet(evaluation, evaluation.field_rows))
    if evaluation.localisation is not None:
        found.append(localisation_sheet(evaluation, evaluation.localisation))
    if evaluation.alarms is not None:
        found.append(alarm_sheet(evaluation, evaluation.alarms))
    scenes = scene_aurocs(evaluation)
    if scenes:
        found.append(scene_sheet(evaluation, scenes))
    if evaluation.inspection:
        found.append(inspection_sheet(evaluation))
    return found


def frame_sheet(evaluation: Evaluation) -> Sheet:
    """The headline: causal frame-level measures of the model and the trivial detectors."""
    name, smoothed = _model(evaluation), f"smoothed {evaluation.options.smoothing_seconds:g} s"
    headings = FRAME_HEADINGS
    return Sheet(
        f"{title(evaluation)}: frame level, percent",
        ("detector", *headings.values()),
        (
            (_averaged(name, _metrics(evaluation.draws), headings, "headline"),),
            tuple(_single(draw.name, draw.metrics, headings, "draw") for draw in evaluation.draws),
            tuple(_named(baseline, headings) for baseline in evaluation.baselines),
            (
                _averaged(f"{name}, {smoothed}", _metrics(evaluation.smoothed_draws), headings),
                _single(
                    f"frame difference, {smoothed}",
                    evaluation.smoothed_difference.metrics,
                    headings,
                ),
            ),
        ),
        protocol(evaluation),
    )


def field_sheet(evaluation: Evaluation, rows: FieldRows) -> Sheet:
    """Figures with the post-processing of most papers, separate from the headline."""
    return Sheet(
        f"{title(evaluation)}: field post-processing (not causal), percent",
        ("detector", *FRAME_HEADINGS.values()),
        (
            (_averaged(_model(evaluation), _metrics(rows.draws), FRAME_HEADINGS),),
            tuple(_named(baseline, FRAME_HEADINGS) for baseline in rows.baselines),
        ),
        field_protocol(evaluation),
    )


def localisation_sheet(evaluation: Evaluation, found: Localisation) -> Sheet:
    """Localisation measures, on the clips that have masks."""
    return Sheet(
        f"{title(evaluation)}: localisation, percent",
        ("detector", *LOCALISATION_HEADINGS.values()),
        (
            (_averaged(_model(evaluation), found.draws, LOCALISATION_HEADINGS, "headline"),),
            (_single("gradient heatmap, first draw", found.gradient, LOCALISATION_HEADINGS),)
            if found.gradient is not None
            else (),
            (_single("frame difference", found.difference, LOCALISATION_HEADINGS),),
        ),
        f"{found.clips} of {len(evaluation.labels)} test clips have masks; raw, causal maps. RBDC "
        "and TBDC: area over 0 … 1 false regions a frame, sets of pixels with IoU ≥ 0.1, tracks "
        "found by 10 % of their regions. Regions and tracks are those of the masks. IoU of "
        "anomalous pixels at the best threshold.",
    )


def alarm_sheet(evaluation: Evaluation, found: Alarms) -> Sheet:
    """The alarm measures."""
    options = evaluation.options.alarms
    nothing = dict.fromkeys(asdict(found.difference))
    one_alarm = SECONDS_PER_DAY / found.normal_seconds
    return Sheet(
        f"{title(evaluation)}: alarm measures",
        ("detector", "event recall, %", "false alarms a camera-day", "time to detect, s"),
        (
            (_alarm_row(_model(evaluation), means(found.draws), spreads(found.draws), "headline"),),
            (_alarm_row("frame difference", asdict(found.difference), nothing),),
            *(
                (
                    _alarm_row(
                        f"{_model(evaluation)}, {rows.wanted_per_day:g} a day",
                        means(rows.draws),
                        spreads(rows.draws),
                    ),
                    _alarm_row(
                        f"frame difference, {rows.wanted_per_day:g} a day",
                        asdict(rows.difference),
                        nothing,
                    ),
                )
                for rows in found.further
            ),
        ),
        f"{_asked(options, found.events)} {found.normal_seconds:.0f} s of normal video: one false "
        f"alarm in it is {one_alarm:,.0f} a day. Alarms less than {options.merge_gap_seconds:g} s "
        "apart are one; raw energies; time to detect is the median over the events found.",
    )


def _asked(options: AlarmOptions, events: int) -> str:
    if options.false_alarms_per_day is None:
        return (
            f"At the highest threshold that finds {100 * options.event_recall:g} % of the "
            f"{events} events."
        )
    return (
        f"{events} events, at the lowest threshold with at most {options.false_alarms_per_day:g} "
        "false alarms a camera-day."
    )


def scene_sheet(evaluation: Evaluation, scenes: Mapping[str, SceneAurocs]) -> Sheet:
    """Frame AUROC of every scene, and the mean over them."""
    draws = zip(*(scene.draws for scene in scenes.values()), strict=True)
    over_scenes = SceneAurocs(
        tuple(mean(draw) for draw in draws), mean(scene.difference for scene in scenes.values())
    )
    return Sheet(
        f"{title(evaluation)}: each scene, frame AUROC micro, percent",
        ("scene", _model(evaluation), "frame difference"),
        (
            (_scene_row("mean of the scenes", over_scenes, "headline"),),
            tuple(_scene_row(name, scene) for name, scene in scenes.items()),
        ),
        "Frames of one scene pooled; scenes with frames of one class alone are left out.",
    )


def inspection_sheet(evaluation: Evaluation) -> Sheet:
    """Localisation of every category, and the mean over the categories, which papers report."""
    over_categories = inspection_means(evaluation)
    keys = ("pixel_auroc", "iou", "aupro")
    rows = []
    for name, draws in evaluation.inspection.items():
        middle, spread = means(draws), spreads(draws)
        rows.append(SheetRow((name, *(percent(middle[key], spread[key]) for key in keys))))
    return Sheet(
        f"{title(evaluation)}: inspection, percent",
        ("category", "pixel AUROC", "mIoU", "AUPRO"),
        (
            (
                SheetRow(
                    (
                        "mean of the categories",
                        *(percent(over_categories[key]) for key in keys),
                    ),
                    "headline",
                ),
            ),
            tuple(rows),
        ),
        f"{_model(evaluation)}. Pixels of one category pooled. IoU of anomalous pixels at the best "
        "threshold of the category, over maps scaled by the lowest and highest value of all its "
        "test images; AUPRO up to 30 % false positive pixels.",
    )


def as_table(sheet: Sheet) -> Table:
    """A table for the terminal, without its note."""
    result = Table(title=sheet.title, title_justify="left")
    for number, heading in enumerate(sheet.columns):
        result.add_column(heading, justify="right" if number else "left")
    for section in sheet.sections:
        for row in section:
            result.add_row(*row.cells, style=_STYLES[row.kind])
        result.add_section()
    return result


def title(evaluation: Evaluation) -> str:
    """The data set, and the part of it that is present."""
    return f"{evaluation.dataset.title}{evaluation.dataset.coverage}"


def _model(evaluation: Evaluation) -> str:
    return f"{evaluation.config.preset}, {evaluation.options.shots}-shot"


def _metrics(detectors: Sequence[DetectorResult]) -> list[Metrics]:
    return [detector.metrics for detector in detectors]


def _named(detector: DetectorResult, headings: Mapping[str, str]) -> SheetRow:
    return _single(detector.name.replace("_", " "), detector.metrics, headings)


def _averaged(
    name: str,
    draws: Sequence[Metrics],
    headings: Mapping[str, str],
    kind: Literal["headline", "plain"] = "plain",
) -> SheetRow:
    middle, spread = means(draws), spreads(draws)
    return SheetRow((name, *(percent(middle[key], spread[key]) for key in headings)), kind)


def _single(
    name: str,
    metrics: Metrics,
    headings: Mapping[str, str],
    kind: Literal["draw", "plain"] = "plain",
) -> SheetRow:
    figures = asdict(metrics)
    return SheetRow((name, *(percent(figures[key]) for key in headings)), kind)


def _alarm_row(
    name: str, middle: Figures, spread: Figures, kind: Literal["headline", "plain"] = "plain"
) -> SheetRow:
    alarms, delay = "false_alarms_per_day", "time_to_detect_seconds"
    return SheetRow(
        (
            name,
            percent(middle["event_recall"], spread["event_recall"]),
            number(middle[alarms], 0, spread[alarms]),
            number(middle[delay], 2, spread[delay]),
        ),
        kind,
    )


def _scene_row(
    name: str, scene: SceneAurocs, kind: Literal["headline", "plain"] = "plain"
) -> SheetRow:
    spread = stdev(scene.draws) if len(scene.draws) > 1 else None
    return SheetRow((name, percent(mean(scene.draws), spread), percent(scene.difference)), kind)


def percent(share: float | None, spread: float | None = None) -> str:
    """A share of 0 … 1 in percent, with its spread where there is one."""
    return number(
        None if share is None else 100 * share, 1, None if spread is None else 100 * spread
    )


def number(value: float | None, digits: int, spread: float | None = None) -> str:
    """A figure with so many decimals, with its spread where there is one; a dash for none."""
    if value is None:
        return "–"
    figure = f"{value:.{digits}f}"
    return figure if spread is None else f"{figure} ± {spread:.{digits}f}"
