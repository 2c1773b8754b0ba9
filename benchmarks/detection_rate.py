"""What is told of made streets: things out of place, and what of normal life is told in vain.

    python -m benchmarks.detection_rate --streets 8
    python -m benchmarks.detection_rate --streets 8 --occupancy-cycle 90 --early --refit 0 20

Each street is adapted to, calibrated on and watched as a new camera is; then every kind of anomaly
comes once. It is told of if an event begins with it; one that was up already tells nothing. With
--early one of them comes in the midst of the calibration, too: a cyclist there shall not make the
cyclists after it normal. The labels are exact; no test set takes part.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.rendered_streets import StreetOptions, planned
from cameras.simulation import ANOMALY_KINDS, PlannedAnomaly, SyntheticStreet
from cameras.source import Picture
from models import CheckpointError, SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.cli.demo_report import SLACK_SECONDS
from pipeline.evaluation.replay import replay
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings

FRAMES_PER_SECOND = 10.0
FIRST_STREET = 300
EARLY_SECONDS = 7.0
QUIET_SECONDS = 25.0
"""Watched after the calibration before the first anomaly."""
_TELLING = EventSettings(merge_gap_seconds=1.5, cooldown_seconds=0.0)
"""Anomalies come four seconds apart here, and each shall be told."""


@dataclass(slots=True)
class DetectionRate:
    """Of all streets, watched in one way."""

    told: Counter[str] = field(default_factory=Counter)
    """Anomalies after the calibration, by kind."""
    false_alarms: int = 0
    """Events after the calibration that begin while nothing is out of place."""
    early_told: int = 0
    """Anomalies in the midst of the calibration."""
    again_told: int = 0
    """Of the same kind, after it."""
    before: int = 0
    """The same while calibrating, at the conservative threshold."""
    ready_seconds: list[float] = field(default_factory=list)
    """When each street was ready."""


def main() -> None:
    options = _arguments()
    console = Console(width=None if os.isatty(1) else 140)
    try:
        scorer = SceneScorer.load(options.weights)
        ways = list(product(options.refit, options.asked))
        outcomes = {way: DetectionRate() for way in ways}
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("streets", total=options.streets * (1 + len(ways)))
            for seed in range(options.first, options.first + options.streets):
                plan, early = plan_of(seed, options)
                frames = rendered(seed, plan + early, options)
                progress.advance(task)
                for refit, asked in ways:
                    settings = AdaptationSettings(
                        calibrator=CalibratorSettings(options.calibrate, alarms_per_day=asked),
                        spare=options.spare,
                        refit=refit,
                    )
                    watch(frames, scorer, settings, plan, early, outcomes[refit, asked])
                    progress.advance(task)
    except (CheckpointError, ValueError) as error:
        raise SystemExit(f"told: {error}") from error
    print_outcomes(outcomes, options, console)


def plan_of(
    seed: int, options: argparse.Namespace
) -> tuple[list[PlannedAnomaly], list[PlannedAnomaly]]:
    """What comes after the calibration, and what in the midst of it."""
    quiet = 10 + options.calibrate + QUIET_SECONDS
    plan = planned(seed, StreetOptions(normal_seconds=quiet))
    kind = ANOMALY_KINDS[seed % len(ANOMALY_KINDS)]
    begin = 10 + options.calibrate / 2
    return plan, [PlannedAnomaly(kind, begin, EARLY_SECONDS)] if options.early else []


def rendered(
    seed: int, anomalies: Sequence[PlannedAnomaly], options: argparse.Namespace
) -> list[npt.NDArray[np.uint8]]:
    """All pictures of a street."""
    height, width = map(int, options.size.split("x"))
    street = SyntheticStreet(
        seed, (height, width), FRAMES_PER_SECOND, anomalies, options.occupancy_cycle or None
    )
    end = max(one.end_seconds for one in anomalies) + 2.0
    return [street.render(index).pixels for index in range(round(end * FRAMES_PER_SECOND))]


def watch(
    frames: Sequence[npt.NDArray[np.uint8]],
    scorer: SceneScorer,
    settings: AdaptationSettings,
    plan: Sequence[PlannedAnomaly],
    early: Sequence[PlannedAnomaly],
    outcome: DetectionRate,
) -> None:
    """Watch a street, and add what came of it."""

    def pictures() -> Iterator[Picture]:
        for index, pixels in enumerate(frames):
            yield Picture(index / FRAMES_PER_SECOND, index / FRAMES_PER_SECOND, pixels)

    tracker = EventTracker(_TELLING)
    begun: list[float] = []
    ready_seconds = float("inf")
    for frame in replay(pictures(), scorer, Adaptation(settings), FRAMES_PER_SECOND):
        time, judgement = frame.pts_seconds, frame.judgement
        if judgement.state == "ready":
            ready_seconds = min(ready_seconds, time)
        record = ScoreRecord("street", 0, frame.index, time, time, judgement.score, judgement.state)
        changes = tracker.update(record)
        begun += [change.event.started_at for change in changes if change.kind == "new"]
    outcome.ready_seconds.append(ready_seconds)
    told = [one for one in [*early, *plan] if any(begins_with(time, one) for time in begun)]
    for one in told:
        if one in early:
            outcome.early_told += 1
        else:
            outcome.told[one.kind] += 1
            outcome.again_told += one.kind in {other.kind for other in early}
    for time in begun:
        if not any(begins_with(time, one) for one in [*early, *plan]):
            outcome.false_alarms += time >= ready_seconds
            outcome.before += time < ready_seconds


def begins_with(seconds: float, anomaly: PlannedAnomaly) -> bool:
    """Whether an event that begins then is told of the anomaly."""
    return anomaly.start_seconds <= seconds <= anomaly.end_seconds + SLACK_SECONDS


def print_outcomes(
    outcomes: dict[tuple[int, float], DetectionRate], options: argparse.Namespace, console: Console
) -> None:
    """One row a way of watching."""
    kinds = [kind.replace("_", " ") for kind in ANOMALY_KINDS]
    early = ["early told", "same kind told after"] if options.early else []
    table = Table(
        "refit clips", "asked a day", "told", *kinds, *early, "in vain", "in vain before",
        "ready after, s", title=f"Told of {options.streets} streets, {len(kinds)} anomalies each",
        title_justify="left",
    )  # fmt: skip
    for (refit, asked), one in outcomes.items():
        found = [str(one.told[kind]) for kind in ANOMALY_KINDS]
        again = [str(one.early_told), str(one.again_told)] if options.early else []
        table.add_row(
            str(refit) if refit else "–", f"{asked:g}", str(one.told.total()), *found, *again,
            str(one.false_alarms), str(one.before),
            f"{min(one.ready_seconds):.0f}–{max(one.ready_seconds):.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "In vain: events that begin while nothing is out of place; before: while calibrating, at "
        "the conservative threshold."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--streets", type=int, default=8, help="made streets (8)")
    parser.add_argument("--first", type=int, default=FIRST_STREET, help="seed of the first one")
    parser.add_argument("--size", default="240x320", metavar="HxW", help="of the pictures")
    parser.add_argument(
        "--occupancy-cycle", type=float, default=0.0, help="seconds; streets fill and empty"
    )
    parser.add_argument("--early", action="store_true", help="one in the calibration, too")
    parser.add_argument("--calibrate", type=float, default=60.0, help="seconds")
    parser.add_argument("--spare", type=int, default=6, help="spare candidates of the support")
    parser.add_argument(
        "--refit", type=int, nargs="+", default=[20], metavar="CLIPS",
        help="of the scene that is made of the calibration's minute; 0: the first scene stays",
    )  # fmt: skip
    parser.add_argument(
        "--asked", type=float, nargs="+", default=[24.0, 144.0], help="false alarms a day"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
