"""How many cameras this machine scores: the whole service over real RTSP.

    python -m benchmarks.many_cameras --cameras 1 4 16 32
    python -m benchmarks.many_cameras --cameras 8 --busy 1.0 --json result.json

Every camera is an RTSP connection to one of two streams (640×360, H.264, 10 frames a second): a
street with people, or the same street without them. The server runs in a process of its own,
whose CPU time is not counted. For each number of cameras the service starts with stored scenes,
warms up until every camera is scored at its rate or a time-out, and is then measured for a while.

CPU time is in milliseconds a scored frame, of each kind of worker; memory is the proportional set
size (shared pages divided by those that share them), so that it can be summed.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.recordings import write_video
from benchmarks.three_cameras import table
from cameras.simulation import SyntheticStreet
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.video_file import VideoFile
from pipeline.config import Config
from pipeline.gateway.usage import read_process
from pipeline.runtime.local_engine import local_service
from pipeline.runtime.supervisor import Supervisor
from pipeline.telemetry.logs import Redactor, set_up_logging
from pipeline.transport.live import LiveSubscriber
from pipeline.transport.messages import Live

FRAMES_PER_SECOND = 10
SIZE_HW = (360, 640)
_VIDEO_SECONDS = 40
_POLL_SECONDS = 0.2
_WIDTH = 140


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the service."""

    cameras: int
    busy: int
    seconds: float
    frames_per_second: float
    """Of all cameras together; wanted: ten times their number."""
    slowest_camera: float
    """Frames per second of the camera that is scored least often."""
    dropped: int
    latency_median_ms: float
    """From the arrival of a frame to its score."""
    latency_99_ms: float
    cpu_ms: dict[str, float]
    """CPU time a scored frame, by kind of worker."""
    cpu_percent: float
    """Of all cores of the machine together, by the service."""
    memory_mb: dict[str, float]
    """Proportional set size of all workers of a kind together."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--busy", type=float, default=0.25, help="share of cameras with people")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured time of each run")
    parser.add_argument("--warm-up", type=float, default=60.0, help="longest wait for all cameras")
    parser.add_argument("--detect-fps", type=float, default=FRAMES_PER_SECOND)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    console = Console(width=_WIDTH)
    set_up_logging("bench", Redactor(), level="ERROR")
    found = []
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as name:
        folder = Path(name)
        console.print("Drawing and encoding two streets …")
        draw_streams(folder)
        with serving(folder) as addresses:
            for count in options.cameras:
                one = measure(count, options, addresses, folder / f"{count}")
                found.append(one)
                console.print(runs_table([one]))
    console.print(runs_table(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))


def draw_streams(folder: Path) -> None:
    """Write `busy.mp4` and `still.mp4`."""
    street = SyntheticStreet(3, SIZE_HW, float(FRAMES_PER_SECOND))
    count = _VIDEO_SECONDS * FRAMES_PER_SECOND
    write_video(
        folder / "busy.mp4", (street.render(n).pixels for n in range(count)), FRAMES_PER_SECOND
    )
    ground = np.median([street.render(20 * n).pixels for n in range(20)], axis=0)
    random = np.random.default_rng(0)
    noise = (random.normal(0, 1.5, (*SIZE_HW, 1)) for _ in range(count))
    still = ((ground + one).clip(0, 255).astype(np.uint8) for one in noise)
    write_video(folder / "still.mp4", still, FRAMES_PER_SECOND)


def _serve(folder: Path, pipe: Connection) -> None:
    mounts = {
        name: Mount(
            lambda name=name: VideoFile(folder / f"{name}.mp4", "live"),
            frames_per_second=FRAMES_PER_SECOND,
        )
        for name in ("busy", "still")
    }
    with RtspServer(mounts) as server:
        pipe.send({name: server.address(name) for name in mounts})
        pipe.recv()


@contextmanager
def serving(folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve both streams from another process; their addresses."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(10)


class ScoreCounter:
    """Counts the scores of a run; filled by one thread."""

    def __init__(self) -> None:
        self.begun_at = float("inf")
        self.seen: dict[str, int] = defaultdict(int)
        self.first_dropped: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.latencies: list[float] = []
        self.watched: set[str] = set()

    def begin(self) -> None:
        """Count from now on."""
        self.begun_at = time.time()

    def take(self, live: Live) -> None:
        """Take a live update."""
        if live.kind != "score" or live.body.get("score") is None:
            return
        self.watched.add(live.camera)
        captured_at, scored_at = live.body["captured_at"], live.body["scored_at"]
        dropped = live.body["dropped"]
        assert isinstance(captured_at, float)
        assert isinstance(scored_at, float)
        assert isinstance(dropped, int)
        if captured_at < self.begun_at:
            self.first_dropped[live.camera] = dropped
            return
        self.dropped[live.camera] = dropped
        self.seen[live.camera] += 1
        self.latencies.append(scored_at - captured_at)

    @property
    def dropped_since(self) -> int:
        """Frames that were dropped since `begin`."""
        return sum(count - self.first_dropped.get(name, 0) for name, count in self.dropped.items())


def measure(
    count: int, options: argparse.Namespace, addresses: Mapping[str, str], folder: Path
) -> Measured:
    """Run the service with so many cameras."""
    busy = max(1, round(count * options.busy)) if options.busy else 0
    names = [f"camera{number:02d}" for number in range(count)]
    config = Config.model_validate(
        {
            "detect": {"fps": options.detect_fps},
            "adapt": {"frames": 10, "interval": 0.5, "calibrate": 10},
            "metrics": {"port": 0},
            "cameras": {
                name: {"source": {"url": addresses["busy" if number < busy else "still"]}}
                for number, name in enumerate(names)
            },
        }
    )
    scores = ScoreCounter()
    with local_service(config, folder, "ERROR") as supervisor:
        stop, over = threading.Event(), threading.Event()
        executor = ThreadPoolExecutor(2)

        def listen() -> None:
            with LiveSubscriber(supervisor.run_info.endpoints) as updates:
                while not over.is_set():
                    for live in updates.poll(_POLL_SECONDS):
                        scores.take(live)

        listening = executor.submit(listen)
        running = executor.submit(supervisor.run, stop)
        try:
            deadline = time.monotonic() + options.warm_up + 2.0 * count
            while len(scores.watched) < count and time.monotonic() < deadline:
                if running.done():
                    raise SystemExit(f"the service ended: {running.result()}")
                time.sleep(_POLL_SECONDS)
            time.sleep(5.0)
            before, began = cpu_seconds(supervisor), time.monotonic()
            scores.begin()
            time.sleep(options.seconds)
            after, took = cpu_seconds(supervisor), time.monotonic() - began
            memory = memory_mb(supervisor)
        finally:
            over.set()
            listening.result()
            stop.set()
            running.result()
            executor.shutdown()
    scored = max(1, len(scores.latencies))
    latencies = sorted(scores.latencies) or [float("nan")]
    spent = {kind: after[kind] - before[kind] for kind in after}
    return Measured(
        cameras=count,
        busy=busy,
        seconds=took,
        frames_per_second=scored / took,
        slowest_camera=min(scores.seen.get(name, 0) for name in names) / took,
        dropped=scores.dropped_since,
        latency_median_ms=1e3 * statistics.median(latencies),
        latency_99_ms=1e3 * latencies[int(0.99 * (len(latencies) - 1))],
        cpu_ms={kind: 1e3 * seconds / scored for kind, seconds in spent.items()},
        cpu_percent=100 * sum(spent.values()) / took / (os.cpu_count() or 1),
        memory_mb=memory,
    )


def _processes(supervisor: Supervisor) -> Iterator[tuple[str, int]]:
    for status in supervisor.statuses:
        if status.pid is not None:
            yield status.name.partition(":")[0], status.pid


def cpu_seconds(supervisor: Supervisor) -> dict[str, float]:
    """CPU time of the workers so far, by kind; the parent is left out, as it runs this program."""
    found: dict[str, float] = defaultdict(float)
    for kind, pid in _processes(supervisor):
        found[kind] += read_process(pid)[0]
    return dict(found)


def memory_mb(supervisor: Supervisor) -> dict[str, float]:
    """Proportional set size of the workers, by kind."""
    found: dict[str, float] = defaultdict(float)
    for kind, pid in _processes(supervisor):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found[kind] += int(line.split()[1]) / 1024
    return dict(found)


def runs_table(found: list[Measured]) -> Table:
    """One row a run."""
    kinds = list(found[0].cpu_ms)
    heads = ["cameras", "busy", "frames/s", "slowest", "dropped", "median", "p99", "CPU"]
    heads += [f"{kind} ms" for kind in kinds] + [f"{kind} MB" for kind in kinds]
    rows = [
        (
            str(one.cameras),
            str(one.busy),
            f"{one.frames_per_second:.1f}",
            f"{one.slowest_camera:.1f}",
            str(one.dropped),
            f"{one.latency_median_ms:.0f} ms",
            f"{one.latency_99_ms:.0f} ms",
            f"{one.cpu_percent:.0f} %",
            *(f"{one.cpu_ms.get(kind, 0.0):.2f}" for kind in kinds),
            *(f"{one.memory_mb.get(kind, 0.0):.0f}" for kind in kinds),
        )
        for one in found
    ]
    return table(heads, rows)


if __name__ == "__main__":
    sys.exit(main())
