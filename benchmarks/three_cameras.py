"""Run the whole pipeline on three cameras at once, kill every worker in turn, count what is lost.

An RTSP camera with a password, a video file and a folder of images, the last two looped, with the
shipped weights. Reports how soon and how fast each is scored, how soon it continues after a worker
is killed, and whether the score logs hold every frame once. A recording that had to wait is scored
faster than wanted until it has caught up; a live camera drops frames and counts them. The exit
status is 1 where a frame is double, or lost without being counted, or where a resource is left.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.continuity import Continuity, continuity
from benchmarks.recordings import (
    STREET_FRAMES_PER_SECOND,
    sampled_frames,
    write_images,
    write_street,
)
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.video_file import VideoFile
from pipeline.config import Config
from pipeline.events.score_record import ScoreRecord
from pipeline.runtime.local_engine import local_service
from pipeline.runtime.supervisor import RunOutcome, Supervisor
from pipeline.storage.json_lines import read_json_lines
from pipeline.telemetry.health import WorkerStatus, camera_statuses
from pipeline.telemetry.logs import Redactor, set_up_logging
from pipeline.transport.topics import FRAMES

FRAMES_PER_SECOND = 10
PATIENCE_SECONDS = 240.0
TURN_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ped2", type=Path, metavar="FOLDER", help="images of a test clip of Ped2")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long rates are taken")
    parser.add_argument("--kill", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as folder:
        sys.exit(0 if measure(Path(folder), options, console) else 1)


def measure(folder: Path, options: argparse.Namespace, console: Console) -> bool:
    """Run, print what was found; whether all is well."""
    console.print("Drawing two streets …")
    shown, clip, images = folder / "shown.mp4", folder / "street.mp4", options.ped2
    write_street(shown, seed=1)
    write_street(clip, seed=2)
    if images is None:
        images = folder / "images"
        write_images(images, clip)
    recordings = {"file": clip, "folder": images}
    pass_frames = {
        name: sampled_frames(path, FRAMES_PER_SECOND) for name, path in recordings.items()
    }
    before = leftovers()
    set_up_logging("bench", Redactor(), level="ERROR")
    authentication = RtspAuthentication("bench", "street-corner")
    mount = Mount(lambda: VideoFile(shown, "live"), frames_per_second=STREET_FRAMES_PER_SECOND)
    with RtspServer({"street": mount}, authentication=authentication) as server:
        sources: dict[str, object] = {"rtsp": server.address("street")}
        sources |= {name: {"url": str(path), "loop": True} for name, path in recordings.items()}
        config = Config.model_validate(
            {
                "detect": {"fps": FRAMES_PER_SECOND},
                "adapt": {"frames": 10},
                "scoring": {"weights": options.weights},
                "metrics": {"port": 0},
                "cameras": {name: {"source": source} for name, source in sources.items()},
            }
        )
        with Run(config, folder / "data") as run:
            first = run.first_scores()
            rates = run.rates(options.seconds)
            workers = [status.name for status in run.statuses] if options.kill else []
            kills = {worker: run.kill(worker) for worker in workers}
        sockets = socket_folder(run.supervisor)
    left = [
        f"{what} {name}" for what, names in leftovers().items() for name in names - before[what]
    ]
    left += [f"socket folder {sockets}"] if sockets.exists() else []
    found = {name: continuity(run.records(name), pass_frames.get(name)) for name in sources}
    console.print(f"rates over {options.seconds:g} s, of {FRAMES_PER_SECOND} wanted\n")
    console.print(cameras_table(first, rates, found))
    console.print()
    if kills:
        console.print(kills_table(kills))
        console.print()
    console.print(f"left behind: {', '.join(left) or 'nothing'}")
    for name, why in run.outcome.failed.items():
        console.print(f"failed: {name}: {why}", markup=False)
    return all(one.whole for one in found.values()) and not left and not run.outcome.failed


class Run:
    """The pipeline on its way, as `vedette run` starts it; stopped and drained at the end."""

    outcome: RunOutcome

    def __init__(self, config: Config, data_folder: Path) -> None:
        self._cameras = list(config.cameras)
        self._service = local_service(config, data_folder, "ERROR")
        self._data_folder = data_folder
        self._stop = threading.Event()
        self._executor = ThreadPoolExecutor(1)  # the workers die with the thread that starts them

    def __enter__(self) -> "Run":
        self.supervisor: Supervisor = self._service.__enter__()
        self._began_at = time.monotonic()
        self._ending: Future[RunOutcome] = self._executor.submit(self.supervisor.run, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self.outcome = self._ending.result()
        self._executor.shutdown()
        self._service.__exit__(None, None, None)

    @property
    def statuses(self) -> Sequence[WorkerStatus]:
        """All workers."""
        return self.supervisor.statuses

    def records(self, camera: str) -> list[ScoreRecord]:
        """The score log of a camera."""
        log = self._log(camera)
        return [ScoreRecord(**line) for line in read_json_lines(log)] if log.exists() else []

    def first_scores(self) -> dict[str, float]:
        """Wait until all are scored; seconds from the start to each first score."""
        first: dict[str, float] = {}

        def all_judged() -> bool:
            for camera in self._cameras:
                if camera not in first and any(
                    one.score is not None for one in self.records(camera)
                ):
                    first[camera] = time.monotonic() - self._began_at
            statuses = camera_statuses(self.statuses)
            watching = [camera for camera in first if statuses[camera].startswith("watching")]
            return len(watching) == len(self._cameras)

        self._wait_for(all_judged)
        return first

    def rates(self, seconds: float) -> dict[str, float]:
        """Scores a second of each camera over a while."""
        before, began_at = self._counts(), time.monotonic()
        self._stop.wait(seconds)
        after, took = self._counts(), time.monotonic() - began_at
        return {camera: (after[camera] - before[camera]) / took for camera in self._cameras}

    def kill(self, worker: str) -> float:
        """Kill a worker; seconds until its successor runs and all its cameras are scored again."""
        victim = self._status(worker)
        assert victim.pid is not None
        killed_at = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        self._wait_for(
            lambda: (
                self._status(worker).phase == "running"
                and self._status(worker).pid not in (None, victim.pid)
            )
        )
        before = self._counts()  # what the victim had sent on is among them
        served = [one for one in self._cameras if worker in (f"ingest:{one}", "scorer", "sink")]
        self._wait_for(lambda: all(self._counts()[one] > before[one] for one in served))
        return time.monotonic() - killed_at

    def _counts(self) -> dict[str, int]:
        logs = {camera: self._log(camera) for camera in self._cameras}
        return {name: log.read_bytes().count(b"\n") for name, log in logs.items()}

    def _log(self, camera: str) -> Path:
        return self._data_folder / "scores" / f"{camera}.jsonl"

    def _status(self, worker: str) -> WorkerStatus:
        return next(status for status in self.statuses if status.name == worker)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline or self._ending.done():
                raise TimeoutError("\n".join(map(str, self.statuses)))
            time.sleep(TURN_SECONDS)


def socket_folder(supervisor: Supervisor) -> Path:
    """Where the sockets of a run lie that has them in a folder."""
    return Path(supervisor.run_info.endpoints.address(FRAMES).removeprefix("ipc://")).parent


def leftovers() -> dict[str, set[str]]:
    """Resources that a run must release: child processes, open descriptors, shared memory."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {
        "process": {child for task in tasks for child in task.read_text().split()},
        "descriptor": {
            f"{number} ({os.readlink(link)})"
            for number in os.listdir("/proc/self/fd")
            if os.path.lexists(link := f"/proc/self/fd/{number}")
        },
        "shared memory": shared_memory(),
    }


def shared_memory() -> set[str]:
    """Segments of this machine, without those of database servers and of faked clocks."""
    others = ("PostgreSQL.", "faketime_", "sem.faketime_")
    return {name for name in os.listdir("/dev/shm") if not name.startswith(others)}


def cameras_table(
    first: Mapping[str, float], rates: Mapping[str, float], found: Mapping[str, Continuity]
) -> Table:
    """One row a camera."""
    rows = [
        (
            name,
            f"{first[name]:.1f} s",
            f"{rates[name]:.2f}",
            *map(str, (one.frames, one.dropped, one.duplicates, one.holes, one.connections)),
        )
        for name, one in found.items()
    ]
    heads = "camera", "first score", "scores/s", "scored", "dropped", "double", "holes"
    return table((*heads, "connections"), rows)


def kills_table(kills: Mapping[str, float]) -> Table:
    """One row a killed worker."""
    return table(("killed", "back after"), [(name, f"{s:.1f} s") for name, s in kills.items()])


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """Names to the left, numbers to the right."""
    drawn = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        drawn.add_column(head, justify="right" if number else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


if __name__ == "__main__":
    main()
