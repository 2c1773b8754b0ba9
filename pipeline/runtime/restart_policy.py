"""When to start, kill, give up and drain workers: facts in, instructions out, no I/O, no clock.

    waiting → starting → running → finished          returned by itself
       ▲          └─────────┴──► dead ──► waiting    crashed or fell silent; later and later
       ├─────────────────────────┘  └───► failed     too often, or in vain: given up
       └──────────────────────────────────┘          tried again after minutes, or when asked to
                            running → draining → finished

Workers are drained group by group in the order of the flow, so that each group still has somebody
to hand its work to. That begins when a stop is asked for, when all workers that serve one camera
have ended (unless the run is endless, as more cameras may come), or when a worker that serves all
cameras was given up. A helper, such as the gateway, may be missing. What made a worker of one
camera or a helper fail may pass: they are tried again as long as the run goes on.
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
    """How patient the supervisor is."""

    start_seconds: float = 60.0
    """Grace after a start, in which silence is not held against a worker: imports are slow."""
    silence_seconds: float = 15.0
    """Without a heartbeat for so long, a worker is killed."""
    restarts: int = 5
    """Restarts within the window, after which a worker is given up."""
    window_seconds: float = 60.0
    first_delay_seconds: float = 0.5
    """Before the first restart in a window; doubled for each further one."""
    longest_delay_seconds: float = 10.0
    retry_seconds: float = 300.0
    """From giving a worker up to trying it again."""
    drain_seconds: float = 10.0
    """For each group: from being asked to end, to being killed."""


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
    """End the worker at once."""

    worker: str
    reason: str


Instruction: TypeAlias = Spawn | Terminate | Kill


@dataclass(slots=True)
class WorkerState:
    """What is known of one worker."""

    phase: WorkerPhase = "waiting"
    due_at: float = 0.0
    """When to start it, while waiting; when to try it again, once given up; inf: never."""
    quiet_until: float = 0.0
    """When it will have been silent for too long; in draining, when it will be killed."""
    killed: str = ""
    """Why its process was killed by us, until it is gone."""
    reason: str = ""
    """Why it waits, or how it ended, where there is something to say."""
    restarted_at: deque[float] = field(default_factory=deque)
    restarts: int = 0

    @property
    def over(self) -> bool:
        """Ended for good."""
        return self.phase in ("finished", "failed")

    @property
    def alive(self) -> bool:
        """Has a process."""
        return self.phase in ("starting", "running", "draining")


class RestartPolicy:
    """Decides for all workers of one run."""

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
            groups: Names of the workers, in the order in which they are drained; those of cameras
                come first.
            serving_all: Those that serve all cameras; the run cannot go on without them.
            rules: How patient to be.
            helpers: Those that serve no camera; the run goes on without them.
            endless: Go on when all that serve a camera have ended.
        """
        self.lives = {name: WorkerState() for group in groups for name in group}
        self._groups = [list(group) for group in groups]
        self._serving_all = serving_all
        self._helpers = helpers
        self._endless = endless
        self._rules = rules
        self._draining: int | None = None

    @property
    def over(self) -> bool:
        """Everything has ended, and nothing will be started again."""
        return self._draining == len(self._groups)

    def spawned(self, worker: str, now: float) -> None:
        """A process was started."""
        life = self.lives[worker]
        if life.phase == "failed":
            life.restarts += 1
        life.phase = "starting"
        life.quiet_until = now + self._rules.start_seconds

    def heard(self, worker: str, now: float, *, ready: bool = True) -> None:
        """A heartbeat of the present process came.

        Args:
            worker: Of which worker.
            now: When.
            ready: Whether it says that it does its work, and is not preparing to.
        """
        life = self.lives[worker]
        if life.phase == "starting" and ready:
            life.phase, life.reason = "running", ""
        if life.phase in ("starting", "running"):
            life.quiet_until = max(life.quiet_until, now + self._rules.silence_seconds)

    def exited(self, worker: str, code: int, now: float) -> None:
        """The process is gone; the code is negative for a signal."""
        life = self.lives[worker]
        how, life.killed = life.killed or _cause(code), ""
        if life.phase == "draining":
            # One that had not yet come to listen for signals ends by the signal itself.
            clean = code in (0, -signal.SIGTERM)
            life.phase, life.reason = ("finished", "") if clean else ("failed", how)
            life.due_at = math.inf
        elif code == 0 and worker not in self._serving_all | self._helpers:
            life.phase, life.reason = "finished", ""
        elif code == os.EX_CONFIG:
            self._give_up(worker, "cannot work as configured; its log says why", now)
        else:
            self._crashed(worker, how, now)

    def _give_up(self, worker: str, reason: str, now: float) -> None:
        life, again_seconds = self.lives[worker], self._rules.retry_seconds
        life.phase, life.reason, life.due_at = "failed", reason, math.inf
        if worker not in self._serving_all:
            life.due_at = now + again_seconds
            life.reason += f"; tried again every {again_seconds:g} s"

    def _crashed(self, worker: str, how: str, now: float) -> None:
        life = self.lives[worker]
        rules = self._rules
        while life.restarted_at and now - life.restarted_at[0] > rules.window_seconds:
            life.restarted_at.popleft()
        if len(life.restarted_at) >= rules.restarts:
            many = f"{rules.restarts} restarts in {rules.window_seconds:g} s"
            self._give_up(worker, f"given up after {many}: {how}", now)
            return
        delay = rules.first_delay_seconds * 2.0 ** len(life.restarted_at)
        life.restarted_at.append(now)
        life.restarts += 1
        life.phase, life.reason = "waiting", how
        life.due_at = now + min(delay, rules.longest_delay_seconds)

    def stop(self) -> None:
        """Begin to drain; asking again changes nothing."""
        if self._draining is None:
            self._draining = 0

    @property
    def stopping(self) -> bool:
        """The whole run is being drained."""
        return self._draining is not None

    def add(self, worker: str) -> None:
        """One more worker that serves one camera."""
        self.lives[worker] = WorkerState()
        self._groups[0].append(worker)

    def retry(self, worker: str, now: float) -> None:
        """Try a worker that was given up again at once; of others nothing is wanted."""
        life = self.lives.get(worker)
        if life is not None and life.phase == "failed" and not self.stopping:
            life.restarted_at.clear()
            life.due_at = now

    def retire(self, worker: str, now: float) -> list[Instruction]:
        """Drain one worker that serves one camera; asking again changes nothing."""
        life = self.lives[worker]
        life.due_at = math.inf
        if life.phase == "waiting":
            life.phase = "finished"
        return self._ask_to_end(worker, now)

    def forget(self, worker: str) -> None:
        """A worker that has ended for good leaves the table."""
        del self.lives[worker]
        self._groups[0].remove(worker)

    def decide(self, now: float) -> list[Instruction]:
        """What to do now; a worker is to be spawned until `spawned` or `exited` is told."""
        if self._nothing_to_watch():
            self.stop()
        return [*self._drain(now), *self._oversee(now)]

    def _nothing_to_watch(self) -> bool:
        others = self._serving_all | self._helpers
        cameras = [life for name, life in self.lives.items() if name not in others]
        lost = any(self.lives[name].phase == "failed" for name in self._serving_all)
        return lost or (not self._endless and all(life.over for life in cameras))

    def _drain(self, now: float) -> Iterator[Instruction]:
        while self._draining is not None and not self.over:
            group = self._groups[self._draining]
            for worker in group:
                life = self.lives[worker]
                if life.phase == "waiting":
                    life.phase = "finished"
                yield from self._ask_to_end(worker, now)
            if not all(self.lives[worker].over for worker in group):
                return
            self._draining += 1

    def _ask_to_end(self, worker: str, now: float) -> list[Instruction]:
        life = self.lives[worker]
        if life.phase not in ("starting", "running"):
            return []
        life.phase = "draining"
        life.quiet_until = now + self._rules.drain_seconds
        return [Terminate(worker)]

    def _oversee(self, now: float) -> Iterator[Instruction]:
        for worker, life in self.lives.items():
            lost = life.phase == "failed" and not self.stopping
            if (lost or life.phase == "waiting") and now >= life.due_at:
                yield Spawn(worker)
            elif life.alive and not life.killed and now >= life.quiet_until:
                life.killed = "did not end in time" if life.phase == "draining" else "silent"
                yield Kill(worker, life.killed)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
