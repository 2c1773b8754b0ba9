"""The course of the scores, thinned out: seconds for a day, minutes for a month.

Each score goes into one bucket of a second and one of a minute. What has gathered is written from
time to time, in the transaction that also keeps the trackers, and is added to what the store has of
the same bucket: so each score counts once, whenever the sink dies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from pipeline.storage.database import upsert
from pipeline.storage.schema import SCORE_HISTORY, TRACKERS
from pipeline.storage.score_log import ScoreRecord
from pipeline.transport.messages import SceneState

Resolution = Literal[1, 60]
"""Width of a bucket in seconds."""

KEPT_SECONDS: dict[Resolution, int] = {1: 86_400, 60: 30 * 86_400}
"""For how long the buckets of each width are kept."""
MOST_POINTS = 10_000
"""Read at once."""
_MOST_WAITING = 20_000  # some hours of one camera, while the store takes nothing


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """Some scores of one camera in one second or minute."""

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
    """Newest one, as energy."""
    state: SceneState
    """Newest one."""


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """What was stored of one second or minute."""

    begins_at: int
    """Unix seconds UTC."""
    highest: float | None
    """None where no frame had a score."""
    mean: float | None
    threshold: float | None
    """The energy at which the score is 1."""
    state: SceneState
    frames: int
    """Number of frames, those without a score included."""


class ScoreHistory:
    """What has gathered and is not written yet."""

    def __init__(self, capacity: int = _MOST_WAITING) -> None:
        """Begin without any.

        Args:
            capacity: Most buckets that wait; beyond them the oldest are forgotten.
        """
        self._capacity = capacity
        self._waiting: dict[tuple[str, int, int], ScoreBucket] = {}

    def add(self, record: ScoreRecord) -> None:
        """Take a new score."""
        for resolution in KEPT_SECONDS:
            begins_at = int(record.captured_at // resolution * resolution)
            key = record.camera, resolution, begins_at
            self._waiting[key] = _with(self._waiting.get(key), record, resolution, begins_at)
        while len(self._waiting) > self._capacity:
            del self._waiting[next(iter(self._waiting))]

    @property
    def waiting(self) -> list[ScoreBucket]:
        """What is to be written."""
        return list(self._waiting.values())

    def written(self) -> None:
        """Say that what waited is in the store."""
        self._waiting.clear()


def add_to_history(connection: sa.Connection, buckets: Iterable[ScoreBucket]) -> None:
    """Add buckets to those of the store."""
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
    """A row of the store for readers."""
    mean = row["total"] / row["scored"] if row["scored"] else None
    return ScorePoint(
        row["begins_at"], row["highest"], mean, row["threshold"], row["state"], row["frames"]
    )


def prune_history(connection: sa.Connection, now: float) -> int:
    """Delete what is older than it is kept for; number of buckets.

    Args:
        connection: In a transaction.
        now: Unix seconds UTC.
    """
    table, deleted = SCORE_HISTORY.c, 0
    # Camera by camera: the key of the table begins with it.
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
    # Not SQLite's max() nor PostgreSQL's greatest(): they differ in name, and about NULL.
    return sa.case((new.is_(None), old), (old.is_(None), new), (new > old, new), else_=old)


_MERGED = {
    "highest": _higher,
    "total": _sum,
    "scored": _sum,
    "frames": _sum,
    "threshold": lambda old, new: sa.func.coalesce(new, old),
}
