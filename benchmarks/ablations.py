"""Ablation table of the method, on planted anomalies in held-out scenes.

    python -m benchmarks.ablations SCENES --config benchmarks/ablations.yaml
    python -m benchmarks.ablations SCENES --perspective 8
    python -m benchmarks.ablations SCENES --ucsd UCSD_Anomaly_Dataset.v1p2 --out table.md

The configuration lists the rows and their changes; all rows use exactly the same clips. With
--perspective a column gives the result on composed scenes of strong perspective, with --ucsd
another the result on the labels of Ped2: for reporting only, not for choices.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks.ablation_rows import (
    Ablations,
    Row,
    markdown,
    needs_priors,
    on_benchmark,
    read_ablations,
    row_figures,
    set_priors,
    varied,
)
from benchmarks.leave_scenes_out import chosen_scenes, perspective_scenes
from cameras.source import SourceError
from models.checkpoint import load_checkpoint
from models.device import resolve_device
from pipeline.datasets.ucsd import load_ucsd
from pipeline.training.measuring import (
    Detector,
    MeasuringOptions,
    Stage,
    StageScores,
    measure,
)
from pipeline.training.measuring_sampler import MeasuringSampler
from pipeline.training.scenes import SceneClip, load_scenes, scene_files
from pipeline.training.validation import (
    HeldOutScene,
    measure_priors_of,
    measuring_options,
)

CONFIG = Path(__file__).with_name("ablations.yaml")


def main() -> None:
    options = _arguments()
    console = Console(stderr=True)
    try:
        table = run(options, console)
    except (SourceError, ValueError) as error:  # all other errors of the project are ValueErrors
        raise SystemExit(f"ablations: {error}") from error
    print(table)
    if options.out is not None:
        options.out.write_text(table + "\n")


def run(options: argparse.Namespace, console: Console) -> str:
    """Measure all rows that can be measured, and return the table."""
    ablations = read_ablations(options.config)
    rows = present(ablations, console)
    detectors = make_detectors(ablations, rows, options.device)
    sizes = {detector.model.config.size_hw for detector in detectors}
    if len(sizes) > 1:
        raise ValueError(f"want weights of one picture size, got {sorted(sizes)}")
    weights = list(dict.fromkeys(row.weights or ablations.weights for row in rows))
    files = scene_files(options.folder)
    names = chosen_scenes(options.scenes, weights, list(files))
    measuring = MeasuringOptions(ablations.shots, ablations.draws, ablations.queries, video=False)
    with Progress(console=console) as progress:
        scenes = _load(options.folder, detectors, progress)
        if not options.keep_priors:
            _measure_priors(rows, detectors, scenes, names, progress)
        size_hw = sizes.pop()
        sampler = MeasuringSampler(scenes, measuring_options(size_hw), options.seed)

        def measured(stage: Stage) -> StageScores:
            task = progress.add_task(stage.name, total=2 * measuring.queries * measuring.draws)
            return measure(stage, detectors, measuring, lambda count: progress.advance(task, count))

        stages: list[StageScores] = []
        for name in names:
            if name in sampler.scenes:
                stages.append(measured(HeldOutScene(sampler, name, options.seed)))
            else:
                console.print(f"{name}: too short, left out")
        if not stages:
            raise ValueError(f"want scenes of more than a few seconds, got {', '.join(names)}")
        figures = {detector.name: row_figures(detector.name, stages) for detector in detectors}
        beside: dict[str, dict[str, tuple[float, float | None]]] = {}
        composed = perspective_scenes(scenes, options.perspective, size_hw, options.seed)
        if composed:
            stages = [measured(scene) for scene in composed]
            found = {detector.name: row_figures(detector.name, stages) for detector in detectors}
            beside["perspective"] = {name: (one.auroc, one.spread) for name, one in found.items()}
        if options.ucsd is not None:
            dataset = load_ucsd(options.ucsd, "ped2")
            beside["Ped2, micro"] = {
                detector.name: on_benchmark(
                    dataset, detector, ablations.shots, options.ucsd_draws, progress
                )
                for detector in detectors
                if not detector.contaminated  # its Train is normal, and nothing is planted into it
            }
    return markdown(ablations, figures, beside)


def present(ablations: Ablations, console: Console) -> list[Row]:
    """The rows whose weights exist; the others are listed on the console."""
    rows = []
    for row in ablations.rows:
        if row.weights is not None and not Path(row.weights + ".json").is_file():
            console.print(f"left out: {row.name}: no checkpoint {row.weights}")
        else:
            rows.append(row)
    return rows


def make_detectors(ablations: Ablations, rows: Sequence[Row], device: str) -> list[Detector]:
    """One detector a row; rows of the same weights share one network."""
    place = resolve_device(device)
    loaded = {
        weights: load_checkpoint(weights, place)[0]
        for weights in dict.fromkeys(row.weights or ablations.weights for row in rows)
    }
    return [
        Detector(
            row.name,
            varied(loaded[row.weights or ablations.weights], row).to(place),
            row.shots,
            row.contaminated,
        )
        for row in rows
    ]


def _load(
    folder: Path, detectors: Sequence[Detector], progress: Progress
) -> dict[str, list[SceneClip]]:
    task = progress.add_task("decoding scenes", total=sum(map(len, scene_files(folder).values())))
    colour = any(detector.model.config.colour for detector in detectors)
    return load_scenes(folder, colour=colour, on_file=lambda _: progress.advance(task))


def _measure_priors(
    rows: Sequence[Row],
    detectors: Sequence[Detector],
    scenes: dict[str, list[SceneClip]],
    measured: Sequence[str],
    progress: Progress,
) -> None:
    """Give every row that changes the energies priors of its own, from the other scenes."""
    others = {name: clips for name, clips in scenes.items() if name not in measured}
    models = [
        detector.model for row, detector in zip(rows, detectors, strict=True) if needs_priors(row)
    ]
    if not models:
        return
    task = progress.add_task("typical energies of other scenes", total=len(others))
    priors = measure_priors_of(models, others, on_scene=lambda: progress.advance(task))
    for model, (mean, spread) in zip(models, priors, strict=True):
        set_priors(model, mean, spread)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of scenes")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument(
        "--scenes", nargs="+", default=[], help="names, or all; default: those held out in training"
    )
    parser.add_argument("--keep-priors", action="store_true", help="do not measure them again")
    parser.add_argument(
        "--perspective", type=int, default=0, help="number of composed scenes of strong perspective"
    )
    parser.add_argument("--ucsd", type=Path, metavar="ROOT", help="also measure on Ped2's labels")
    parser.add_argument("--ucsd-draws", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="write the table there too")
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
