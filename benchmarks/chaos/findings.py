"""What is known of a chaos run after it, and as far as possible of what surrounded it."""

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
    descriptors_gained,
    growth_per_hour,
    implied_events,
    is_caught,
    occurrences,
    told,
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
JUDGED_SECONDS = 240.0
"""Of a life after that, at least, for its growth to count."""
"""Of each process; what it holds in memory at most is then there."""
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
    events: list[ObservedEvent] = field(default_factory=list)
    journal: set[str] = field(default_factory=set)
    implied: dict[str, list[Event]] = field(default_factory=dict)
    shown: dict[str, list[Occurrence]] = field(default_factory=dict)
    scores: dict[str, Continuity] = field(default_factory=dict)
    seen: list[tuple[float, ScoreRecord]] = field(default_factory=list)
    readings: list[ProcessReading] = field(default_factory=list)
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
        self, service: ServiceProcess, data_folder: Path, waiting: int, alert: Mapping[str, float]
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

    def told(self) -> dict[str, DeliveryCheck]:
        """What each receiver was told."""
        return {
            name: told([message for _, message in heard], self.events)
            for name, heard in self.heard.items()
        }

    def as_json(self) -> dict[str, object]:
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
                    "growth_bytes_per_hour": growth_per_hour(
                        readings, WARM_SECONDS, JUDGED_SECONDS
                    ),
                    "descriptors_gained": descriptors_gained(readings, WARM_SECONDS),
                    "largest_bytes": max(one.resident_bytes for one in readings),
                }
                for name, readings in by_worker(self.readings).items()
            },
            "told": {name: asdict(one) for name, one in self.told().items()},
        }


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


def by_worker(readings: Iterable[ProcessReading]) -> dict[str, list[ProcessReading]]:
    """Readings of each worker, in the order of the names."""
    found: dict[str, list[ProcessReading]] = {}
    for reading in readings:
        found.setdefault(reading.worker, []).append(reading)
    return dict(sorted(found.items()))
