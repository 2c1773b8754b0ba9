"""Alarms of a camera's first, entirely normal day: hour 1, hours 2 to 6, hours 7 to 24.

    python -m benchmarks.first_day --streets 2 --minutes 4 --videos SCENES --save energies.json
    python -m benchmarks.first_day --load energies.json --hours 24 --seed 2

A day of video would take a day of a core. So each scene is adapted to and calibrated on like a new
camera, and its video is scored once in that scene: a pool of energies, in pieces of half a minute.
Then the day is simulated: the calibrator and the event rules, the only parts that adapt from then
on, run over the pieces in random order. Every simulated hour has its own mixture of them, so that
some hours are calm and others busy; every piece begins like a looped recording. Events that are in
no piece never occur: the day has a realistic rhythm, but no surprises. An hour of it takes about a
second; --hours shortens it. Synthetic streets fill and empty; real clips are repeated.

Energies depend on the model, the day on the calibrator: with --save and --load two versions of the
calibrator are compared on the same energies.
"""

import argparse
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.normal_video import ONE_SCENE, normal_videos
from cameras import SourceOptions, open_source
from cameras.source import SourceError
from models import CheckpointError, SceneScorer
from models.calibrator import Calibrator, CalibratorSettings, calibrate_afterwards
from pipeline.datasets.layout import DatasetError
from pipeline.evaluation.replay import replay
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings

RATE = 10.0
FIRST_STREET = 100
_PIECE_FRAMES = 300
_LEAST_FRAMES = 20
_MOST_PASSES = 20
_HOUR_SECONDS = 3600.0
PARTS = ((0, 1), (1, 6), (6, 24))
"""Hours of the day that are counted together, from and to."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Energies of a scene's video."""

    name: str
    support_energies: list[float]
    minute_seconds: list[float]
    """Times of the calibration samples."""
    minute_energies: list[float]
    step_seconds: float
    pieces: list[list[float]]
    """Energies of uninterrupted stretches, ten a second."""
    learning_events: int
    """Events recorded while the scene was calibrated; they raise no alert."""


@dataclass(frozen=True, slots=True)
class Day:
    """Result of a simulated day of one scene."""

    name: str
    alarms: list[int]
    """In each of its hours."""
    thresholds: list[float]
    """At the end of each, in units of the first one's distance from the median."""
    learning_events: int


def main() -> None:
    options = _arguments()
    console = Console(width=None if os.isatty(1) else 120)
    try:
        if options.load is not None:
            pools = [Pool(**one) for one in json.loads(options.load.read_text())]
        else:
            pools = gather_all(options, console)
    except (CheckpointError, DatasetError, SourceError, ValueError, OSError) as error:
        raise SystemExit(f"first_day: {error}") from error
    if options.save is not None:
        options.save.write_text(json.dumps([asdict(pool) for pool in pools]))
    settings = CalibratorSettings(alarms_per_day=options.alarms)
    days = [live(pool, settings, options.hours, options.seed) for pool in pools]
    console.print(table(days, options.hours))


def gather_all(options: argparse.Namespace, console: Console) -> list[Pool]:
    """The pools of all scenes; those that are too short are listed."""
    scorer = SceneScorer.load(options.weights)
    addresses = dict(list(normal_videos(options.videos).items())[: options.scenes])
    for seed in range(FIRST_STREET, FIRST_STREET + options.streets):
        seconds = options.minutes * 60
        address = f"synthetic:street?seed={seed}&fps=10&seconds={seconds:g}&occupancy_cycle=90"
        addresses[f"street {seed}"] = [address]
    pools = []
    for name, recordings in track(addresses.items(), console=console, transient=True):
        pool = gather(name, recordings, scorer)
        if pool is None:
            console.print(f"left out: {name}: no refit scene after its calibration window")
        else:
            pools.append(pool)
    return pools


def gather(name: str, recordings: Sequence[str], scorer: SceneScorer) -> Pool | None:
    """Adapt to a scene, calibrate it, and score all of its video; None: too little is usable."""
    adaptation = Adaptation(AdaptationSettings())
    tracker = EventTracker(EventSettings())
    learning = 0
    for number in range(_MOST_PASSES):
        if adaptation.refit_result is not None:
            break
        for frame, connection in played(recordings, scorer, adaptation, number):
            record = ScoreRecord(name, connection, *frame, "calibrating")
            learning += sum(change.kind == "new" for change in tracker.update(record))
    wider = adaptation.refit_result
    if wider is None:
        return None
    pieces: list[list[float]] = []
    for recording in recordings:
        pieces.append([])
        adaptation.connected()
        with open_source(recording, SourceOptions(pace="fast")) as source:
            energies = [
                frame.judgement.energy
                for frame in replay(source, scorer, adaptation, RATE, adapt=ONE_SCENE)
            ]
        for energy in energies:
            if energy is None or len(pieces[-1]) == _PIECE_FRAMES:
                pieces.append([])
            if energy is not None:
                pieces[-1].append(energy)
    return Pool(
        name,
        list(wider.scene.support_energies),
        list(wider.seconds),
        list(wider.energies),
        wider.step_seconds,
        [piece for piece in pieces if len(piece) >= _LEAST_FRAMES],
        learning,
    )


def played(
    recordings: Sequence[str], scorer: SceneScorer, adaptation: Adaptation, number: int
) -> Iterator[tuple[tuple[int, float, float, float | None], int]]:
    """Frames until the scene is calibrated: index, times and score; and their connection."""
    for place, recording in enumerate(recordings):
        adaptation.connected()
        connection = number * len(recordings) + place
        with open_source(recording, SourceOptions(pace="fast")) as source:
            for frame in replay(source, scorer, adaptation, RATE, adapt=ONE_SCENE):
                if adaptation.refit_result is not None:
                    return
                seconds = frame.pts_seconds
                yield (
                    (frame.index, seconds, connection + seconds, frame.judgement.score),
                    connection,
                )


def live(pool: Pool, settings: CalibratorSettings, hours: float, seed: int) -> Day:
    """A day of one scene after its calibration."""
    calibration = calibrate_afterwards(
        settings,
        pool.support_energies,
        pool.minute_seconds,
        pool.minute_energies,
        pool.step_seconds,
    )
    assert calibration is not None  # the scene was calibrated in the same way
    reach = calibration.threshold - calibration.median
    calibrator, tracker = Calibrator(settings, calibration), EventTracker(EventSettings())
    chance = random.Random(f"{seed} {pool.name}")
    alarms, thresholds = [0], []
    weights = _mixture(pool, chance)
    clock, connection = 0.0, 0
    while clock < hours * _HOUR_SECONDS:
        connection += 1
        calibrator.connected()
        (piece,) = chance.choices(pool.pieces, weights)
        for index, energy in enumerate(piece):
            clock += 1 / RATE
            score = calibrator.read(index / RATE, energy).score
            record = ScoreRecord(pool.name, connection, index, index / RATE, clock, score, "ready")
            alarms[-1] += sum(change.kind == "new" for change in tracker.update(record))
        if clock >= len(alarms) * _HOUR_SECONDS:
            thresholds.append((calibrator.calibration.threshold - calibration.median) / reach)
            alarms.append(0)
            weights = _mixture(pool, chance)
    thresholds.append((calibrator.calibration.threshold - calibration.median) / reach)
    return Day(pool.name, alarms, thresholds, pool.learning_events)


def _mixture(pool: Pool, chance: random.Random) -> list[float]:
    """Weights of the pieces in an hour: a few of them are much more frequent than others."""
    return [chance.expovariate(1.0) ** 2 for _ in pool.pieces]


def table(days: Sequence[Day], hours: float) -> Table:
    """One row a scene, and all of them."""
    parts = [(begin, end) for begin, end in PARTS if begin < hours]
    heads = ["hour 1" if end == 1 else f"hours {begin + 1}–{end}" for begin, end in parts]
    result = Table(
        "scene", "while learning", *heads, "threshold, of the first",
        title=f"Alarms of {hours:g} normal hours", title_justify="left",
    )  # fmt: skip
    sums = [[sum(day.alarms[begin:end]) for begin, end in parts] for day in days]
    for day, counts in zip(days, sums, strict=True):
        ends = [day.thresholds[min(end, len(day.thresholds)) - 1] for _, end in parts]
        result.add_row(
            day.name[:30], str(day.learning_events), *map(str, counts),
            ", ".join(f"{one:.2f}" for one in ends),
        )  # fmt: skip
    totals = [sum(column) for column in zip(*sums, strict=True)]
    learning = sum(day.learning_events for day in days)
    result.add_section()
    result.add_row(f"all {len(days)}", str(learning), *map(str, totals), "")
    means = []
    for (begin, end), count in zip(parts, totals, strict=True):
        watched = min(end, hours) - begin
        means.append(f"{count / len(days) / watched * (1 if end == 1 else 24):.2f}")
    result.add_row("each: an hour, then a day", "", *means, "")
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("VEDETTE_DATA")
    scenes = [Path(data) / "scenes"] if data and (Path(data) / "scenes").is_dir() else []
    parser.add_argument(
        "--videos", nargs="*", type=Path, default=scenes, metavar="PATH",
        help="normal video, as of false_alarms.py (default: scenes of VEDETTE_DATA)",
    )  # fmt: skip
    parser.add_argument("--scenes", type=int, default=8, help="most scenes of the videos")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--streets", type=int, default=2, help="synthetic streets")
    parser.add_argument("--minutes", type=float, default=4.0, help="length of a street")
    parser.add_argument("--hours", type=float, default=24.0, help="of the simulated day")
    parser.add_argument("--alarms", type=float, default=1.0, help="asked for, a day")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the pieces")
    parser.add_argument("--save", type=Path, help="write the energies of the pools")
    parser.add_argument("--load", type=Path, help="take them from a file instead of scoring")
    return parser.parse_args()


if __name__ == "__main__":
    main()
