"""Checks of the results of a chaos run. Pure functions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cameras.simulation import PlannedAnomaly
from pipeline.events.event import Event
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord

SLACK_SECONDS = 1.5
"""Largest delay of an event after its cause: duration of clips and transport."""
_KINDS = ("new", "update", "end")
_WATCHED = ("calibrating", "ready")
_LEAST_WATCHED = 0.5


@dataclass(frozen=True, slots=True)
class ObservedEvent:
    """An event in the store."""

    id: str
    camera: str
    started_at: float
    ended_at: float | None
    suppressed: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a receiver got."""

    key: str
    type: str
    id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One measurement of a worker's process."""

    seconds: float
    """From the start of the run."""
    worker: str
    pid: int
    resident_bytes: int
    descriptors: int


@dataclass(slots=True)
class DeliveryCheck:
    """Whether all events were delivered, once, in order."""

    messages: int = 0
    """Number received."""
    duplicates: int = 0
    """Of those, repetitions of a known key."""
    missing: list[str] = field(default_factory=list)
    """`id:type` of messages that were not received."""
    twice: list[str] = field(default_factory=list)
    """`id:type` of messages received under several keys."""
    strangers: list[str] = field(default_factory=list)
    """Events that are not in the store, or that should have been suppressed."""
    disordered: list[str] = field(default_factory=list)
    """Events with an older message after a newer one."""

    @property
    def whole(self) -> bool:
        """Whether a receiver that deduplicates by key got everything exactly once, in order."""
        return not (self.missing or self.twice or self.strangers or self.disordered)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One showing of a planned anomaly while its camera was scored."""

    camera: str
    kind: str
    began_at: float
    """Arrival of the first watched frame of it, Unix seconds."""
    ended_at: float
    """Of the last one."""


def implied_events(records: Iterable[ScoreRecord], settings: EventSettings) -> list[Event]:
    """The events implied by a score log, including suppressed ones, all of them ended."""
    tracker, found = EventTracker(settings), dict[str, Event]()
    changes = []
    for record in records:
        changes += tracker.update(record)
    changes += tracker.finish()
    for change in changes:
        found[change.event.id] = change.event
    return [*found.values()]


def lost_events(
    implied: Iterable[Event],
    stored: Iterable[ObservedEvent],
    unlogged: Sequence[tuple[float, float]] = (),
) -> list[str]:
    """Ids of events that are missing in the store.

    Args:
        implied: By the score logs.
        stored: All events in the store.
        unlogged: Times, Unix seconds, in which the logs could not be written. The store has more
            than the logs then, and an implied event may have begun earlier, under another id: any
            event of that camera at that time is accepted.
    """
    known = {event.id: event for event in stored}
    lost = []
    for event in implied:
        end = event.started_at if event.ended_at is None else event.ended_at
        excused = any(began <= end and event.started_at <= over for began, over in unlogged)
        seen = excused and any(
            one.camera == event.camera
            and one.started_at <= end
            and (one.ended_at is None or one.ended_at >= event.started_at)
            for one in known.values()
        )
        if event.id not in known and not seen:
            lost.append(event.id)
    return lost


def check_delivery(messages: Iterable[Message], stored: Iterable[ObservedEvent]) -> DeliveryCheck:
    """Compare the messages of a receiver with the store.

    Args:
        messages: In the order of arrival, with repetitions.
        stored: All events in the store.
    """
    found, keys = DeliveryCheck(), set[str]()
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    counts: Counter[tuple[str, str]] = Counter()
    for message in messages:
        found.messages += 1
        if message.key in keys:
            found.duplicates += 1
            continue
        keys.add(message.key)
        counts[message.id, message.type] += 1
        places[message.id].append((message.revision, _KINDS.index(message.type)))
    wanted = {event.id: event for event in stored if not event.suppressed}
    for event in wanted.values():
        for kind in ("new", "end") if event.ended_at is not None else ("new",):
            if counts[event.id, kind] == 0:
                found.missing.append(f"{event.id}:{kind}")
    found.twice = [
        f"{name}:{kind}" for (name, kind), count in counts.items() if kind != "update" and count > 1
    ]
    found.strangers = sorted(places.keys() - wanted.keys())
    found.disordered = [name for name, order in places.items() if order != sorted(order)]
    return found


def occurrences(
    records: Iterable[ScoreRecord],
    planned: Sequence[PlannedAnomaly],
    period_seconds: float,
    frames_per_second: float,
    shown_at: float | None,
) -> list[Occurrence]:
    """All showings of planned anomalies while the camera was scored.

    Args:
        records: Of one camera.
        planned: Within one period.
        period_seconds: The scene repeats itself.
        frames_per_second: How often the camera is to be scored.
        shown_at: Wall clock of the scene's time 0; None: the time within a connection counts.
    """
    seen: dict[tuple[int, int], list[ScoreRecord]] = defaultdict(list)
    for record in records:
        if record.score is None or record.state not in _WATCHED:
            continue
        if shown_at is None:
            turn, phase = record.connection, record.pts_seconds
        else:
            turn, phase = divmod(record.captured_at - shown_at, period_seconds)
            turn = int(turn)
        for number, one in enumerate(planned):
            if one.start_seconds <= phase <= one.end_seconds:
                seen[turn, number].append(record)
    return [
        Occurrence(
            watched[0].camera,
            planned[number].kind,
            min(record.captured_at for record in watched),
            max(record.captured_at for record in watched),
        )
        for (_, number), watched in sorted(seen.items())
        if len(watched) >= _LEAST_WATCHED * frames_per_second * planned[number].duration_seconds
    ]


def is_caught(occurrence: Occurrence, stored: Iterable[ObservedEvent]) -> bool:
    """Whether the store has an event of this occurrence."""
    return any(
        event.camera == occurrence.camera
        and event.started_at <= occurrence.ended_at + SLACK_SECONDS
        and (event.ended_at is None or event.ended_at >= occurrence.began_at)
        for event in stored
    )


def back_at(
    seen: Iterable[tuple[float, ScoreRecord]], cameras: Iterable[str], since: float
) -> float | None:
    """Time at which all of these cameras were scored again; None: not all of them were.

    Args:
        seen: Time at which each score was read from the log, and the score; both in Unix seconds.
        cameras: Names of the cameras.
        since: Only frames captured later count, Unix seconds.
    """
    waited = set(cameras)
    last = since
    for at, record in seen:
        if record.camera in waited and record.captured_at >= since and record.score is not None:
            waited.remove(record.camera)
            last = max(last, at)
    return None if waited else last


def growth_per_hour(
    readings: Iterable[ProcessReading], warm_up_seconds: float, least_seconds: float = 0.0
) -> float | None:
    """Growth of the resident memory of a worker in bytes an hour; None: too few readings.

    One slope is fitted to all its processes, each with its own offset.

    Args:
        readings: Of one worker.
        warm_up_seconds: Start of each process that does not count.
        least_seconds: Processes with less time after that do not count: one adaptation in a short
            time is no growth.
    """
    lives: dict[int, list[ProcessReading]] = defaultdict(list)
    for reading in readings:
        lives[reading.pid].append(reading)
    above = below = 0.0
    for life in lives.values():
        born = min(one.seconds for one in life)
        grown = [one for one in life if one.seconds - born >= warm_up_seconds]
        if len(grown) < 3 or grown[-1].seconds - grown[0].seconds < least_seconds:
            continue
        middle = sum(one.seconds for one in grown) / len(grown)
        above += sum((one.seconds - middle) * one.resident_bytes for one in grown)
        below += sum((one.seconds - middle) ** 2 for one in grown)
    return above / below * 3600.0 if below > 0 else None


def descriptors_gained(readings: Iterable[ProcessReading], warm_up_seconds: float) -> int:
    """Largest increase of open descriptors of any process of a worker after its warm-up."""
    lives: dict[int, list[ProcessReading]] = defaultdict(list)
    for reading in readings:
        lives[reading.pid].append(reading)
    gained = [0]
    for life in lives.values():
        born = min(one.seconds for one in life)
        warm = [one.descriptors for one in life if one.seconds - born >= warm_up_seconds]
        if warm:
            gained.append(min(warm[-3:]) - max(warm[:3]))
    return max(gained)


def metric(text: str, name: str, **labels: str) -> float:
    """Sum of all series of a metric with these labels, in Prometheus text format; 0 for none."""
    total = 0.0
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        found, _, rest = series.partition("{")
        if found == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
            total += float(value)
    return total


def unexpected_restarts(restarts: Mapping[str, int], kills: Mapping[str, int]) -> list[str]:
    """Messages for workers whose restarts differ from their kills."""
    return [
        f"{name}: {restarts.get(name, 0)} restarts, {kills.get(name, 0)} kills"
        for name in sorted({*restarts, *kills})
        if restarts.get(name, 0) != kills.get(name, 0)
    ]
