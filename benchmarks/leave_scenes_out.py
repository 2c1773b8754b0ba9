"""Planted anomalies against normal clips at other times, in scenes that no model was trained on.

    python -m benchmarks.leave_scenes_out SCENES
    python -m benchmarks.leave_scenes_out SCENES --weights vedette runs/other --json figures.json
    python -m benchmarks.leave_scenes_out SCENES --perspective 8
    python -m benchmarks.leave_scenes_out SCENES --perspective 8 --sped-up cctv_alley hall_monitor
    python -m benchmarks.leave_scenes_out --streets 4 --street-size 120x160

No labels of test sets are used. All weights are measured on exactly the same clips; the same seed
gives the same ones again. Synthetic streets and composed perspective scenes have anomalies of their
own, with exact labels. With --sped-up all anomalies are a scene's own people at two to three times
their speed.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks.perspective import PerspectiveOptions, PerspectiveScene
from benchmarks.rendered_streets import RenderedStreet, StreetOptions
from benchmarks.separation_tables import as_json, print_group
from benchmarks.sped_up_people import SpedUpOptions, SpedUpScene
from models.checkpoint import CheckpointError, load_checkpoint, read_provenance
from models.device import resolve_device
from pipeline.datasets.layout import DatasetError
from pipeline.training.material import Sources, gather_material
from pipeline.training.measuring import (
    CLIP_LENGTH,
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
    measuring_options,
    untrained_scenes,
)

FIRST_STREET = 11
SOURCES = Sources()


def main() -> None:
    options = _arguments()
    console = Console(width=None if os.isatty(1) else 140)
    try:
        detectors = load_detectors(options.weights, options.device)
        groups: dict[str, list[StageScores]] = {}
        measuring = MeasuringOptions(options.shots, options.draws, options.queries)
        with Progress(console=console, transient=True) as progress:
            for group, stage in _stages(options, detectors, progress, console):
                task = progress.add_task(stage.name, total=None)
                advance = lambda count, task=task: progress.advance(task, count)  # noqa: E731
                found = measure(stage, detectors, measuring, advance)
                groups.setdefault(group, []).append(found)
                progress.remove_task(task)
    except (CheckpointError, DatasetError, ValueError) as error:
        raise SystemExit(f"leave_scenes_out: {error}") from error
    for group, stages in groups.items():
        print_group(group, stages, console)
    if options.json is not None:
        summary = {group: as_json(stages) for group, stages in groups.items()}
        options.json.write_text(json.dumps(summary, indent=1) + "\n")


def load_detectors(weights: Sequence[str], device: str = "auto") -> list[Detector]:
    """One detector for each of some weights, named by file name, or by path if ambiguous."""
    names = [Path(one).name.removesuffix(".safetensors").removesuffix(".json") for one in weights]
    if len(set(names)) < len(names):
        names = list(weights)
    place = resolve_device(device)
    return [
        Detector(name, load_checkpoint(one, place)[0])
        for name, one in zip(names, weights, strict=True)
    ]


def chosen_scenes(wanted: Sequence[str], weights: Sequence[str], known: Sequence[str]) -> list[str]:
    """Names of the scenes to measure on.

    Raises:
        ValueError: a scene is not known, or none was held out by all weights.
    """
    if list(wanted) == ["all"]:
        return list(known)
    if wanted:
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise ValueError(f"--scenes: no scene {', '.join(unknown)}; want {', '.join(known)}")
        return list(wanted)
    chosen = untrained_scenes([read_provenance(one) for one in weights], known)
    if not chosen:
        raise ValueError("want scenes that no weights were trained on, found none; see --scenes")
    return chosen


def perspective_scenes(
    scenes: Mapping[str, Sequence[SceneClip]],
    count: int,
    size_hw: tuple[int, int],
    seed: int,
    sped_up: tuple[float, float] | None = None,
) -> list[PerspectiveScene]:
    """Composed scenes of strong perspective, from the video of some scenes.

    Args:
        scenes: Name → its video.
        count: How many.
        size_hw: Pixels of their pictures.
        seed: The same seed gives the same scenes.
        sped_up: Range of the speed factor of walkers, then the only anomalies; None: all kinds.

    Raises:
        DatasetError: a scene that they take video from is missing.
    """
    if not count:
        return []
    material = gather_material(scenes, SOURCES, CLIP_LENGTH, seed)
    options = PerspectiveOptions(size_hw, sped_up=sped_up)
    return [PerspectiveScene(number, material, options, seed) for number in range(count)]


def _stages(
    options: argparse.Namespace,
    detectors: Sequence[Detector],
    progress: Progress,
    console: Console,
) -> Iterator[tuple[str, Stage]]:
    colour = any(detector.model.config.colour for detector in detectors)
    if options.folder is not None:
        sizes = {detector.model.config.size_hw for detector in detectors}
        if len(sizes) > 1:
            raise ValueError(f"--weights: want models of one picture size, got {sorted(sizes)}")
        files = scene_files(options.folder)
        names = options.sped_up or chosen_scenes(options.scenes, options.weights, list(files))
        _warn(names, options.weights, console)
        total = sum(map(len, files.values()))
        task = progress.add_task("decoding scenes", total=total)
        scenes = load_scenes(
            options.folder, colour=colour, on_file=lambda _: progress.advance(task)
        )
        progress.remove_task(task)
        size_hw = sizes.pop()
        pace = tuple(options.pace) if options.sped_up else None
        if options.sped_up:
            sped_up = SpedUpOptions(tuple(options.pace), options.bare, size_hw=size_hw)
            for name in names:
                yield "sped-up people", SpedUpScene(name, scenes, sped_up, options.seed)
            names = []
        sampler = MeasuringSampler(scenes, measuring_options(size_hw), options.seed)
        for name in names:
            if name in sampler.scenes:
                yield "scenes", HeldOutScene(sampler, name, options.seed)
            else:
                console.print(f"{name}: too short, left out")
        composed = perspective_scenes(
            scenes, options.perspective, size_hw, options.seed, sped_up=pace
        )
        for scene in composed:
            yield "perspective scenes", scene
    street = StreetOptions(
        options.street_size,
        options.street_seconds,
        cycle_seconds=options.occupancy_cycle,
        colour=colour,
    )
    for number in range(options.streets):
        height, width = street.size_hw
        group = f"synthetic streets {height}x{width}"
        yield group, RenderedStreet(FIRST_STREET + number, street, options.seed)


def _warn(names: Sequence[str], weights: Sequence[str], console: Console) -> None:
    for one in weights:
        trained = read_provenance(one).get("scenes", [])
        seen = [name for name in names if isinstance(trained, list) and name in trained]
        if seen:
            console.print(f"{one} was trained on {', '.join(seen)}: their rows are biased")


def size(text: str) -> tuple[int, int]:
    """Read "120x160" as (height, width)."""
    height, _, width = text.partition("x")
    try:
        return int(height), int(width)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"want HEIGHTxWIDTH, got {text!r}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="folder of scenes, if any")
    parser.add_argument("--weights", nargs="+", default=["vedette"], help="shipped names or paths")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--queries", type=int, default=48, help="normal and planted clips a draw")
    parser.add_argument(
        "--scenes", nargs="+", default=[], help="names, or all; default: those held out in training"
    )
    parser.add_argument(
        "--perspective", type=int, default=0, help="number of composed scenes of strong perspective"
    )
    parser.add_argument(
        "--sped-up", nargs="+", default=[], metavar="SCENE",
        help="instead of held-out scenes, and in perspective scenes: their own people, too fast",
    )  # fmt: skip
    parser.add_argument(
        "--pace", nargs=2, type=float, default=(2.0, 3.0), metavar=("LOW", "HIGH"),
        help="of sped-up people, as factors of their own",
    )  # fmt: skip
    parser.add_argument(
        "--bare", action="store_true", help="no cut-outs in normal clips of sped-up people"
    )
    parser.add_argument("--streets", type=int, default=0, help="number of synthetic streets")
    parser.add_argument("--street-size", type=size, default=(240, 320), metavar="HxW")
    parser.add_argument("--street-seconds", type=float, default=120.0, help="normal time of each")
    parser.add_argument(
        "--occupancy-cycle",
        type=float,
        default=90.0,
        help="seconds in which streets fill and empty; 0: even",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.folder is None and not options.streets:
        parser.error("want a folder of scenes, or --streets N")
    if options.folder is None and options.perspective:
        parser.error("--perspective: want a folder of scenes to take people and vehicles from")
    if min(options.shots, options.draws, options.queries) < 1:
        parser.error("want --shots, --draws and --queries >= 1")
    return options


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
