"""Measured against target false alarms on normal video.

    python -m benchmarks.false_alarms --streets 4 --minutes 20
    python -m benchmarks.false_alarms --videos SCENES UCSDped2/Train --hours 2

Each scene is adapted to and calibrated on like a new camera, then scored. All of it is normal, so
every event is a false alarm. Synthetic streets have any length; short videos are repeated, and the
tables show the distinct part of the scored video.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.normal_video import (
    Realised,
    WatchedVideo,
    count_false_alarms,
    normal_videos,
    watch,
)
from cameras.source import SourceError
from models import CheckpointError, SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.datasets.layout import DatasetError

ASKED = (1.0, 24.0, 240.0, 1440.0)
FIRST_STREET = 100
STREETS = 4


def main() -> None:
    options = _arguments()
    console = Console(width=None if os.isatty(1) else 140)
    try:
        scorer = SceneScorer.load(options.weights)
        addresses = normal_videos(options.videos)
        for number in range(options.streets):
            seed, cycle = (
                FIRST_STREET + number,
                f"&occupancy_cycle={options.occupancy_cycle:g}" if options.occupancy_cycle else "",
            )
            address = f"synthetic:street?seed={seed}&fps=10&seconds={options.minutes * 60:g}"
            addresses[f"street {seed}"] = [address + cycle]
        watched = watch_all(addresses, scorer, console, options)
    except (CheckpointError, DatasetError, SourceError, ValueError) as error:
        raise SystemExit(f"false_alarms: {error}") from error
    if not watched:
        raise SystemExit("false_alarms: no video was long enough")
    each = options.hours * 3600 / len(watched) if options.videos else 0.0
    found = {
        asked: [
            count_false_alarms(
                one, CalibratorSettings(options.calibrate, alarms_per_day=asked), each
            )
            for one in watched
        ]
        for asked in ASKED
    }
    names = [one.name for one in watched]
    print_totals(found, names, console)
    print_scenes(found, watched, console)
    if options.json is not None:
        rows = {
            f"{asked:g}": dict(zip(names, map(asdict, results), strict=True))
            for asked, results in found.items()
        }
        options.json.write_text(dumps(rows, indent=1) + "\n")


def watch_all(
    addresses: dict[str, list[str]],
    scorer: SceneScorer,
    console: Console,
    options: argparse.Namespace,
) -> list[WatchedVideo]:
    """Score every scene that is long enough; the others are listed."""
    watched = []
    with Progress(console=console, transient=True) as progress:
        for name, recordings in addresses.items():
            task = progress.add_task(name[-40:], total=None)
            advance = lambda task=task: progress.advance(task)  # noqa: E731
            try:
                watched.append(
                    watch(
                        name,
                        recordings,
                        scorer,
                        on_frame=advance,
                        calibrate_seconds=options.calibrate,
                        wide=options.refit,
                        again=bool(options.videos),
                    )
                )
            except DatasetError as error:
                console.print(f"left out: {error}")
            progress.remove_task(task)
    return watched


@dataclass(frozen=True, slots=True)
class Total:
    """All scenes together."""

    events: int
    watched_seconds: float
    new_seconds: float
    expected: float
    """Target number of events in that time."""
    worst: str
    """Scene with the most false alarms a day."""


def total(asked: float, results: Sequence[Realised], names: Sequence[str]) -> Total:
    """Sum up the scenes."""
    seconds = sum(one.watched_seconds for one in results)
    worst = max(range(len(results)), key=lambda number: results[number].per_day)
    return Total(
        events=sum(one.events for one in results),
        watched_seconds=seconds,
        new_seconds=sum(one.new_seconds for one in results),
        expected=asked * seconds / 86_400,
        worst=f"{names[worst]}, {results[worst].per_day:,.0f}" if results[worst].events else "–",
    )


def print_totals(
    found: dict[float, list[Realised]], names: Sequence[str], console: Console
) -> None:
    """One row for each target rate."""
    table = Table(
        "asked a day", "realised a day", "events", "expected", "hours watched", "distinct",
        "repeated", "worst scene, a day", title="False alarms of all scenes", title_justify="left",
    )  # fmt: skip
    for asked, results in found.items():
        row = total(asked, results, names)
        realised = row.events / row.watched_seconds * 86_400 if row.watched_seconds else 0.0
        hours, new = row.watched_seconds / 3600, row.new_seconds / 3600
        table.add_row(
            f"{asked:g}", f"{realised:,.0f}", str(row.events), f"{row.expected:.2f}",
            f"{hours:.2f}", f"{new:.2f}", f"{hours - new:.2f}", row.worst,
        )  # fmt: skip
    console.print(table)
    first = next(iter(found.values()))
    hours = sum(one.watched_seconds for one in first) / 3600
    new = sum(one.new_seconds for one in first) / 3600
    console.print(
        f"Of {hours:.2f} h watched after the calibrations {new:.2f} h are distinct video and "
        f"{hours - new:.2f} h the same video again: rare events in it recur as often as it is "
        "repeated, and others never occur."
    )


def print_scenes(
    found: dict[float, list[Realised]], watched: Sequence[WatchedVideo], console: Console
) -> None:
    """One row a scene."""
    headings = [f"at {asked:g}" for asked in found]
    table = Table(
        "scene", "video, s", "watched, s", "distinct, s", *headings,
        title="Events of each scene at the rates asked for", title_justify="left",
    )  # fmt: skip
    for one, *results in zip(watched, *found.values(), strict=True):
        first = results[0]
        seconds = (one.video_seconds, first.watched_seconds, first.new_seconds)
        events = [str(result.events) for result in results]
        table.add_row(one.name, *(f"{some:.0f}" for some in seconds), *events)
    console.print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--videos", nargs="+", type=Path, default=[], metavar="PATH",
        help="normal video: files, folders of them or of images, folders of scenes",
    )  # fmt: skip
    parser.add_argument("--hours", type=float, default=1.0, help="of the videos to be scored")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--streets", type=int, help=f"streets (0 with videos, else {STREETS})")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of a street")
    parser.add_argument(
        "--occupancy-cycle", type=float, default=0.0, help="seconds; streets fill and empty"
    )
    parser.add_argument("--calibrate", type=float, default=60.0, help="seconds")
    parser.add_argument(
        "--refit", type=int, default=20, metavar="CLIPS",
        help="of the refit after the calibration; 0: no refit",
    )  # fmt: skip
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.streets is None:
        options.streets = 0 if options.videos else STREETS
    return options


if __name__ == "__main__":
    main()
