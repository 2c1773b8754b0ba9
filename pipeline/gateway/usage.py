"""Resource usage of the service: CPU and memory of processes, rates and latencies, disk space."""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.storage.housekeeping import file_statuses
from pipeline.transport.messages import Live

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DAY_SECONDS = 86_400.0
_KEPT = 200
_RATE_SECONDS = 10.0
_STORAGE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Resource usage of a process."""

    cpu_percent: float | None
    """Of one core, since the last measurement; None: not known yet."""
    memory_bytes: int
    """Resident, shared pages included."""


class ProcessMeter:
    """Measures processes of this machine; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[int, tuple[float, float]] = {}

    def measure(self, pids: Iterable[int]) -> dict[int, ProcessUsage]:
        """Usage by process id; processes that have ended are left out."""
        found: dict[int, ProcessUsage] = {}
        with self._lock:
            before, self._last = self._last, {}
            now = self._clock()
            for pid in pids:
                try:
                    cpu_seconds, memory = read_process(pid)
                except (OSError, ValueError, IndexError):
                    continue
                self._last[pid] = now, cpu_seconds
                percent = None
                if pid in before and now - before[pid][0] > 0.2:
                    then, seconds = before[pid]
                    percent = max(0.0, 100 * (cpu_seconds - seconds) / (now - then))
                found[pid] = ProcessUsage(percent, memory)
        return found


def read_process(pid: int) -> tuple[float, int]:
    """CPU time in seconds so far, and resident memory in bytes, of a process.

    Raises:
        OSError: there is no such process.
    """
    # The name in brackets may contain any character.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS
    return cpu_seconds, int(fields[21]) * _PAGE_BYTES


class ScoreMeter:
    """Rate and latency of each camera, from its live scores; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[tuple[float, float]]] = {}
        self._dropped: dict[str, int] = {}

    def take(self, live: Live) -> None:
        """Take a score."""
        scored_at, captured_at = live.body.get("scored_at"), live.body.get("captured_at")
        if live.kind != "score" or not isinstance(scored_at, float | int):
            return
        if not isinstance(captured_at, float | int):
            return
        with self._lock:
            seen = self._seen.setdefault(live.camera, deque(maxlen=_KEPT))
            seen.append((self._clock(), scored_at - captured_at))
            dropped = live.body.get("dropped")
            self._dropped[live.camera] = dropped if isinstance(dropped, int) else 0

    def cameras(self) -> list[dict[str, object]]:
        """Frames a second, dropped frames and latency in seconds (median, 95 %) of each camera."""
        now, found = self._clock(), []
        with self._lock:
            for camera, seen in sorted(self._seen.items()):
                recent = sorted(latency for at, latency in seen if now - at < _RATE_SECONDS)
                if not recent:
                    continue
                first = next(at for at, _ in seen if now - at < _RATE_SECONDS)
                span = max(now - first, 1.0)
                found.append(
                    {
                        "camera": camera,
                        "frames_per_second": len(recent) / span,
                        "dropped": self._dropped[camera],
                        "latency_seconds": recent[len(recent) // 2],
                        "latency_95_seconds": recent[int(0.95 * (len(recent) - 1))],
                    }
                )
        return found


@dataclass(frozen=True, slots=True)
class FolderUsage:
    """Size of a folder of the data folder."""

    name: str
    bytes: int
    files: int
    last_day_bytes: int
    """Of files written within the last day."""


def folders(data_folder: Path, now: float) -> list[FolderUsage]:
    """Size of each folder; unreadable ones count as empty.

    Args:
        data_folder: The folder that contains them.
        now: Unix seconds UTC.
    """
    found = []
    for folder in sorted(data_folder.iterdir() if data_folder.is_dir() else []):
        size = files = recent = 0
        for status in file_statuses(folder) if folder.is_dir() else [folder.stat()]:
            size, files = size + status.st_size, files + 1
            recent += status.st_size if now - status.st_mtime < _DAY_SECONDS else 0
        found.append(FolderUsage(folder.name, size, files, recent))
    return found


class StorageReader:
    """Reads the sizes of a data folder at most every 30 s, not for every request; thread-safe."""

    def __init__(self, data_folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._data_folder = data_folder
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = -1e9
        self._cached: dict[str, object] = {}

    def read(self) -> dict[str, object]:
        """Stored bytes, free bytes, and bytes written within the last day."""
        with self._lock:
            if self._clock() - self._read_at > _STORAGE_SECONDS:
                self._cached = {
                    "folder": str(self._data_folder),
                    "free_bytes": shutil.disk_usage(self._data_folder).free,
                    "folders": [asdict(one) for one in folders(self._data_folder, time.time())],
                }
                self._read_at = self._clock()
            return self._cached
