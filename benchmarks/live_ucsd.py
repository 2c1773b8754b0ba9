"""Detection on UCSD Ped2 with the live calibration, at several target rates of false alarms.

    python -m benchmarks.live_ucsd UCSD_Anomaly_Dataset.v1p2 --asked 24 1 --draws 2

Unlike `vedette evaluate`, whose threshold is chosen with the labels, the threshold is the one that
a live camera sets: from its support, its calibration window, and the frames since. The camera is
shown Train, whose clips come in another order in each draw, and then Test. All rates use the same
energies. An event is an interval of anomalous labels; it is found if a frame in it has a score of 1
or more. Runs of such normal frames closer than 5 s are one false alarm.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.normal_video import FRAMES_PER_SECOND, WatchedVideo, watch
from cameras.source import SourceError
from models import CheckpointError, SceneScorer
from models.calibration import Calibration, provisional
from models.calibrator import Calibrator, CalibratorSettings, calibrate_afterwards
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.alarms import detection_delays, false_alarms
from pipeline.evaluation.roc import Labels, Values

_MERGE_GAP_SECONDS = 5.0
_CALIBRATE_SECONDS = 60.0
_WIDE = 20


@dataclass(frozen=True, slots=True)
class LiveResult:
    """Result at one rate, of one draw."""

    delays: tuple[float | None, ...]
    """Seconds from the start of each event to the first score of 1 in it; None: not found."""
    false_alarms: int


def main() -> None:
    options = _arguments()
    try:
        dataset = load_ucsd(options.root, "ped2")
        scorer = SceneScorer.load(options.weights)
        labels = [clip.labels for clip in dataset.test if clip.labels is not None]
        found: dict[float, list[LiveResult]] = {asked: [] for asked in options.asked}
        with Progress(transient=True) as progress:
            for seed in range(options.draws):
                order = np.random.default_rng(seed).permutation(len(dataset.train))
                recordings = [str(dataset.train[place].path) for place in order[: options.train]]
                recordings += [str(clip.path) for clip in dataset.test]
                task = progress.add_task(f"draw {seed}", total=None)
                watched = watch(
                    "ped2",
                    recordings,
                    scorer,
                    on_frame=lambda task=task: progress.advance(task),
                    calibrate_seconds=_CALIBRATE_SECONDS,
                    wide=_WIDE,
                    again=False,
                )
                for asked, results in found.items():
                    results.append(read(watched, labels, asked))
    except (CheckpointError, SourceError, ValueError) as error:
        raise SystemExit(f"live_ucsd: {error}") from error
    print_results(found, sum(float((~one).sum()) for one in labels) / FRAMES_PER_SECOND)


def read(watched: WatchedVideo, labels: Sequence[Labels], asked: float) -> LiveResult:
    """Calibrate on the energies of normal video, and then score those of Test, like a camera.

    Args:
        watched: Its last recordings are those of Test.
        labels: Of the frames of Test, for each clip (frames,).
        asked: False alarms a day.
    """
    settings = CalibratorSettings(_CALIBRATE_SECONDS, alarms_per_day=asked)
    minute = watched.minute
    calibration: Calibration | None = provisional(watched.support_energies)
    if minute is not None:
        calibration = calibrate_afterwards(
            settings, watched.support_energies, minute.times, minute.energies,
            watched.minute_step_seconds,
        )  # fmt: skip
    assert calibration is not None  # otherwise there is no refit scene
    calibrator = Calibrator(settings, calibration)
    scores: list[tuple[Values, Values]] = []
    for part in watched.rest or watched.parts:
        calibrator.connected()
        pairs = zip(part.times, part.energies, strict=True)
        read = [calibrator.read(time, energy).score for time, energy in pairs]
        scores.append((np.array(part.times), np.array(read)))
    delays: list[float | None] = []
    alarms = 0
    for truth, (times, some) in zip(labels, scores[-len(labels) :], strict=True):
        every = np.arange(truth.size) / FRAMES_PER_SECOND
        above = np.zeros(truth.size, dtype=np.bool_)
        above[np.round(times * FRAMES_PER_SECOND).astype(int)] = some >= 1.0
        delays += detection_delays(above, truth, every)
        alarms += false_alarms(above, truth, every, _MERGE_GAP_SECONDS)
    return LiveResult(tuple(delays), alarms)


def print_results(found: dict[float, list[LiveResult]], normal_seconds: float) -> None:
    """One row a rate."""
    table = Table(
        "asked a day", "events found, %", "false alarms, of all draws", "median seconds to detect",
        title="Ped2 with the live calibration", title_justify="left",
    )  # fmt: skip
    for asked, draws in found.items():
        delays = [delay for one in draws for delay in one.delays]
        seen = [delay for delay in delays if delay is not None]
        table.add_row(
            f"{asked:g}",
            f"{100 * mean(delay is not None for delay in delays):.1f}",
            str(sum(one.false_alarms for one in draws)),
            f"{median(seen):.1f}" if seen else "–",
        )
    console = Console()
    console.print(table)
    some = next(iter(found.values()))
    console.print(
        f"{len(some)} draws, {len(some[0].delays)} events and {normal_seconds:.0f} s of normal "
        "frames in each."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="of the unpacked archive")
    parser.add_argument("--asked", type=float, nargs="+", default=[24.0, 1.0], metavar="RATE")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--train", type=int, default=16, help="clips of Train that are shown")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    return parser.parse_args()


if __name__ == "__main__":
    main()
