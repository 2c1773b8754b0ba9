"""The whole pipeline for tests: real processes, run from a thread that the test controls."""

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from makers import small_scorer
from stage_parts import small_config

from benchmarks.three_cameras import shared_memory
from models.checkpoint import save_checkpoint
from pipeline.runtime.local_engine import local_service
from pipeline.runtime.supervisor import RunOutcome, Supervisor


class PipelineRun:
    """A pipeline on its way."""

    def __init__(self, supervisor: Supervisor, data_folder: Path) -> None:
        self.supervisor = supervisor
        self.data_folder = data_folder
        self.stop = threading.Event()
        self.outcome: RunOutcome | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.outcome = self.supervisor.run(self.stop)

    def start(self) -> None:
        """Begin; the workers die with the thread that started them, and so they get their own."""
        self._thread.start()

    def wait(self, timeout_seconds: float) -> RunOutcome:
        """Wait until it has ended."""
        self._thread.join(timeout_seconds)
        assert not self._thread.is_alive(), "the pipeline did not end in time"
        assert self.outcome is not None
        return self.outcome

    def scores(self, camera: str) -> list[dict[str, object]]:
        """What the score log of a camera holds now."""
        path = self.data_folder / "scores" / f"{camera}.jsonl"
        if not path.exists():
            return []
        return [
            json.loads(line)
            for line in path.read_text().splitlines(keepends=True)
            if line[-1] == "\n"
        ]

    def metrics(self) -> str:
        """What the metrics server says now."""
        address = f"http://127.0.0.1:{self.supervisor.metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float = 90.0) -> None:
        """Wait until something holds; fails in time where it never does, or the run ends."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, self.statuses()
            assert self._thread.is_alive(), "the pipeline ended early"
            time.sleep(0.05)

    def statuses(self) -> str:
        """All workers in words."""
        return "\n".join(map(str, self.supervisor.statuses))

    def pid(self, worker: str) -> int | None:
        """Process id of a worker that runs."""
        (status,) = (one for one in self.supervisor.statuses if one.name == worker)
        return status.pid

    def kill(self, worker: str) -> None:
        """Kill a worker without warning, and wait until another process has taken its place."""
        before = self.pid(worker)
        assert before is not None, self.statuses()
        os.kill(before, signal.SIGKILL)
        self.wait_for(lambda: self.pid(worker) not in (None, before))


@contextmanager
def pipeline_run(
    folder: Path, sources: Mapping[str, object], log_level: str = "WARNING", **more: object
) -> Iterator[PipelineRun]:
    """Run a pipeline with small random weights; stopped at the end if it still runs.

    Args:
        folder: Where data and weights are put.
        sources: Name and `source` of each camera.
        log_level: Least level of what the workers log.
        more: Further sections of the configuration.
    """
    weights = folder / "weights" / "small"
    save_checkpoint(small_scorer().model, weights, {})
    scoring = {"weights": str(weights), "device": "cpu", "threads": 1}
    config = small_config(sources, scoring=scoring, **more)
    with local_service(config, folder / "data", log_level) as supervisor:
        run = PipelineRun(supervisor, folder / "data")
        run.start()
        try:
            yield run
        finally:
            run.stop.set()
            run.wait(60)


def leftovers() -> tuple[set[str], int, set[str]]:
    """What a run must give back: child processes, open descriptors, shared memory."""
    me = str(os.getpid())
    children = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if parent == me:
                children.add(entry.name)
    return children, len(os.listdir("/proc/self/fd")), shared_memory()
