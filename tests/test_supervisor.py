import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.three_cameras import socket_folder
from pipeline.config import Config
from pipeline.runtime.local_engine import DataFolderInUseError, data_lock, local_service
from pipeline.runtime.process_table import process_table
from pipeline.runtime.restart_policy import RestartRules
from pipeline.runtime.supervisor import RunOutcome, Supervisor
from pipeline.transport.topics import Endpoints, private_socket_folder
from pipeline.worker import RunInfo, WorkerSpec

PASSWORD = "hunter2"
RULES = RestartRules(
    start_seconds=20.0,
    silence_seconds=1.5,
    restarts=2,
    first_delay_seconds=0.05,
    drain_seconds=8.0,
)


def config() -> Config:
    url = f"rtsp://admin:{PASSWORD}@127.0.0.1:1/stream"
    return Config.model_validate({"cameras": {"front": {"source": {"url": url}}}})


@pytest.fixture
def run_info(tmp_path: Path) -> Iterator[RunInfo]:
    with private_socket_folder() as sockets:
        yield RunInfo(started_ms=1, endpoints=Endpoints.in_folder(sockets), data_folder=tmp_path)


def worker(run: RunInfo, name: str, entry: str, camera: str | None = None) -> WorkerSpec:
    return WorkerSpec(name, f"entries:{entry}", camera, config(), run)


class Running:
    """A supervisor in a thread of its own."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.stop = threading.Event()
        self.outcome: RunOutcome | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.outcome = self.supervisor.run(self.stop)

    def pid(self, name: str) -> int | None:
        return next(s.pid for s in self.supervisor.statuses if s.name == name)

    def phase(self, name: str) -> str:
        return next(s.phase for s in self.supervisor.statuses if s.name == name)

    def get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.supervisor.metrics_port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def metric(self, name: str, **labels: str) -> float:
        for family in text_string_to_metric_families(self.get("/metrics")):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0


@contextmanager
def running(*table: WorkerSpec, rules: RestartRules = RULES) -> Iterator[Running]:
    run = Running(Supervisor(table, rules))
    run.thread.start()
    try:
        yield run
    finally:
        run.stop.set()
        run.thread.join(30)
        assert not run.thread.is_alive()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come to be in time"
        time.sleep(0.02)


def children() -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(status.parent.name))
    return found


def test_killed_worker_is_restarted_and_its_counters_never_decrease(run_info: RunInfo) -> None:
    table = [worker(run_info, "ingest:front", "count", "front"), worker(run_info, "sink", "wait")]
    seen = []

    def received() -> float:
        seen.append(run.metric("vedette_frames_received_total", camera="front"))
        return seen[-1]

    with running(*table) as run:
        until(lambda: run.phase("ingest:front") == "running" and received() > 5)
        first, before = run.pid("ingest:front"), seen[-1]
        until(lambda: run.metric("vedette_camera_up", camera="front") == 1.0)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: run.pid("ingest:front") not in (None, first) and received() >= before)
        until(lambda: run.supervisor.statuses[0].cameras == {"front": "watching"})
        before = received()
        until(lambda: received() > before + 5)
        assert seen == sorted(seen)
        assert run.metric("vedette_worker_restarts_total", worker="ingest:front") == 1.0
    assert run.outcome == RunOutcome({})


def test_silent_worker_is_killed_and_then_given_up(
    run_info: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    rules = RestartRules(start_seconds=1.5, silence_seconds=0.5, restarts=0)
    with running(worker(run_info, "ingest:front", "freeze", "front"), rules=rules) as run:
        run.thread.join(20)
    assert run.outcome is not None
    assert "silent" in run.outcome.failed["ingest:front"]
    assert "ingest:front: killed: silent" in caplog.text


def test_stuck_worker_logs_where_and_is_killed(
    run_info: RunInfo, capfd: pytest.CaptureFixture[str]
) -> None:
    rules = RestartRules(start_seconds=10.0, silence_seconds=1.0, restarts=0)
    impatient = replace(run_info, stuck_seconds=0.2)
    with running(worker(impatient, "ingest:front", "hang", "front"), rules=rules) as run:
        run.thread.join(40)
    assert run.outcome is not None
    assert "silent" in run.outcome.failed["ingest:front"]
    errors = capfd.readouterr().err
    assert "ERROR ingest:front pipeline.runtime.worker_process: stuck for" in errors
    assert "in hang" in errors


def test_crashing_worker_is_given_up_and_the_others_continue(
    run_info: RunInfo, capfd: pytest.CaptureFixture[str]
) -> None:
    table = [
        worker(run_info, "ingest:front", "crash", "front"),
        worker(run_info, "ingest:back", "count", "back"),
        worker(run_info, "sink", "wait"),
    ]
    with running(*table) as run:
        until(lambda: run.phase("ingest:front") == "failed")
        until(lambda: run.phase("ingest:back") == "running")
        assert run.supervisor.statuses[0].cameras["front"].startswith("error: given up")
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            run.get("/readyz")
        assert "ingest:front: failed" in refused.value.read().decode()
        refused.value.close()
        assert run.get("/healthz") == "ok\n"
    assert run.outcome is not None
    assert list(run.outcome.failed) == ["ingest:front"]
    lines = [line for line in capfd.readouterr().err.splitlines() if "ended by" in line]
    assert len(lines) == 1 + RULES.restarts
    assert "ValueError: cannot open rtsp://***@camera/stream" in lines[0]
    written = (run_info.data_folder / "logs" / "ingest-front.log").read_text()
    assert "Traceback" in written
    assert PASSWORD not in written + "".join(lines)


def test_workers_can_be_told_apart_and_count_as_starting_until_they_are_ready(
    run_info: RunInfo,
) -> None:
    table = [worker(run_info, "ingest:front", "prepare", "front"), worker(run_info, "sink", "wait")]
    with running(*table) as run:
        until(lambda: run.phase("sink") == "running")
        received = 'vedette_frames_received_total{camera="front"}'
        until(lambda: received in run.get("/metrics"))
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            run.get("/readyz")
        assert refused.value.read() == b"ingest:front: starting\nsink: running\n"
        refused.value.close()
        process = Path(f"/proc/{run.pid('ingest:front')}")
        assert process.joinpath("comm").read_text() == "ingest:front\n"
        assert process.joinpath("cmdline").read_bytes().split(b"\0")[-2] == b"ingest:front"
        (run_info.data_folder / "prepared").touch()
        until(lambda: run.phase("ingest:front") == "running")
        assert run.get("/readyz") == "ingest:front: running\nsink: running\n"


def test_permanent_error_is_logged_once_and_ends_the_run(
    run_info: RunInfo, capfd: pytest.CaptureFixture[str]
) -> None:
    table = [
        worker(run_info, "ingest:front", "count", "front"),
        worker(run_info, "scorer", "despair"),
    ]
    with running(*table) as run:
        run.thread.join(30)
        assert run.outcome == RunOutcome({"scorer": "cannot work as configured; its log says why"})
    errors = capfd.readouterr().err
    assert errors.count("weights: want a model, got a scene") == 1
    assert "Traceback" not in errors


def test_run_ends_by_itself_when_all_files_are_at_their_end(run_info: RunInfo) -> None:
    table = [worker(run_info, "ingest:front", "finish", "front"), worker(run_info, "sink", "wait")]
    with running(*table) as run:
        run.thread.join(30)
        assert run.outcome == RunOutcome({})
        assert [status.phase for status in run.supervisor.statuses] == ["finished", "finished"]


def test_final_counts_arrive(run_info: RunInfo) -> None:
    table = [
        worker(run_info, "ingest:front", "finish_after", "front"),
        worker(run_info, "sink", "linger"),
    ]
    with running(*table, rules=RestartRules(drain_seconds=3.0)) as run:
        until(lambda: run.phase("sink") == "draining")
        assert run.metric("vedette_frames_received_total", camera="front") == 7.0
    assert run.outcome == RunOutcome({"sink": "did not end in time"})


def test_nothing_is_left_behind(run_info: RunInfo) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    table = [worker(run_info, "ingest:front", "count", "front"), worker(run_info, "sink", "wait")]
    before, children_before = descriptors(), children()
    with running(*table) as run:
        until(lambda: all(s.phase == "running" for s in run.supervisor.statuses))
        pids = {status.pid for status in run.supervisor.statuses}
        assert children() - children_before == pids
        # The specification has a password in it: no other process may read it.
        assert all(PASSWORD not in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
        assert all(PASSWORD not in Path(f"/proc/{pid}/environ").read_text() for pid in pids)
    assert children() == children_before
    assert descriptors() <= before


def test_workers_end_with_their_parent(run_info: RunInfo, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(worker(run_info, "sink", "wait").to_json())
    code = (
        "import sys, time; from pipeline.runtime.process import spawn\n"
        "from pipeline.worker import WorkerSpec\n"
        "print(spawn(WorkerSpec.from_json(open(sys.argv[1]).read())).pid, flush=True)\n"
        "time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(spec)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        log = tmp_path / "logs" / "sink.log"
        until(log.exists)  # it has come as far as its own code
        parent.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state(pid))


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


SERVICE = """
import sys
from pathlib import Path
from pipeline.runtime.signals import stop_on_signals
from pipeline.runtime.supervisor import Supervisor
from pipeline.worker import WorkerSpec

stop = stop_on_signals()
table = [WorkerSpec.from_json(Path(path).read_text()) for path in sys.argv[1:]]
print("started", flush=True)
outcome = Supervisor(table).run(stop)
sys.exit(len(outcome.failed))
"""


def test_interrupt_at_the_terminal_drains_in_order(run_info: RunInfo, tmp_path: Path) -> None:
    paths = []
    for spec in (
        worker(run_info, "ingest:front", "say_end", "front"),
        worker(run_info, "sink", "say_end_too"),
    ):
        paths.append(tmp_path / f"{spec.name}.json")
        paths[-1].write_text(spec.to_json())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, *map(str, paths)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "started\n"
        assert {service.stdout.readline(), service.stdout.readline()} == {
            "ingest:front begins\n",
            "sink begins\n",
        }
        os.killpg(service.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
        assert service.stdout.readline() == "ingest:front ends\n"
        assert service.stdout.readline() == "sink ends\n"
    assert service.returncode == 0


def test_local_service_releases_everything(tmp_path: Path) -> None:
    with local_service(config(), tmp_path / "data") as supervisor:
        sockets = socket_folder(supervisor)
        assert sockets.is_dir()
        assert [status.phase for status in supervisor.statuses] == ["waiting"] * 3
        with (
            pytest.raises(DataFolderInUseError, match="want one service at a time"),
            local_service(config(), tmp_path / "data"),
        ):
            pass
    assert not sockets.exists()
    with data_lock(tmp_path / "data"):
        pass


def test_socket_folder_is_private_and_removed() -> None:
    with private_socket_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "frames").touch()
    assert not folder.exists()


def test_one_service_for_one_data_folder(tmp_path: Path) -> None:
    with (
        data_lock(tmp_path),
        pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"),
        data_lock(tmp_path),
    ):
        pass
    with data_lock(tmp_path):
        pass


def test_table_names_the_workers_in_the_order_of_the_flow(run_info: RunInfo) -> None:
    table = process_table(config(), run_info)
    assert [spec.name for spec in table] == ["ingest:front", "scorer", "sink"]
    assert WorkerSpec.from_json(table[0].to_json()) == table[0]


def test_an_earlier_thread_may_get_the_signal() -> None:
    code = """
import os, signal, threading
from pipeline.runtime.signals import stop_on_signals

older = threading.Thread(target=os.read, args=(os.pipe()[0], 1), daemon=True)
older.start()
hangup = threading.Event()
stop = stop_on_signals(hangup.set)
signal.pthread_kill(older.ident, signal.SIGHUP)
assert hangup.wait(10) and not stop.is_set()
signal.pthread_kill(older.ident, signal.SIGTERM)
assert stop.wait(10)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=30)
