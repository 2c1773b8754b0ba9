"""Realised against asked false alarms on normal life: how honest the dial is.

    python benchmarks/false_alarms.py --streets 4 --minutes 20
    python benchmarks/false_alarms.py --streets 0 NORMAL_VIDEO …

Each recording is adapted to and calibrated on as a new camera is, then watched to its end. All of
it is normal, so every event is a false alarm. Made streets are drawn as long as wanted.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from cameras import Picture, SourceOptions, open_source
from models import SceneScorer
from models.calibration import provisional
from models.calibrator import Calibrator, CalibratorSettings
from pipeline.alerts.events import EventSettings, EventTracker, Sample
from pipeline.evaluation.replay import replay
from pipeline.stages.adapt import Adaptation, AdaptationSettings

ASKED = (1.0, 24.0, 240.0, 1440.0)
FAST = SourceOptions(pace="fast")
CAMERA = "bench"


@dataclass(frozen=True)
class Watched:
    """The energies of one recording after its adaptation."""

    support_energies: tuple[float, ...]
    times: list[float]
    energies: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="*", type=Path, help="normal video")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--streets", type=int, default=4, help="made streets besides")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of a street")
    parser.add_argument("--calibrate", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    scorer = SceneScorer.load(options.weights)
    streets = [
        f"synthetic:street?seed={100 + number}&fps=10&seconds={options.minutes * 60:g}"
        for number in range(options.streets)
    ]
    console = Console()
    watched = []
    with Progress(console=console) as progress:
        for address in [*streets, *options.recordings]:
            task = progress.add_task(str(address)[-40:], total=None)
            with open_source(str(address), FAST) as source:
                watched.append(watch(source, scorer, progress, task))
    table = Table("asked a day", "hours watched", "events", "realised a day")
    for asked in ASKED:
        settings = CalibratorSettings(options.calibrate, alarms_per_day=asked)
        results = [count_events(one, settings) for one in watched]
        events, seconds = (sum(column) for column in zip(*results, strict=True))
        rate = events / seconds * 86_400
        table.add_row(f"{asked:g}", f"{seconds / 3600:.2f}", str(events), f"{rate:.0f}")
    console.print(table)


def watch(
    pictures: Iterable[Picture], scorer: SceneScorer, progress: Progress, task: TaskID
) -> Watched:
    """Adapt to a recording, and score it to its end."""
    adaptation = Adaptation(AdaptationSettings(calibrator=CalibratorSettings(0)))
    times, energies = [], []
    for frame in replay(pictures, scorer, adaptation, 10.0):
        progress.advance(task)
        if frame.judgement.energy is not None:
            times.append(frame.pts_seconds)
            energies.append(frame.judgement.energy)
    assert adaptation.scene is not None
    return Watched(adaptation.scene.support_energies, times, energies)


def count_events(watched: Watched, settings: CalibratorSettings) -> tuple[int, float]:
    """Events told after the calibration, and the seconds in which they came."""
    calibrator = Calibrator(settings, provisional(watched.support_energies))
    tracker = EventTracker(EventSettings(cooldown_seconds=0.0))
    events, ready_at = 0, None
    for index, (time, energy) in enumerate(zip(watched.times, watched.energies, strict=True)):
        ready = calibrator.done
        score = calibrator.read(time, energy).score
        if not ready:
            continue
        ready_at = time if ready_at is None else ready_at
        changes = tracker.update(Sample(CAMERA, 1, index, time, time, score, "ready"))
        events += sum(change.kind == "new" for change in changes)
    return events, 0.0 if ready_at is None else watched.times[-1] - ready_at


if __name__ == "__main__":
    main()
