"""Guarantees checked on the findings of a chaos run, and both as tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.checks import (
    descriptors_gained,
    growth_per_hour,
    is_caught,
    lost_events,
    metric,
    unexpected_restarts,
)
from benchmarks.chaos.findings import (
    JUDGED_SECONDS,
    WARM_SECONDS,
    Findings,
    Recovery,
    by_worker,
    is_overdue,
    note_return,
    unlogged,
)
from benchmarks.three_cameras import table

MOST_GROWTH_BYTES_PER_HOUR = 100e6
LEAST_MINUTES_FOR_GROWTH = 10.0
MOST_DESCRIPTORS_GAINED = 8


@dataclass(frozen=True, slots=True)
class Promise:
    """One guarantee, and whether it was kept."""

    what: str
    kept: bool
    found: str


def judged(findings: Findings) -> list[Promise]:
    """Check all guarantees; fills in the time of recovery from each fault."""
    for recovery in findings.recoveries:
        note_return(findings, recovery)
    late = [one.fault.name for one in findings.recoveries if is_overdue(one)]
    logged = metric(findings.metrics, "vedette_sink_failures_total", sink="score_log")
    unusable = metric(findings.metrics, "vedette_frames_dropped_total", reason="unusable")
    holes = sum(one.holes for one in findings.scores.values())
    doubles = sum(one.duplicates for one in findings.scores.values())
    implied = [event for events in findings.implied.values() for event in events]
    lost = lost_events(implied, findings.events, unlogged(findings.recoveries))
    strange = sorted(findings.journal - {event.id for event in findings.events})
    open_ones = [event.id for event in findings.events if event.ended_at is None]
    restarts = {
        name: int(metric(findings.metrics, "vedette_worker_restarts_total", worker=name))
        for name in by_worker(findings.readings)
        if name != "supervisor"
    }
    unexpected = unexpected_restarts(restarts, findings.kills)
    promises = [
        Promise(
            "the service runs until it is stopped",
            findings.exit_code == 0 and not findings.ended_early,
            f"exit code {findings.exit_code}{', early' if findings.ended_early else ''}",
        ),
        Promise(
            "no worker ends unless it is killed",
            not unexpected,
            ", ".join(unexpected) or f"{sum(findings.kills.values())} kills, as many restarts",
        ),
        Promise(
            "the service recovers from each fault",
            not late,
            ", ".join(late) or f"{len(findings.recoveries)} faults",
        ),
        Promise(
            "every frame has one score, or is counted",
            doubles == 0 and holes <= logged + unusable and all(
                one.frames for one in findings.scores.values()
            ),
            f"{holes} missing, {logged + unusable:.0f} counted, {doubles} double",
        ),
        Promise(
            "every event that scores or journal imply is stored, and ended",
            not (lost or strange or open_ones),
            ", ".join(lost + strange + open_ones)
            or f"{len(implied)} implied, {len(findings.events)} stored",
        ),
    ]  # fmt: skip
    for name, one in findings.deliveries().items():
        faults = {
            "missing": one.missing,
            "twice": one.twice,
            "unknown": one.strangers,
            "in disorder": one.disordered,
        }
        found = "; ".join(f"{what}: {', '.join(ids)}" for what, ids in faults.items() if ids)
        promises.append(
            Promise(
                f"{name}: begin and end of each event once by key, in order",
                one.whole,
                found or f"{one.messages} messages, {one.duplicates} of them repetitions",
            )
        )
    promises += [
        Promise("every webhook is signed", findings.forged == 0, f"{findings.forged} are not"),
        Promise("the outbox is empty", findings.waiting == 0, f"{findings.waiting} messages"),
        *resources(findings),
        Promise("no secret is leaked", not findings.leaks, ", ".join(findings.leaks) or "none"),
        Promise("nothing is left behind", not findings.left, ", ".join(findings.left) or "nothing"),
    ]
    return promises


def resources(findings: Findings) -> list[Promise]:
    """Guarantees about memory and descriptors."""
    workers = by_worker(findings.readings)
    growths = {
        name: growth_per_hour(readings, WARM_SECONDS, JUDGED_SECONDS)
        for name, readings in workers.items()
    }
    known = {name: growth for name, growth in growths.items() if growth is not None}
    gained = {
        name: descriptors_gained(readings, WARM_SECONDS) for name, readings in workers.items()
    }
    most = max(known, key=lambda name: known[name], default="")
    grew = f"at most {known[most] / 1e6:+.0f} MB/h ({most})" if known else "too short to tell"
    judges = findings.minutes >= LEAST_MINUTES_FOR_GROWTH
    return [
        Promise(
            "memory does not grow",
            not judges or all(growth < MOST_GROWTH_BYTES_PER_HOUR for growth in known.values()),
            grew if judges else f"{grew}; too short to judge",
        ),
        Promise(
            "descriptors do not leak",
            all(count <= MOST_DESCRIPTORS_GAINED for count in gained.values()),
            f"at most {max(gained.values(), default=0)} more",
        ),
    ]


def print_report(console: Console, findings: Findings, promises: Sequence[Promise]) -> None:
    """All tables, then the promises."""
    console.print(f"\n{findings.minutes:g} minutes, seed {findings.seed}", highlight=False)
    for title, drawn in (
        ("faults, and time from their end to recovery", faults_table(findings)),
        ("cameras", cameras_table(findings)),
        ("workers", workers_table(findings)),
    ):
        console.print(f"\n{title}\n", highlight=False)
        console.print(drawn)
    console.print("\npromises\n")
    for promise in promises:
        word = "kept  " if promise.kept else "BROKEN"
        console.print(
            f"{word}  {promise.what}: {promise.found}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


def faults_table(findings: Findings) -> Table:
    """One row a kind of fault."""
    kinds: dict[str, list[Recovery]] = {}
    for recovery in findings.recoveries:
        kinds.setdefault(recovery.fault.kind, []).append(recovery)
    rows = []
    for kind, all_of_kind in sorted(kinds.items()):
        back = sorted(one.seconds_back for one in all_of_kind if one.seconds_back is not None)
        lasted = max(one.fault.seconds for one in all_of_kind)
        rows.append(
            (
                kind,
                str(len(all_of_kind)),
                f"{lasted:.0f} s" if lasted else "",
                f"{back[len(back) // 2]:.1f} s" if back else "",
                f"{back[-1]:.1f} s" if back else "",
                str(len(all_of_kind) - len(back)),
            )
        )
    return table(("fault", "times", "lasted", "back: median", "longest", "not seen back"), rows)


def cameras_table(findings: Findings) -> Table:
    """One row a camera; only planned anomalies that were shown while it was scored."""
    rows = []
    for name, one in findings.scores.items():
        events = [event for event in findings.events if event.camera == name]
        watched = findings.shown[name]
        caught = sum(is_caught(occurrence, events) for occurrence in watched)
        suppressed = sum(event.suppressed for event in events)
        counts = one.frames, one.dropped, one.holes, one.duplicates, one.connections
        counts = (*counts, len(watched), caught, len(events), suppressed)
        rows.append((name, *map(str, counts)))
    heads = "camera", "scored", "dropped", "holes", "double", "connections"
    return table((*heads, "anomalies", "caught", "events", "suppressed"), rows)


def workers_table(findings: Findings) -> Table:
    """One row a worker: the first warm reading, and the last one."""
    rows = []
    for name, readings in by_worker(findings.readings).items():
        growth = growth_per_hour(readings, WARM_SECONDS, JUDGED_SECONDS)
        warm = next((one for one in readings if one.seconds >= WARM_SECONDS), readings[0])
        last = readings[-1]
        rows.append(
            (
                name,
                str(len({one.pid for one in readings})),
                *(f"{one.resident_bytes / 1e6:.0f} MB" for one in (warm, last)),
                "" if growth is None else f"{growth / 1e6:+.1f} MB/h",
                *(str(one.descriptors) for one in (warm, last)),
            )
        )
    heads = "worker", "processes", "resident at 90 s", "at the end", "growth"
    return table((*heads, "descriptors at 90 s", "at the end"), rows)
