"""Results of a chaos run and of the systems around it."""

import gc
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.chaos.checks import (
    DeliveryCheck,
    Message,
    ObservedEvent,
    Occurrence,
    ProcessReading,
    back_at,
    check_delivery,
    descriptors_gained,
    growth_per_hour,
    implied_events,
    is_caught,
    occurrences,
)
from benchmarks.chaos.schedule import Fault
from benchmarks.chaos.service import ServiceProcess, fetch, journal_ids, score_records
from benchmarks.chaos.streets import PERIOD_SECONDS, PLANNED
from benchmarks.continuity import Continuity, continuity
from benchmarks.recordings import sampled_frames
from benchmarks.three_cameras import leftovers
from pipeline.events.event import Event
from pipeline.events.event_settings import EventSettings
from pipeline.events.score_record import ScoreRecord

WARM_SECONDS = 90.0
"""Warm-up of each process, after which its memory is allocated."""
JUDGED_SECONDS = 240.0
"""Least time of a process after the warm-up for its growth to count."""
_AFTERMATH_SECONDS = 5.0


@dataclass(slots=True)
class Recovery:
    """A fault as it happened; all times in Unix seconds."""

    fault: Fault
    began_at: float | None = None
    """None: the run ended before."""
    over_at: float | None = None
    back_at: float | None = None
    """When the service had recovered; None: never, or unknown."""

    @property
    def seconds_back(self) -> float | None:
        """From the end of the fault."""
        if self.back_at is None or self.over_at is None:
            return None
        return max(0.0, self.back_at - self.over_at)


@dataclass(slots=True)
class Findings:
    """All results of a run."""

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
    events: list[ObservedEvent] = field(default_factory=list)
    journal: set[str] = field(default_factory=set)
    implied: dict[str, list[Event]] = field(default_factory=dict)
    shown: dict[str, list[Occurrence]] = field(default_factory=dict)
    scores: dict[str, Continuity] = field(default_factory=dict)
    seen: list[tuple[float, ScoreRecord]] = field(default_factory=list)
    readings: list[ProcessReading] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    received: dict[str, list[tuple[float, Message]]] = field(default_factory=dict)
    published_at: list[float] = field(default_factory=list)
    forged: int = 0
    leaks: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def cameras(self) -> list[str]:
        """All of them."""
        return [*self.live, *self.recordings]

    def collect(
        self, service: ServiceProcess, data_folder: Path, waiting: int, alert: Mapping[str, float]
    ) -> None:
        """Read the results of the service from its data folder and from its observation."""
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
        """Look for resources that the run should have released."""
        gc.collect()
        self.left += [
            f"{what} {name}" for what, names in leftovers().items() for name in names - before[what]
        ]
        self.left += [f"process {pid}" for pid in pids if Path(f"/proc/{pid}").exists()]
        self.left += [f"temporary {path.name}" for path in scratch.iterdir()]
        self.left += [f"port of {name}" for name, port in ports.items() if fetch(port, "/healthz")]

    def deliveries(self) -> dict[str, DeliveryCheck]:
        """Delivery check of each receiver."""
        return {
            name: check_delivery([message for _, message in received], self.events)
            for name, received in self.received.items()
        }

    def as_json(self) -> dict[str, object]:
        """All results as plain data."""
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
                    "growth_bytes_per_hour": growth_per_hour(
                        readings, WARM_SECONDS, JUDGED_SECONDS
                    ),
                    "descriptors_gained": descriptors_gained(readings, WARM_SECONDS),
                    "largest_bytes": max(one.resident_bytes for one in readings),
                }
                for name, readings in by_worker(self.readings).items()
            },
            "deliveries": {name: asdict(one) for name, one in self.deliveries().items()},
        }


def note_return(findings: Findings, recovery: Recovery) -> None:
    """Determine when the service recovered from a fault."""
    fault, since = recovery.fault, recovery.over_at
    if since is None or fault.kind == "kill gateway":
        return
    if fault.kind == "broker away":
        recovery.back_at = next((at for at in findings.published_at if at >= since), None)
    elif fault.kind.startswith("webhook"):
        received = findings.received["webhook"]
        recovery.back_at = next((at for at, _ in received if at >= since), None)
    else:
        cameras = [fault.camera] if fault.camera else findings.cameras
        recovery.back_at = back_at(findings.seen, cameras, since)


def is_overdue(recovery: Recovery) -> bool:
    """Whether the service did not recover; a webhook may have had no message afterwards."""
    return recovery.back_at is None and not recovery.fault.kind.startswith("webhook")


def unlogged(recoveries: Iterable[Recovery]) -> list[tuple[float, float]]:
    """Times in which scores could not be logged, Unix seconds, with a margin."""
    return [
        (one.began_at - _AFTERMATH_SECONDS, one.over_at + _AFTERMATH_SECONDS)
        for one in recoveries
        if one.fault.kind == "disk full" and one.began_at is not None and one.over_at is not None
    ]


def by_worker(readings: Iterable[ProcessReading]) -> dict[str, list[ProcessReading]]:
    """Readings of each worker, in the order of the names."""
    found: dict[str, list[ProcessReading]] = {}
    for reading in readings:
        found.setdefault(reading.worker, []).append(reading)
    return dict(sorted(found.items()))
