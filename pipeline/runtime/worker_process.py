"""The process of a worker: `python -m pipeline.runtime.worker_process PARENT NAME`.

PARENT is the process id of the parent. NAME is the name of the worker, shown in `ps` and as the
name of the process in `top`. The specification of the worker is read as JSON from standard input.
Log lines go to standard error, and with tracebacks to `logs/<worker>.log` in the data folder.
Exit code 0: the worker returned; 1: it raised; 2: the specification is malformed; 78: it cannot
work as configured, and a restart would not help.
"""

import ctypes
import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from pipeline.runtime.signals import stop_on_signals
from pipeline.telemetry.logs import Redactor, log_uncaught, secrets_of, set_up_logging
from pipeline.telemetry.merging import snapshot
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems
from pipeline.transport.heartbeats import HeartbeatSender
from pipeline.transport.messages import Heartbeat
from pipeline.transport.topics import HEARTBEATS
from pipeline.worker import PermanentError, WorkerContext, WorkerSpec

LOG = logging.getLogger("pipeline.runtime.worker_process")  # `__name__` is "__main__" here
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


class HeartbeatThread:
    """Sends heartbeats from its own thread, and a last one at the end.

    When the worker's loop is stuck, it logs where and stops sending, so the supervisor kills the
    worker.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the final counts and end the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        assert HEARTBEATS.rate_hz is not None
        with HeartbeatSender(self._context.spec.run.endpoints) as sender:
            while not self._stop.is_set():
                stuck_seconds = self._context.watchdog.seconds_since_beat()
                if stuck_seconds > self._context.spec.run.stuck_seconds:
                    LOG.error("stuck for %.0f s; the stack traces follow", stuck_seconds)
                    faulthandler.dump_traceback()
                    return
                sender.send(self._heartbeat())
                self._stop.wait(1.0 / HEARTBEATS.rate_hz)
            sender.send(self._heartbeat())

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            worker=self._context.spec.name,
            pid=os.getpid(),
            incarnation=self._context.incarnation,
            sent_at=time.time(),
            cameras=self._context.cameras.snapshot(),
            problems=self._context.problems.snapshot(),
            metrics=snapshot(self._context.metrics.registry),
            ready=self._context.ready.is_set(),
            learning=self._context.cameras.learning,
        )


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends for any reason.

    Raises:
        ProcessLookupError: the parent has already ended.
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) refused")
    if os.getppid() != parent:  # the parent ended before the call of prctl
        raise ProcessLookupError(f"want parent process {parent}, got {os.getppid()}")


def name_process(name: str) -> None:
    """Set the name of this process for `top` and `ps -o comm`; the kernel keeps 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def resolve(entry: str) -> Callable[[WorkerContext], None]:
    """Import the function that an entry "module:function" names.

    Raises:
        ImportError, AttributeError, ValueError: there is no such function.
    """
    module, colon, name = entry.partition(":")
    if not colon:
        raise ValueError(f"entry: want module:function, got {entry!r}")
    function: Callable[[WorkerContext], None] = getattr(importlib.import_module(module), name)
    return function


def work(spec: WorkerSpec, stop: threading.Event) -> int:
    """Run a worker to its end and return the exit code."""
    metrics = Metrics(CollectorRegistry())
    context = WorkerContext(
        spec,
        stop,
        metrics,
        incarnation=spec.run.incarnation_ms(),
        problems=OngoingProblems(metrics.degraded),
    )
    with HeartbeatThread(context):
        try:
            resolve(spec.entry)(context)
        except PermanentError as error:
            LOG.error("%s", error)
            return os.EX_CONFIG
        except Exception as error:
            LOG.error("ended by %s: %s", type(error).__name__, error, exc_info=True)
            return 1
    return 0


def main() -> int:
    """Read the specification and run the worker."""
    faulthandler.enable()
    die_with_parent(int(sys.argv[1]))
    stop = stop_on_signals()
    try:
        spec = WorkerSpec.from_json(sys.stdin.buffer.read())
    except ValidationError as error:
        # Only the places, never the values: the specification contains passwords.
        places = [".".join(map(str, item["loc"])) for item in error.errors(include_input=False)]
        print(f"worker specification: malformed at {', '.join(places)}", file=sys.stderr)
        return 2
    name_process(spec.name)
    keys = spec.run.endpoints.keys
    redactor = Redactor(
        secrets_of(spec.config.model_dump(mode="json")) | (keys.secrets if keys else set())
    )
    set_up_logging(
        spec.name, redactor, level=spec.run.log_level, folder=spec.run.data_folder / "logs"
    )
    log_uncaught()
    return work(spec, stop)


if __name__ == "__main__":
    sys.exit(main())
