"""When to start, kill, give up and drain workers: facts in, instructions out, no I/O, no clock.

    waiting → starting → running → finished          returned by itself
       ▲          └─────────┴──► lost ──► waiting    crashed or timed out; with growing delay
       ├─────────────────────────┘  └───► failed     too often, or permanent error: given up
       └──────────────────────────────────┘          retried after minutes, or on request
                            running → draining → finished

Workers are drained group by group in the order of the data flow, so that the receivers of a group
still run while it drains. Draining begins when a stop is requested, when all workers that serve
one camera have ended (unless the run is endless, because cameras may be added), or when a worker
that serves all cameras was given up. A run continues without a helper, such as the gateway. The
cause of a failure of an ingest worker or a helper may be temporary: they are retried for the whole
run.
"""

import math
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.telemetry.health import WorkerPhase


@dataclass(frozen=True, slots=True)
class RestartRules:
    """Time limits and numbers of restarts."""

    start_seconds: float = 60.0
    """Heartbeat timeout after a start; longer, because imports are slow."""
    silence_seconds: float = 15.0
    """Heartbeat timeout of a running worker, after which it is killed."""
    restarts: int = 5
    """Restarts within the window, after which a worker is given up."""
    window_seconds: float = 60.0
    first_delay_seconds: float = 0.5
    """Delay before the first restart in a window; doubled for each further one."""
    longest_delay_seconds: float = 10.0
    retry_seconds: float = 300.0
    """Time from giving up a worker to starting it again."""
    drain_seconds: float = 10.0
    """For each group: time from the request to end until the worker is killed."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process for this worker."""

    worker: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the worker to drain and end."""

    worker: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the worker."""

    worker: str
    reason: str


Instruction: TypeAlias = Spawn | Terminate | Kill


@dataclass(slots=True)
class WorkerState:
    """State of one worker; times in seconds of the monotonic clock."""

    phase: WorkerPhase = "waiting"
    due_at: float = 0.0
    """Time of the next start, while waiting or given up; inf: never."""
    deadline: float = 0.0
    """End of the heartbeat timeout; while draining, time at which it is killed."""
    killed: str = ""
    """Why the policy had its process killed; empty once the process has ended."""
    reason: str = ""
    """Why it waits or how it ended; may be empty."""
    restarted_at: deque[float] = field(default_factory=deque)
    restarts: int = 0

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in ("finished", "failed")

    @property
    def alive(self) -> bool:
        """Whether it has a process."""
        return self.phase in ("starting", "running", "draining")


class RestartPolicy:
    """Decides when the workers of one run start and end."""

    def __init__(
        self,
        groups: Sequence[Sequence[str]],
        serving_all: frozenset[str],
        rules: RestartRules,
        helpers: frozenset[str] = frozenset(),
        endless: bool = False,
    ) -> None:
        """Plan a run.

        Args:
            groups: Names of the workers, in the order of draining; ingest workers come first.
            serving_all: Workers that serve all cameras; the run ends without them.
            rules: Time limits and numbers of restarts.
            helpers: Workers that serve no camera; the run continues without them.
            endless: Continue when all ingest workers have ended.
        """
        self.workers = {name: WorkerState() for group in groups for name in group}
        self._groups = [list(group) for group in groups]
        self._serving_all = serving_all
        self._helpers = helpers
        self._endless = endless
        self._rules = rules
        self._draining: int | None = None

    @property
    def over(self) -> bool:
        """Whether everything has ended and nothing will be started again."""
        return self._draining == len(self._groups)

    def spawned(self, worker: str, now: float) -> None:
        """Note that a process was started."""
        state = self.workers[worker]
        if state.phase == "failed":
            state.restarts += 1
        state.phase = "starting"
        state.deadline = now + self._rules.start_seconds

    def heartbeat_received(self, worker: str, now: float, *, ready: bool = True) -> None:
        """Note a heartbeat of the current process.

        Args:
            worker: Name of the worker.
            now: Seconds of the monotonic clock.
            ready: Whether the worker has finished its preparation.
        """
        state = self.workers[worker]
        if state.phase == "starting" and ready:
            state.phase, state.reason = "running", ""
        if state.phase in ("starting", "running"):
            state.deadline = max(state.deadline, now + self._rules.silence_seconds)

    def exited(self, worker: str, code: int, now: float) -> None:
        """Note that the process has ended; the code is negative for a signal."""
        state = self.workers[worker]
        how, state.killed = state.killed or _cause(code), ""
        if state.phase == "draining":
            # A process that has not installed its handlers yet is ended by the signal itself.
            clean = code in (0, -signal.SIGTERM)
            state.phase, state.reason = ("finished", "") if clean else ("failed", how)
            state.due_at = math.inf
        elif code == 0 and worker not in self._serving_all | self._helpers:
            state.phase, state.reason = "finished", ""
        elif code == os.EX_CONFIG:
            self._give_up(worker, "cannot work as configured; its log says why", now)
        else:
            self._crashed(worker, how, now)

    def _give_up(self, worker: str, reason: str, now: float) -> None:
        state, retry_seconds = self.workers[worker], self._rules.retry_seconds
        state.phase, state.reason, state.due_at = "failed", reason, math.inf
        if worker not in self._serving_all:
            state.due_at = now + retry_seconds
            state.reason += f"; retried every {retry_seconds:g} s"

    def _crashed(self, worker: str, how: str, now: float) -> None:
        state = self.workers[worker]
        rules = self._rules
        while state.restarted_at and now - state.restarted_at[0] > rules.window_seconds:
            state.restarted_at.popleft()
        if len(state.restarted_at) >= rules.restarts:
            many = f"{rules.restarts} restarts in {rules.window_seconds:g} s"
            self._give_up(worker, f"given up after {many}: {how}", now)
            return
        delay = rules.first_delay_seconds * 2.0 ** len(state.restarted_at)
        state.restarted_at.append(now)
        state.restarts += 1
        state.phase, state.reason = "waiting", how
        state.due_at = now + min(delay, rules.longest_delay_seconds)

    def stop(self) -> None:
        """Begin to drain; idempotent."""
        if self._draining is None:
            self._draining = 0

    @property
    def stopping(self) -> bool:
        """Whether the whole run is draining."""
        return self._draining is not None

    def add(self, worker: str) -> None:
        """Add an ingest worker."""
        self.workers[worker] = WorkerState()
        self._groups[0].append(worker)

    def retry(self, worker: str, now: float) -> None:
        """Start a worker again at once if it was given up; no effect on other workers."""
        state = self.workers.get(worker)
        if state is not None and state.phase == "failed" and not self.stopping:
            state.restarted_at.clear()
            state.due_at = now

    def retire(self, worker: str, now: float) -> list[Instruction]:
        """Drain an ingest worker; idempotent."""
        state = self.workers[worker]
        state.due_at = math.inf
        if state.phase == "waiting":
            state.phase = "finished"
        return self._terminate(worker, now)

    def remove(self, worker: str) -> None:
        """Remove an ingest worker that has ended for good."""
        del self.workers[worker]
        self._groups[0].remove(worker)

    def decide(self, now: float) -> list[Instruction]:
        """Instructions for now; `Spawn` is repeated until `spawned` or `exited` is called."""
        if self._nothing_to_watch():
            self.stop()
        return [*self._drain(now), *self._watch(now)]

    def _nothing_to_watch(self) -> bool:
        others = self._serving_all | self._helpers
        cameras = [state for name, state in self.workers.items() if name not in others]
        lost = any(self.workers[name].phase == "failed" for name in self._serving_all)
        return lost or (not self._endless and all(state.over for state in cameras))

    def _drain(self, now: float) -> Iterator[Instruction]:
        while self._draining is not None and not self.over:
            group = self._groups[self._draining]
            for worker in group:
                state = self.workers[worker]
                if state.phase == "waiting":
                    state.phase = "finished"
                yield from self._terminate(worker, now)
            if not all(self.workers[worker].over for worker in group):
                return
            self._draining += 1

    def _terminate(self, worker: str, now: float) -> list[Instruction]:
        state = self.workers[worker]
        if state.phase not in ("starting", "running"):
            return []
        state.phase = "draining"
        state.deadline = now + self._rules.drain_seconds
        return [Terminate(worker)]

    def _watch(self, now: float) -> Iterator[Instruction]:
        for worker, state in self.workers.items():
            retries = state.phase == "failed" and not self.stopping
            if (retries or state.phase == "waiting") and now >= state.due_at:
                yield Spawn(worker)
            elif state.alive and not state.killed and now >= state.deadline:
                state.killed = "did not end in time" if state.phase == "draining" else "silent"
                yield Kill(worker, state.killed)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
