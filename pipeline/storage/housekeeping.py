"""Keep the data folder within its bounds: list the events, and delete by the retention rules.

Other files that grow are bounded where they are written: score logs, the journal and logs of the
processes by size, the score history by age.
"""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Record
from pipeline.config.retention import BYTES_PER_GB
from pipeline.events.event import Event
from pipeline.storage.retention import KeptEvent, Limits, Removal, removals
from pipeline.storage.snapshots import CLIP_NAME
from pipeline.storage.store import EventFacts, EventStore
from pipeline.storage.store_errors import StoreError
from pipeline.telemetry.metrics import Metrics

LOG = logging.getLogger(__name__)

_SECONDS_PER_DAY = 86_400
_CLIP_LAG_SECONDS = 30.0
_MAX_AT_ONCE = 200  # so that the sink is not blocked, and a wrong clock does not delete everything


@dataclass(frozen=True, slots=True)
class EventFiles:
    """Files of one event on the disk."""

    size_bytes: int
    has_clip: bool
    changed_at: float
    """Unix seconds UTC."""


class Housekeeper:
    """Retention of one data folder; runs in the alert sink, the only writer of the store."""

    def __init__(
        self,
        store: EventStore,
        folder: Path,
        record: Record,
        metrics: Metrics,
        fail: Callable[[str, str], None],
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """Prepare.

        Args:
            store: Open for writing.
            folder: The data folder.
            record: Configuration of recording and retention.
            metrics: Metrics of the sink.
            fail: Called with the name of the part that failed, and the reason.
            free_bytes: Free space of the file system of a folder.
        """
        self._store = store
        self._folder = folder
        self._metrics = metrics
        self._fail = fail
        self._free_bytes = free_bytes
        self._good = True
        self._clips_due: dict[str, tuple[Path, float]] = {}
        self._clip_seconds = record.post_capture + _CLIP_LAG_SECONDS if record.enabled else 0.0
        self._limits = Limits(
            max_age_seconds=record.retain.days * _SECONDS_PER_DAY,
            max_bytes=record.retain.max_size_gb * BYTES_PER_GB,
            min_free_bytes=record.min_free_gb * BYTES_PER_GB,
            keep_labelled=record.retain.keep_labelled,
        )

    def expect_clip(self, event: Event, now: float) -> None:
        """Register the clip of an event that has ended, to be detected once it is written.

        Args:
            event: In the store, or about to be stored.
            now: Seconds of a monotonic clock.
        """
        if self._clip_seconds:
            path = self._folder / "events" / event.camera / event.id / CLIP_NAME
            self._clips_due[event.id] = path, now + self._clip_seconds

    def note_new_clips(self, now: float) -> None:
        """Mark in the store which of the expected clips exist now; cheap, may be called often.

        Args:
            now: Seconds of a monotonic clock.

        Raises:
            StoreError: it cannot be written.
        """
        found = [event_id for event_id, (path, _) in self._clips_due.items() if path.exists()]
        if found:
            self._store.set_clips(found, True)
        self._clips_due = {
            event_id: (path, until)
            for event_id, (path, until) in self._clips_due.items()
            if event_id not in found and now < until
        }

    def run(self, now: float, busy: Collection[str], cameras: Collection[str]) -> bool:
        """Check all events, and delete what exceeds the bounds; failures are reported and retried.

        Args:
            now: Unix seconds UTC.
            busy: Ids of events that are active, or not in the store yet.
            cameras: Names of all configured cameras.

        Returns:
            Whether everything is within its bounds, and nothing failed.
        """
        self._good = True
        try:
            files = dict(event_files(self._folder / "events"))
            facts = {one.id: one for one in self._store.facts()}
            self._note_clips(files, facts)
            free = self._free_bytes(self._folder)
            self._metrics.storage_free_bytes.set(free)
            kept = kept_events(files, facts, busy)
            self._remove(removals(kept, now, free, self._limits)[:_MAX_AT_ONCE], facts)
            free = self._free_bytes(self._folder)
            if free < self._limits.min_free_bytes:
                self._failed(self._too_little(free))
            self._store.prune_scores(now)
            self._store.reclaim_space()
            self._remove_logs(now, cameras)
        except (OSError, StoreError) as error:
            self._failed(str(error))
        return self._good

    def _failed(self, reason: str) -> None:
        self._good = False
        self._fail("retention", reason)

    def _note_clips(
        self, files: dict[tuple[str, str], EventFiles], facts: dict[str, EventFacts]
    ) -> None:
        clips = {event_id for (_, event_id), found in files.items() if found.has_clip}
        noted = {one.id for one in facts.values() if one.has_clip}
        for event_ids, has_clip in ((clips - noted) & facts.keys(), True), (noted - clips, False):
            if event_ids:
                self._store.set_clips(event_ids, has_clip)

    def _remove(self, found: list[Removal], facts: dict[str, EventFacts]) -> None:
        """Delete files before rows: rows without files are found again, files alone only by age."""
        removed: list[Removal] = []
        for removal in found:
            folder = self._folder / "events" / removal.event.camera / removal.event.id
            try:
                if removal.event.size_bytes or folder.exists():
                    shutil.rmtree(folder)
            except OSError as error:
                self._failed(f"{folder}: cannot be deleted: {error.strerror}")
                continue
            removed.append(removal)
        by_age = {one.event.id for one in removed if one.reason == "age"} & facts.keys()
        others = {one.event.id for one in removed if one.reason != "age"} & facts.keys()
        if by_age:
            self._store.delete_events(by_age)
        if others:
            self._store.set_clips(others, False)
        counts = Counter(one.reason for one in removed)
        for reason, count in counts.items():
            self._metrics.retention_deleted.labels(reason).inc(count)
        if removed:
            size = sum(one.event.size_bytes for one in removed) / 1e6
            why = ", ".join(f"{count} for {reason}" for reason, count in sorted(counts.items()))
            LOG.info("retention: deleted files of events (%s), %.1f MB", why, size)

    def _remove_logs(self, now: float, cameras: Collection[str]) -> None:
        """Delete score logs of removed cameras once they are older than the retention age."""
        for path in (self._folder / "scores").glob("*.jsonl"):
            camera = path.name.removesuffix(".jsonl").removesuffix(".1")
            if camera not in cameras and now - path.stat().st_mtime > self._limits.max_age_seconds:
                path.unlink()
                LOG.info("retention: deleted %s, of a camera that was removed", path.name)

    def _too_little(self, free_bytes: int) -> str:
        return (
            f"{self._folder}: want {self._limits.min_free_bytes / BYTES_PER_GB:g} GB of free "
            f"space (record.min_free_gb), got {free_bytes / BYTES_PER_GB:.2f} GB; "
            "no event is left whose files may be deleted"
        )


def event_files(folder: Path) -> Iterator[tuple[tuple[str, str], EventFiles]]:
    """Files of each event, by camera and id; files deleted meanwhile are skipped.

    Raises:
        OSError: a folder cannot be read.
    """
    for camera in _folders(folder):
        for event in _folders(Path(camera.path)):
            size, changed_at, has_clip = 0, 0.0, False
            with os.scandir(event.path) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    size += status.st_size
                    changed_at = max(changed_at, status.st_mtime)
                    has_clip |= entry.name == CLIP_NAME
            yield (camera.name, event.name), EventFiles(size, has_clip, changed_at)


def kept_events(
    files: dict[tuple[str, str], EventFiles],
    facts: dict[str, EventFacts],
    busy: Collection[str],
) -> list[KeptEvent]:
    """All events in the store or on the disk."""
    kept = []
    for one in facts.values():
        found = files.get((one.camera, one.id))
        size = found.size_bytes if found else 0
        active = one.active or one.id in busy
        kept.append(KeptEvent(one.id, one.camera, one.last_at, size, active, one.label is not None))
    for (camera, event_id), found in files.items():
        if event_id not in facts:
            kept.append(
                KeptEvent(
                    event_id, camera, found.changed_at, found.size_bytes, event_id in busy, False
                )
            )
    return kept


def _folders(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    yield from found


def folder_size_bytes(folder: Path) -> int:
    """Size of all files below a folder; files deleted meanwhile count as 0."""
    return sum(status.st_size for status in file_statuses(folder))


def file_statuses(folder: Path) -> Iterator[os.stat_result]:
    """The status of each file below a folder, without those deleted meanwhile."""
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(root, name))
            except OSError:
                continue
