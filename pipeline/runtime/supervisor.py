"""The parent process: starts the workers, watches heartbeats, restarts, drains, serves metrics.

Its decisions are made in restart_policy.py and reconciler.py; it never imports torch. Other
threads may read `statuses`, and any process of the run may subscribe to the live topic.
"""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

from pipeline.config import ConfigError
from pipeline.runtime.camera_registry import RefusedError
from pipeline.runtime.command_router import CommandRouter
from pipeline.runtime.metrics_server import MetricsServer
from pipeline.runtime.process import kill_all, spawn
from pipeline.runtime.reconciler import Reconciler
from pipeline.runtime.reports import Reports
from pipeline.runtime.restart_policy import (
    Instruction,
    Kill,
    RestartPolicy,
    RestartRules,
    Spawn,
    Terminate,
)
from pipeline.telemetry.health import WorkerStatus, degradations, readiness
from pipeline.transport.control import ControlServer
from pipeline.transport.heartbeats import HeartbeatReceiver
from pipeline.transport.messages import RevisionAck
from pipeline.transport.ports import wait
from pipeline.worker import RunInfo, WorkerSpec

LOG = logging.getLogger(__name__)
TICK_SECONDS = 0.1
STUCK_SECONDS = 10.0
"""Time without a tick after which `/healthz` reports that the supervisor is stuck."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Result of a run."""

    failed: dict[str, str]
    """Workers that were given up or did not drain → why; empty after a good run."""


class Supervisor:
    """Runs the workers of one process table."""

    def __init__(
        self,
        table: Sequence[WorkerSpec],
        rules: RestartRules | None = None,
        metrics_address: tuple[str, int] | None = ("127.0.0.1", 0),
        clock: Callable[[], float] = time.monotonic,
        router: CommandRouter | None = None,
        reload: threading.Event | None = None,
    ) -> None:
        """Plan a run.

        Args:
            table: At least one worker, in the order of draining; workers with the same entry are
                adjacent.
            rules: Time limits and numbers of restarts; None: the defaults.
            metrics_address: Host and port of the HTTP server; port 0: any free one; None: no
                server.
            clock: Monotonic seconds.
            router: Handles commands and holds the desired cameras; None: the cameras of the table
                never change.
            reload: Set to request that the configuration file is read again.
        """
        self.run_info: RunInfo = table[0].run
        self._router = router
        self._reconciler = Reconciler(table)
        self._reload = reload or threading.Event()
        # Ingest workers come first; there may be none.
        cameras = [spec.name for spec in table if spec.camera is not None]
        others = groupby((spec for spec in table if spec.camera is None), lambda s: s.entry)
        self._policy = RestartPolicy(
            [cameras, *([spec.name for spec in group] for _, group in others)],
            frozenset(spec.name for spec in table if spec.camera is None and not spec.helper),
            rules or RestartRules(),
            helpers=frozenset(spec.name for spec in table if spec.helper),
            endless=table[0].config.api.enabled,
        )
        self._clock = clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._reports = Reports(spec.name for spec in table)
        if router is not None:
            router.stage_latencies = self._reports.stage_latencies
        self._server = (
            MetricsServer(
                *metrics_address,
                self._reports.registry,
                self._alive,
                self._ready,
                lambda: degradations(self.statuses),
            )
            if metrics_address
            else None
        )
        self._ticked_at = clock()
        self._publish()

    @property
    def statuses(self) -> tuple[WorkerStatus, ...]:
        """Statuses of the workers and their cameras; may be read from any thread."""
        return self._reports.statuses

    @property
    def metrics_port(self) -> int | None:
        """Port of the HTTP server while `run` runs; None without a server."""
        return self._server.port if self._server else None

    def run(self, stop: threading.Event) -> RunOutcome:
        """Run until all workers have ended, or `stop` is set and all workers are drained.

        Raises:
            OSError: the address of the metrics server is in use.
            zmq.ZMQError: the sockets cannot be opened.
        """
        with ExitStack() as stack:
            heartbeats = stack.enter_context(HeartbeatReceiver(self.run_info.endpoints))
            control = stack.enter_context(ControlServer(self.run_info.endpoints))
            if self._server:
                stack.enter_context(self._server)
                LOG.info("metrics on port %d", self._server.port)
            stack.callback(lambda: kill_all([*self._children.values()]))
            while not self._policy.over:
                # Ended processes are reaped after the next receive, which gets their last
                # heartbeats.
                gone = [name for name, child in self._children.items() if child.poll() is not None]
                self._receive(heartbeats, control)
                self._reap(gone)
                if stop.is_set():
                    self._policy.stop()
                self._reload_configuration()
                self._reconcile_cameras(control)
                self._execute(self._policy.decide(self._clock()))
                self._publish()
        workers = self._policy.workers.items()
        return RunOutcome({name: one.reason for name, one in workers if one.phase == "failed"})

    def _reload_configuration(self) -> None:
        if not self._reload.is_set():
            return
        self._reload.clear()
        if self._router is None:
            return
        try:
            self._router.reload()
        except (ConfigError, RefusedError) as error:
            LOG.error("configuration not reloaded, nothing changes: %s", error)

    def _reconcile_cameras(self, control: ControlServer) -> None:
        """Start and end ingest workers as the registry demands; the others are not affected."""
        if self._router is None or self._policy.stopping:
            return
        workers = self._policy.workers
        changes = self._reconciler.reconcile(
            self._router.registry.config, lambda name: workers[name].over
        )
        for name in changes.remove:
            self._policy.remove(name)
            self._reports.remove(name)
        for name in changes.retire:
            self._execute(self._policy.retire(name, self._clock()))
        for name in self._reconciler.servers if changes.publish else ():
            control.send(name.encode(), self._reconciler.table)
        for name in changes.add:
            self._reports.add(name)
            self._policy.add(name)

    def _serve(self, control: ControlServer) -> None:
        for sender, message in control.poll(0.0):
            if isinstance(message, RevisionAck):
                if self._reconciler.acknowledged(message.worker, message.revision):
                    control.send(sender, self._reconciler.table)
            elif self._router is not None:
                stopping = self._policy.stopping
                answers = self._router.handle(sender, message, self.statuses, stopping)
                for to, answer in answers:
                    control.send(to, answer)
                for worker in self._router.pop_retries():
                    self._policy.retry(worker, self._clock())

    def _receive(self, heartbeats: HeartbeatReceiver, control: ControlServer) -> None:
        """Receive heartbeats and commands for one tick."""
        until = self._clock() + TICK_SECONDS
        while (left := until - self._clock()) > 0:
            wait(left, heartbeats, control)
            self._serve(control)
            for beat in heartbeats.poll(0.0):
                child = self._children.get(beat.worker)
                if child is None or child.pid != beat.pid:
                    continue  # from an earlier process of this worker, reaped already
                self._policy.heartbeat_received(beat.worker, self._clock(), ready=beat.ready)
                self._reports.receive(beat)

    def _reap(self, gone: Sequence[str]) -> None:
        for name in gone:
            code = self._children.pop(name).wait()
            self._policy.exited(name, code, self._clock())
            self._reports.ended(name)
            state = self._policy.workers[name]
            if state.phase == "failed":
                LOG.error("%s: %s", name, state.reason)
            elif state.phase == "waiting":
                LOG.warning("%s: ended unexpectedly (%s), restarting", name, state.reason)
            else:
                LOG.info("%s: finished", name)

    def _execute(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            name = instruction.worker
            match instruction:
                case Spawn():
                    self._spawn(name)
                case Terminate():
                    self._children[name].send_signal(signal.SIGTERM)
                case Kill(reason=reason):
                    LOG.warning("%s: killed: %s", name, reason)
                    self._children[name].kill()

    def _spawn(self, name: str) -> None:
        state = self._policy.workers[name]
        if state.phase == "failed":
            LOG.info("%s: was given up, starting it again", name)
        if state.restarts or state.phase == "failed":
            self._reports.restarted(name)
        try:
            self._children[name] = spawn(self._reconciler.specs[name])
        except OSError as error:
            LOG.error("%s: cannot be started: %s", name, error)
            self._policy.exited(name, 127, self._clock())
        else:
            self._policy.spawned(name, self._clock())
            self._reconciler.spawned(name)

    def _publish(self) -> None:
        self._ticked_at = self._clock()
        self._reports.update(
            self._reconciler.specs.values(),
            self._policy.workers,
            {name: child.pid for name, child in self._children.items()},
            None if self._router is None else self._router.states,
        )

    def _alive(self) -> bool:
        return self._clock() - self._ticked_at < STUCK_SECONDS

    def _ready(self) -> tuple[bool, str]:
        return readiness(self.statuses)
