"""`vedette run` as a process of its own, observed from outside."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.chaos.checks import ObservedEvent, ProcessReading
from pipeline.events.score_record import ScoreRecord
from pipeline.storage.json_lines import read_json_lines

_LOOK_SECONDS = 0.25
_MEASURE_SECONDS = 5.0
_STOP_SECONDS = 60.0
_PATIENCE_SECONDS = 20.0


class ServiceProcess:
    """The service, and a thread that reads its score logs and measures its workers."""

    def __init__(
        self,
        config_path: Path,
        data_folder: Path,
        scratch: Path,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """Prepare a run.

        Args:
            config_path: With ports for metrics and API.
            data_folder: As the configuration says.
            scratch: The service's folder for temporary files.
            look_seconds: Interval of reading the score logs.
        """
        self._config_path = config_path
        self._data_folder = data_folder
        self._scratch = scratch
        self._look_seconds = look_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._stopping = False
        self._watcher = threading.Thread(target=self._watch, name="watcher")
        self._offsets: dict[Path, int] = {}
        self._began_at = time.monotonic()
        self.seen: list[tuple[float, ScoreRecord]] = []
        """Time at which each score was read from a log, Unix seconds, and the score."""
        self.readings: list[ProcessReading] = []
        self.pids: set[int] = set()
        """All process ids that it ever had."""
        self.kills: Counter[str] = Counter()

    def start(self) -> None:
        """Start the service and its observation."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "run", "-q", "-c", str(self._config_path)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(self._scratch)},
        )
        self._began_at = time.monotonic()
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Process id of the parent."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> int | None:
        """Stop the service; its exit code, None where it had to be killed."""
        assert self._process is not None
        self._stopping = True
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        finally:
            self._over.set()
            self._watcher.join()

    def kill(self, worker: str) -> float:
        """Kill a worker by SIGKILL; return the time, Unix seconds.

        Raises:
            TimeoutError: there is no such process in time.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (pid := self.workers().get(worker)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no process of {worker}")
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        self.kills[worker] += 1
        return time.time()

    def workers(self) -> dict[str, int]:
        """Process id of each worker, identified by its open log file."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) != self.pid:
                    continue
                for link in (entry / "fd").iterdir():
                    path = Path(os.readlink(link))
                    if path.parent == self._data_folder / "logs":
                        found[path.stem.replace("-", ":", 1)] = int(entry.name)
        return found

    def _watch(self) -> None:
        measure_at = 0.0
        while not self._over.wait(self._look_seconds):
            self._read_scores()
            if time.monotonic() >= measure_at and not self._stopping:
                self._measure()
                measure_at = time.monotonic() + _MEASURE_SECONDS

    def _read_scores(self) -> None:
        for path in (self._data_folder / "scores").glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            now = time.time()
            self._offsets[path] = self._offsets.get(path, 0) + len(whole)
            self.seen += [(now, ScoreRecord(**json.loads(line))) for line in whole.splitlines()]

    def _measure(self) -> None:
        seconds = time.monotonic() - self._began_at
        for name, pid in {"supervisor": self.pid, **self.workers()}.items():
            self.pids.add(pid)
            with suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                size = pages * os.sysconf("SC_PAGE_SIZE")
                descriptors = len(os.listdir(f"/proc/{pid}/fd"))
                self.readings.append(ProcessReading(seconds, name, pid, size, descriptors))


def fetch(port: int, path: str) -> str | None:
    """Answer of an HTTP server on the loopback interface; None: no answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return None


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; whether it held in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def stored_events(data_folder: Path) -> list[ObservedEvent]:
    """All events in the store."""
    with closing(sqlite3.connect(data_folder / "events.sqlite")) as db:
        rows = db.execute("SELECT id, camera, started_at, ended_at, suppressed FROM events")
        return [ObservedEvent(*row[:4], suppressed=bool(row[4])) for row in rows]


def waiting_messages(data_folder: Path) -> int:
    """Number of undelivered messages in the outbox."""
    with closing(sqlite3.connect(data_folder / "outbox.sqlite")) as db:
        (found,) = db.execute("SELECT COUNT(*) FROM messages WHERE refused IS NULL").fetchone()
        return int(found)


def journal_ids(data_folder: Path) -> set[str]:
    """Ids of the events in the journal."""
    return {str(line["id"]) for line in read_json_lines(data_folder / "events.jsonl")}


def score_records(data_folder: Path, camera: str) -> list[ScoreRecord]:
    """The score log of a camera."""
    path = data_folder / "scores" / f"{camera}.jsonl"
    return [ScoreRecord(**line) for line in read_json_lines(path)] if path.exists() else []
