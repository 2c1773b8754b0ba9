"""What a chaos run found, what that says of each promise, and both as tables."""

import gc
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chaos_checks import (
    Message,
    Occurrence,
    Reading,
    StoredEvent,
    Told,
    back_at,
    descriptors_gained,
    growth_per_hour,
    implied_events,
    is_caught,
    lost_events,
    metric,
    occurrences,
    told,
    unexpected_restarts,
)
from chaos_schedule import Fault
from chaos_service import Service, fetch, journal_ids, score_records
from chaos_world import PERIOD_SECONDS, PLANNED
from continuity import Continuity, continuity
from recordings import sampled_frames
from rich.console import Console
from three_cameras import leftovers, table

from pipeline.alerts.events import Event, EventSettings
from pipeline.alerts.score_log import ScoreRecord

WARM_SECONDS = 90.0
"""Of each process; what it holds in memory at most is then there."""
MOST_GROWTH_BYTES_PER_HOUR = 100e6
LEAST_MINUTES_FOR_GROWTH = 10.0
MOST_DESCRIPTORS_GAINED = 8
_AFTERMATH_SECONDS = 5.0


@dataclass(slots=True)
class Recovery:
    """A fault as it happened; all times in Unix seconds."""

    fault: Fault
    began_at: float | None = None
    """None: the run ended before."""
    over_at: float | None = None
    back_at: float | None = None
    """When all was as before; None: never, or nobody can tell."""

    @property
    def seconds_back(self) -> float | None:
        """From the end of the fault."""
        if self.back_at is None or self.over_at is None:
            return None
        return max(0.0, self.back_at - self.over_at)


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, and whether it was kept."""

    what: str
    kept: bool
    found: str


@dataclass(slots=True)
class Findings:
    """All that is known of a run."""

    seed: int
    minutes: float
    live: Sequence[str]
    recordings: Mapping[str, Path]
    shown_at: float
    frames_per_second: float
    faults: Sequence[Fault]
    recoveries: list[Recovery] = field(default_factory=list)
    metrics: str = ""
    ended_early: bool = False
    exit_code: int | None = None
    waiting: int = 0
    events: list[StoredEvent] = field(default_factory=list)
    journal: set[str] = field(default_factory=set)
    implied: dict[str, list[Event]] = field(default_factory=dict)
    shown: dict[str, list[Occurrence]] = field(default_factory=dict)
    scores: dict[str, Continuity] = field(default_factory=dict)
    seen: list[tuple[float, ScoreRecord]] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    heard: dict[str, list[tuple[float, Message]]] = field(default_factory=dict)
    published_at: list[float] = field(default_factory=list)
    forged: int = 0
    leaks: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def cameras(self) -> list[str]:
        """All of them."""
        return [*self.live, *self.recordings]

    def collect(
        self, service: Service, data_folder: Path, waiting: int, alert: Mapping[str, float]
    ) -> None:
        """Read what the service has left in its data folder, and what was seen of it."""
        settings = EventSettings(
            min_duration_seconds=alert["min_duration"],
            merge_gap_seconds=alert["merge_gap"],
            cooldown_seconds=alert["cooldown"],
        )
        self.waiting, self.journal = waiting, journal_ids(data_folder)
        self.seen, self.readings, self.kills = service.seen, service.readings, service.kills
        for name in self.cameras:
            records = score_records(data_folder, name)
            path = self.recordings.get(name)
            length = None if path is None else sampled_frames(path, self.frames_per_second)
            self.scores[name] = continuity(records, length)
            self.implied[name] = implied_events(records, settings)
            shown_at = self.shown_at if path is None else None
            self.shown[name] = occurrences(
                records, PLANNED, PERIOD_SECONDS, self.frames_per_second, shown_at
            )

    def note_secrets(
        self, data_folder: Path, secrets: Iterable[str], payloads: Iterable[bytes]
    ) -> None:
        """Look for planted secrets in every file of the data folder and in what was published."""
        planted = [secret.encode() for secret in secrets]
        for path in data_folder.rglob("*"):
            if path.is_file() and any(secret in path.read_bytes() for secret in planted):
                self.leaks.append(path.relative_to(data_folder).as_posix())
        if any(secret in payload for payload in payloads for secret in planted):
            self.leaks.append("MQTT")

    def note_left(
        self,
        before: Mapping[str, set[str]],
        pids: Iterable[int],
        scratch: Path,
        ports: Mapping[str, int],
    ) -> None:
        """Look for what the run should have given back."""
        gc.collect()
        self.left += [
            f"{what} {name}" for what, names in leftovers().items() for name in names - before[what]
        ]
        self.left += [f"process {pid}" for pid in pids if Path(f"/proc/{pid}").exists()]
        self.left += [f"temporary {path.name}" for path in scratch.iterdir()]
        self.left += [f"port of {name}" for name, port in ports.items() if fetch(port, "/healthz")]

    def told(self) -> dict[str, Told]:
        """What each receiver was told."""
        return {
            name: told([message for _, message in heard], self.events)
            for name, heard in self.heard.items()
        }

    def as_json(self, promises: Sequence[Promise]) -> dict[str, object]:
        """Everything that the tables say, for programs."""
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "faults": [
                {**asdict(one.fault), "seconds_back": one.seconds_back} for one in self.recoveries
            ],
            "cameras": {
                name: {
                    **asdict(self.scores[name]),
                    "events": sum(event.camera == name for event in self.events),
                    "watched": len(self.shown[name]),
                    "caught": sum(is_caught(one, self.events) for one in self.shown[name]),
                }
                for name in self.cameras
            },
            "workers": {
                name: {
                    "growth_bytes_per_hour": growth_per_hour(readings, WARM_SECONDS),
                    "descriptors_gained": descriptors_gained(readings, WARM_SECONDS),
                    "largest_bytes": max(one.resident_bytes for one in readings),
                }
                for name, readings in by_worker(self.readings).items()
            },
            "told": {name: asdict(one) for name, one in self.told().items()},
            "promises": [asdict(one) for one in promises],
        }


def judged(findings: Findings) -> list[Promise]:
    """What was promised, and whether it was kept; fills in when each fault was overcome."""
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
            "the service goes on until it is stopped",
            findings.exit_code == 0 and not findings.ended_early,
            f"exit code {findings.exit_code}{', early' if findings.ended_early else ''}",
        ),
        Promise(
            "nobody dies but by our hand",
            not unexpected,
            ", ".join(unexpected) or f"{sum(findings.kills.values())} kills, as many restarts",
        ),
        Promise(
            "what has failed comes back",
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
    for name, one in findings.told().items():
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
        Promise("nothing waits in the outbox", findings.waiting == 0, f"{findings.waiting} do"),
        *resources(findings),
        Promise("secrets are nowhere", not findings.leaks, ", ".join(findings.leaks) or "none"),
        Promise("nothing is left behind", not findings.left, ", ".join(findings.left) or "nothing"),
    ]
    return promises


def resources(findings: Findings) -> list[Promise]:
    """Promises about memory and descriptors."""
    workers = by_worker(findings.readings)
    growths = {name: growth_per_hour(readings, WARM_SECONDS) for name, readings in workers.items()}
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


def note_return(findings: Findings, recovery: Recovery) -> None:
    """Find out when a fault was overcome."""
    fault, since = recovery.fault, recovery.over_at
    if since is None or fault.kind == "kill gateway":
        return
    if fault.kind == "broker away":
        recovery.back_at = next((at for at in findings.published_at if at >= since), None)
    elif fault.kind.startswith("webhook"):
        heard = findings.heard["webhook"]
        recovery.back_at = next((at for at, _ in heard if at >= since), None)
    else:
        cameras = [fault.camera] if fault.camera else findings.cameras
        recovery.back_at = back_at(findings.seen, cameras, since)


def is_overdue(recovery: Recovery) -> bool:
    """Whether a fault was not overcome; a webhook may have had nothing to hear afterwards."""
    return recovery.back_at is None and not recovery.fault.kind.startswith("webhook")


def unlogged(recoveries: Iterable[Recovery]) -> list[tuple[float, float]]:
    """When scores could not be logged, Unix seconds, with what follows from it at once."""
    return [
        (one.began_at - _AFTERMATH_SECONDS, one.over_at + _AFTERMATH_SECONDS)
        for one in recoveries
        if one.fault.kind == "disk full" and one.began_at is not None and one.over_at is not None
    ]


def by_worker(readings: Iterable[Reading]) -> dict[str, list[Reading]]:
    """Readings of each worker, in the order of the names."""
    found: dict[str, list[Reading]] = {}
    for reading in readings:
        found.setdefault(reading.worker, []).append(reading)
    return dict(sorted(found.items()))


def print_report(console: Console, findings: Findings, promises: Sequence[Promise]) -> None:
    """All tables, then the promises."""
    console.print(f"\n{findings.minutes:g} minutes, seed {findings.seed}", highlight=False)
    for title, drawn in (
        ("what went wrong, and how long after its end all was well again", faults_table(findings)),
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


def faults_table(findings: Findings) -> object:
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


def cameras_table(findings: Findings) -> object:
    """One row a camera; of the planned anomalies those that were shown while it watched."""
    rows = []
    for name, one in findings.scores.items():
        events = [event for event in findings.events if event.camera == name]
        watched = findings.shown[name]
        caught = sum(is_caught(occurrence, events) for occurrence in watched)
        hushed = sum(event.suppressed for event in events)
        counts = one.frames, one.dropped, one.holes, one.duplicates, one.connections
        counts = (*counts, len(watched), caught, len(events), hushed)
        rows.append((name, *map(str, counts)))
    heads = "camera", "scored", "dropped", "holes", "double", "connections"
    return table((*heads, "anomalies", "caught", "events", "suppressed"), rows)


def workers_table(findings: Findings) -> object:
    """One row a worker: the first reading of its first life, and the last of its last."""
    rows = []
    for name, readings in by_worker(findings.readings).items():
        growth = growth_per_hour(readings, WARM_SECONDS)
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
    heads = "worker", "lives", "resident at 90 s", "at the end", "growth"
    return table((*heads, "descriptors at 90 s", "at the end"), rows)
