"""Tables and JSON of how well scores separate planted from normal clips in groups of scenes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean

from rich.console import Console
from rich.table import Table

from pipeline.evaluation.separation import Figures, KindFigure, by_kind, figures
from pipeline.training.measuring import DIFFERENCE, SCORES, StageScores


def print_group(group: str, stages: Sequence[StageScores], console: Console) -> None:
    """The tables of some scenes, and the worst scene of each detector."""
    table = Table(
        "scene", "detector", *SCORES, "false alarms a day", "above, %", "found quietly, %",
        title=f"{group}: frame AUROC, percent, mean ± std over draws", title_justify="left",
    )  # fmt: skip
    names = list(dict.fromkeys(name for name, _ in stages[0].detectors))
    results = {
        stage.name: {key: figures(draws) for key, draws in stage.detectors.items()}
        for stage in stages
    }
    for stage, found in results.items():
        seconds = found[DIFFERENCE, "energy"].normal_seconds
        title = f"{stage} ({seconds:.0f} s)" if seconds else stage
        for number, name in enumerate(names):
            label = title if number == 0 else ""
            table.add_row(label, name, *_cells(found, name))
        table.add_section()
    for number, name in enumerate(names):
        label = "mean" if number == 0 else ""
        table.add_row(label, name, *_mean_cells(list(results.values()), name), style="bold")
    console.print(table)
    console.print(_kinds(group, stages, names))
    console.print(
        "False alarms a day: runs of normal frames (10 a second, runs within 5 s are one) at the "
        "threshold that finds 90 % of the planted clips; above: the share of those frames. "
        "In brackets the duration of the normal video over all draws: in a short one, 1 alarm is "
        "86,400 / seconds a day, and an endless run counts once. Found quietly: planted clips "
        "above all normal clips and video."
    )
    for name in names:
        worst = min(results, key=lambda stage, name=name: results[stage][name, "energy"].auroc)
        auroc = 100 * results[worst][name, "energy"].auroc
        console.print(f"worst scene of {name}: {worst}, {auroc:.1f}")


def as_json(stages: Sequence[StageScores]) -> dict[str, object]:
    """All figures as plain data; AUROC in 0 … 1."""
    keys = list(stages[0].detectors)
    return {
        "scenes": {
            stage.name: {
                f"{name}/{score}": asdict(figures(draws))
                for (name, score), draws in stage.detectors.items()
            }
            for stage in stages
        },
        "kinds": {
            f"{name}/{score}": {
                kind: asdict(figure) for kind, figure in _by_kind(stages, (name, score)).items()
            }
            for name, score in keys
        },
    }


def _cells(found: dict[tuple[str, str], Figures], name: str) -> list[str]:
    energy = found[name, "energy"]
    cells = []
    for score in SCORES:
        one = found.get((name, score))
        spread = "" if one is None or one.spread is None else f" ± {100 * one.spread:.1f}"
        cells.append("–" if one is None else f"{100 * one.auroc:.1f}{spread}")
    rate, above = energy.false_alarms_per_day, energy.share_above
    cells.append("–" if rate is None else f"{rate:,.0f}")
    cells.append("–" if above is None else f"{100 * above:.1f}")
    cells.append(f"{100 * energy.quiet_recall:.1f}")
    return cells


def _mean_cells(results: Sequence[dict[tuple[str, str], Figures]], name: str) -> list[str]:
    """Over the scenes: mean AUROC and share above; alarms over all their normal video."""
    cells = []
    for score in SCORES:
        some = [found[name, score].auroc for found in results if (name, score) in found]
        cells.append(f"{100 * mean(some):.1f}" if some else "–")
    energies = [found[name, "energy"] for found in results]
    seconds = sum(one.normal_seconds for one in energies)
    alarms = sum(
        one.false_alarms_per_day * one.normal_seconds
        for one in energies
        if one.false_alarms_per_day is not None
    )
    above = [one.share_above for one in energies if one.share_above is not None]
    cells.append(f"{alarms / seconds:,.0f}" if seconds else "–")
    cells.append(f"{100 * mean(above):.1f}" if above else "–")
    cells.append(f"{100 * mean(one.quiet_recall for one in energies):.1f}")
    return cells


def _kinds(group: str, stages: Sequence[StageScores], names: Sequence[str]) -> Table:
    columns = [(name, score) for name in names for score in SCORES]
    columns = [key for key in columns if key in stages[0].detectors]
    headings = [name if score == "energy" else score for name, score in columns]
    table = Table(
        "kind", "clips", *headings, title=f"{group}: by kind of anomaly", title_justify="left"
    )
    found = [_by_kind(stages, key) for key in columns]
    for kind, first in found[0].items():
        aurocs = [f"{100 * one[kind].auroc:.1f}" for one in found]
        table.add_row(kind, str(first.planted), *aurocs)
    return table


def _by_kind(stages: Sequence[StageScores], key: tuple[str, str]) -> Mapping[str, KindFigure]:
    draws = [draw for stage in stages for draw in stage.detectors[key]]
    return by_kind(draws, [kinds for stage in stages for kinds in stage.kinds])
