"""Detected anomalies and false alarms on synthetic streets.

    python -m benchmarks.detection_rate --streets 8
    python -m benchmarks.detection_rate --streets 8 --occupancy-cycle 90 --early --refit 0 20

Each street is adapted to, calibrated on and scored like a new camera; then every kind of anomaly
occurs once. It is detected if an event begins during it; an event that is already open does not
count. With --early one of them also occurs during the calibration: a cyclist there must not make
later cyclists normal. The labels are exact; no test set is used.
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
"""Normal time between the calibration and the first anomaly."""
_EVENT_SETTINGS = EventSettings(merge_gap_seconds=1.5, cooldown_seconds=0.0)
"""Anomalies are four seconds apart here, and each shall have its own event."""


@dataclass(slots=True)
class DetectionRate:
    """Counts over all streets with one setting."""

    detected: Counter[str] = field(default_factory=Counter)
    """Detected anomalies after the calibration, by kind."""
    false_alarms: int = 0
    """Events after the calibration that begin without an anomaly."""
    early_detected: int = 0
    """Detected anomalies during the calibration."""
    again_detected: int = 0
    """Detected anomalies of the same kind after it."""
    before: int = 0
    """False alarms while calibrating, at the conservative threshold."""
    ready_seconds: list[float] = field(default_factory=list)
    """Time until each street was ready."""


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
        raise SystemExit(f"detection_rate: {error}") from error
    print_outcomes(outcomes, options, console)


def plan_of(
    seed: int, options: argparse.Namespace
) -> tuple[list[PlannedAnomaly], list[PlannedAnomaly]]:
    """Anomalies after the calibration, and during it."""
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
    """Score a street, and add the counts."""

    def pictures() -> Iterator[Picture]:
        for index, pixels in enumerate(frames):
            yield Picture(index / FRAMES_PER_SECOND, index / FRAMES_PER_SECOND, pixels)

    tracker = EventTracker(_EVENT_SETTINGS)
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
    detected = [one for one in [*early, *plan] if any(begins_with(time, one) for time in begun)]
    for one in detected:
        if one in early:
            outcome.early_detected += 1
        else:
            outcome.detected[one.kind] += 1
            outcome.again_detected += one.kind in {other.kind for other in early}
    for time in begun:
        if not any(begins_with(time, one) for one in [*early, *plan]):
            outcome.false_alarms += time >= ready_seconds
            outcome.before += time < ready_seconds


def begins_with(seconds: float, anomaly: PlannedAnomaly) -> bool:
    """Whether an event that begins at this time detects the anomaly."""
    return anomaly.start_seconds <= seconds <= anomaly.end_seconds + SLACK_SECONDS


def print_outcomes(
    outcomes: dict[tuple[int, float], DetectionRate], options: argparse.Namespace, console: Console
) -> None:
    """One row a setting."""
    kinds = [kind.replace("_", " ") for kind in ANOMALY_KINDS]
    early = ["early detected", "same kind detected after"] if options.early else []
    table = Table(
        "refit clips", "asked a day", "detected", *kinds, *early, "false", "false before",
        "ready after, s", title=f"{options.streets} streets, {len(kinds)} anomalies each",
        title_justify="left",
    )  # fmt: skip
    for (refit, asked), one in outcomes.items():
        found = [str(one.detected[kind]) for kind in ANOMALY_KINDS]
        again = [str(one.early_detected), str(one.again_detected)] if options.early else []
        table.add_row(
            str(refit) if refit else "–", f"{asked:g}", str(one.detected.total()), *found, *again,
            str(one.false_alarms), str(one.before),
            f"{min(one.ready_seconds):.0f}–{max(one.ready_seconds):.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "False: events that begin without an anomaly; before: while calibrating, at "
        "the conservative threshold."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--streets", type=int, default=8, help="number of synthetic streets")
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
        help="of the refit after the calibration; 0: no refit",
    )  # fmt: skip
    parser.add_argument(
        "--asked", type=float, nargs="+", default=[24.0, 144.0], help="false alarms a day"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
