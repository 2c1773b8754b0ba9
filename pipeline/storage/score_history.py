"""Downsampled score history: buckets of a second for a day, of a minute for a month.

Each score is added to one bucket of a second and one of a minute. Pending buckets are written
periodically, in the transaction that also stores the trackers, and are added to the stored bucket
of the same time: so each score counts once, whenever the sink is killed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from pipeline.events.score_record import ScoreRecord
from pipeline.storage.database import upsert
from pipeline.storage.schema import SCORE_HISTORY, TRACKERS
from pipeline.transport.messages import SceneState

Resolution = Literal[1, 60]
"""Width of a bucket in seconds."""

KEPT_SECONDS: dict[Resolution, int] = {1: 86_400, 60: 30 * 86_400}
"""For how long the buckets of each width are stored."""
MAX_POINTS = 10_000
"""Maximum number of points of one query."""
_MAX_PENDING = 20_000  # some hours of one camera, while the store cannot be written


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """Summary of the scores of one camera in one second or minute."""

    camera: str
    resolution_seconds: int
    begins_at: int
    """Unix seconds, a multiple of the resolution."""
    highest: float | None
    total: float
    """Sum of the scores."""
    scored: int
    """Number of frames with a score."""
    frames: int
    """Number of frames, those without a score included."""
    threshold: float | None
    """Newest threshold, as energy."""
    state: SceneState
    """Newest state of the scene."""


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """Stored summary of one second or minute."""

    begins_at: int
    """Unix seconds UTC."""
    highest: float | None
    """None if no frame had a score."""
    mean: float | None
    threshold: float | None
    """The energy at which the score is 1."""
    state: SceneState
    frames: int
    """Number of frames, those without a score included."""


class ScoreHistory:
    """Buckets that are not written yet."""

    def __init__(self, capacity: int = _MAX_PENDING) -> None:
        """Start empty.

        Args:
            capacity: Maximum number of pending buckets; beyond it the oldest are dropped.
        """
        self._capacity = capacity
        self._pending: dict[tuple[str, int, int], ScoreBucket] = {}

    def add(self, record: ScoreRecord) -> None:
        """Add a new score."""
        for resolution in KEPT_SECONDS:
            begins_at = int(record.captured_at // resolution * resolution)
            key = record.camera, resolution, begins_at
            self._pending[key] = _with(self._pending.get(key), record, resolution, begins_at)
        while len(self._pending) > self._capacity:
            del self._pending[next(iter(self._pending))]

    @property
    def pending(self) -> list[ScoreBucket]:
        """Buckets to write."""
        return list(self._pending.values())

    def mark_written(self) -> None:
        """Clear the pending buckets: they are in the store."""
        self._pending.clear()


def add_to_history(connection: sa.Connection, buckets: Iterable[ScoreBucket]) -> None:
    """Add buckets to the stored ones."""
    upsert(connection, SCORE_HISTORY, map(asdict, buckets), _MERGED)


def history_query(
    camera: str, begin: float, end: float, resolution: Resolution, limit: int
) -> sa.Select[Any]:
    """The buckets of a camera that begin in [begin, end), oldest first, as many as `limit`."""
    table = SCORE_HISTORY.c
    return (
        sa.select(SCORE_HISTORY)
        .where(table.camera == camera, table.resolution_seconds == resolution)
        .where(table.begins_at >= begin, table.begins_at < end)
        .order_by(table.begins_at)
        .limit(limit)
    )


def point_of(row: Mapping[str, Any]) -> ScorePoint:
    """Convert a row of the store."""
    mean = row["total"] / row["scored"] if row["scored"] else None
    return ScorePoint(
        row["begins_at"], row["highest"], mean, row["threshold"], row["state"], row["frames"]
    )


def prune_history(connection: sa.Connection, now: float) -> int:
    """Delete buckets older than their storage time; returns the number of buckets.

    Args:
        connection: In a transaction.
        now: Unix seconds UTC.
    """
    table, deleted = SCORE_HISTORY.c, 0
    # Per camera: the primary key begins with it.
    for camera in connection.execute(sa.select(TRACKERS.c.camera)).scalars().all():
        for resolution, seconds in KEPT_SECONDS.items():
            result = connection.execute(
                sa.delete(SCORE_HISTORY)
                .where(table.camera == camera, table.resolution_seconds == resolution)
                .where(table.begins_at < now - seconds)
            )
            deleted += result.rowcount
    return deleted


def _with(
    bucket: ScoreBucket | None, record: ScoreRecord, resolution: int, begins_at: int
) -> ScoreBucket:
    if bucket is None:
        bucket = ScoreBucket(
            record.camera, resolution, begins_at, None, 0.0, 0, 0, None, record.state
        )
    score, threshold, highest = record.score, record.threshold, bucket.highest
    return replace(
        bucket,
        highest=max((value for value in (score, highest) if value is not None), default=None),
        total=bucket.total + (score or 0.0),
        scored=bucket.scored + (score is not None),
        frames=bucket.frames + 1,
        threshold=bucket.threshold if threshold is None else threshold,
        state=record.state,
    )


def _sum(old: Any, new: Any) -> Any:
    return old + new


def _higher(old: Any, new: Any) -> Any:
    # Not SQLite's max() or PostgreSQL's greatest(): they differ in name, and for NULL.
    return sa.case((new.is_(None), old), (old.is_(None), new), (new > old, new), else_=old)


_MERGED = {
    "highest": _higher,
    "total": _sum,
    "scored": _sum,
    "frames": _sum,
    "threshold": lambda old, new: sa.func.coalesce(new, old),
}
