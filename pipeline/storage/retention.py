"""Retention rules: which events to delete. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.telemetry.wall_clock import age_seconds, recency

Reason = Literal["age", "size", "free"]


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """The properties of an event that retention depends on."""

    id: str
    camera: str
    last_at: float
    """Time of the last change, Unix seconds UTC."""
    size_bytes: int
    """Size of its files; 0 without files."""
    active: bool
    """Whether the event is active, or not stored yet: it is not deleted."""
    labelled: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the retention."""

    max_age_seconds: float
    max_bytes: float
    """Size of all files of events together."""
    min_free_bytes: float
    """Free space to leave on the file system."""
    keep_labelled: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """An event to delete: for reason "age" with its row, else its files only."""

    event: KeptEvent
    reason: Reason


def removals(
    events: Iterable[KeptEvent], now: float, free_bytes: float, limits: Limits
) -> list[Removal]:
    """What to delete, oldest first, and no more than necessary.

    Args:
        events: All events, in any order.
        now: Unix seconds UTC.
        free_bytes: Free space on the file system of their files.
        limits: Bounds of the retention.
    """
    known = sorted(events, key=lambda event: (*recency(event.last_at, now), event.id))
    total_bytes = sum(event.size_bytes for event in known)
    found: list[Removal] = []
    for event in known:
        if event.active or (event.labelled and limits.keep_labelled):
            continue
        reason: Reason | None = None
        age = age_seconds(event.last_at, now)
        if age is not None and age > limits.max_age_seconds:
            reason = "age"
        elif event.size_bytes and total_bytes > limits.max_bytes:
            reason = "size"
        elif event.size_bytes and free_bytes < limits.min_free_bytes:
            reason = "free"
        if reason is not None:
            found.append(Removal(event, reason))
            total_bytes -= event.size_bytes
            free_bytes += event.size_bytes
    return found


def free_space_problem(free_bytes: float, total_bytes: float, min_free_bytes: float) -> str:
    """Why a file system has less free space than `record.min_free_gb`; empty: it has enough.

    Args:
        free_bytes: Free now.
        total_bytes: Size of the file system.
        min_free_bytes: Space that must stay free.
    """
    if free_bytes >= min_free_bytes:
        return ""
    wanted = f"record.min_free_gb: want {min_free_bytes / 1e9:g} GB to stay free"
    if total_bytes <= min_free_bytes:
        return (
            f"{wanted}, got a file system of {total_bytes / 1e9:.2g} GB in all: no clip would ever "
            f"be written; set record.min_free_gb to about {total_bytes / 1e10:.1g}, or move "
            "storage.folder"
        )
    return (
        f"{wanted}, got {free_bytes / 1e9:.2g} GB: no clips are written, and the oldest are "
        "deleted; free some of the disk, lower record.min_free_gb, or move storage.folder"
    )
