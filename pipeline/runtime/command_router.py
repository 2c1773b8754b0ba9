"""Route commands: execute those of the supervisor, forward those of the workers.

No sockets and no processes: messages in, messages out. A command for a worker (adapt, annotate) is
forwarded as a request with a new id, and the worker's answer is returned to the client.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from pipeline.config import Config, ConfigError
from pipeline.runtime.camera_registry import (
    CameraRegistry,
    RefusedError,
    RegistryCommand,
    ReloadDifference,
    difference,
    view,
)
from pipeline.runtime.process_table import ingest_name
from pipeline.telemetry.health import (
    WorkerPhase,
    WorkerStatus,
    camera_learning,
    camera_statuses,
)
from pipeline.telemetry.stage_latencies import StageLatency
from pipeline.transport.commands import (
    AcceptAsNormal,
    AcceptRecurring,
    AdaptCamera,
    Annotate,
    Attach,
    Change,
    Command,
    CommandError,
    Detach,
    GetLatencies,
    GetOverview,
    GetPicture,
    GetTargetScores,
    ListScenes,
    Reload,
    Restore,
    RevokeNormal,
    SetEnabled,
    SetTarget,
    SetThreshold,
    read_command,
)
from pipeline.transport.messages import Answer, Request

LOG = logging.getLogger(__name__)
RoutedMessage: TypeAlias = tuple[bytes, Request | Answer]
"""Identity of the receiver, and the message."""
_MAX_PENDING = 256


@dataclass(frozen=True, slots=True)
class _PendingRequest:
    """A request that was forwarded to a worker and is not yet answered."""

    client: bytes
    request: Request


class CommandRouter:
    """Holds the registry of cameras and answers requests."""

    def __init__(
        self,
        registry: CameraRegistry,
        save: Callable[[CameraRegistry], None],
        read_file: Callable[[], Config] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a router.

        Args:
            registry: All cameras.
            save: Stores the changes made at run time; raises OSError.
            read_file: Reads the configuration again; raises ConfigError. None: there is no file.
            clock: Monotonic seconds.
        """
        self._registry = registry
        self._save = save
        self._read_file = read_file
        self._clock = clock
        self._pending: dict[str, _PendingRequest] = {}
        self._retries: set[str] = set()
        self.stage_latencies: Callable[[], list[StageLatency]] = list
        """Returns the latency of each stage; set by the supervisor."""

    @property
    def registry(self) -> CameraRegistry:
        """All cameras, the desired state."""
        return self._registry

    def handle(
        self,
        sender: bytes,
        message: Request | Answer,
        workers: tuple[WorkerStatus, ...],
        stopping: bool = False,
    ) -> list[RoutedMessage]:
        """Handle a message and return the messages to send.

        Args:
            sender: Identity of the sender.
            message: A request of a client, or an answer of a worker.
            workers: Statuses of the workers.
            stopping: Whether the service is draining: changes are refused.
        """
        if isinstance(message, Answer):
            pending = self._pending.pop(message.id, None)
            return (
                [] if pending is None else [(pending.client, _renamed(message, pending.request.id))]
            )
        if self._clock() >= message.deadline:
            return []
        try:
            command = read_command(message.command, message.arguments)
            if stopping and not isinstance(command, GetOverview | GetLatencies):
                raise RefusedError("unavailable", "the service is stopping")
            worker = _executor(command)
            if worker is not None:
                return [self._forward(sender, message, command, worker, workers)]
            answer = Answer(message.id, "ok", self._execute(command, workers))
        except CommandError as error:
            answer = Answer(message.id, "invalid", problem=str(error))
        except ConfigError as error:
            answer = Answer(message.id, "invalid", problem=str(error))
        except RefusedError as error:
            answer = Answer(message.id, error.status, problem=str(error))
        except OSError as error:
            LOG.error("changes made at run time could not be stored: %s", error)
            answer = Answer(message.id, "failed", problem=f"cannot be stored: {error.strerror}")
        return [(sender, answer)]

    def pop_retries(self) -> set[str]:
        """Return the failed workers that a command asked to start again, and clear the set."""
        retries, self._retries = self._retries, set()
        return retries

    def reload(self) -> ReloadDifference:
        """Read the configuration file again and apply it.

        Raises:
            ConfigError: it cannot be used; nothing changes.
            RefusedError: there is no file.
        """
        if self._read_file is None:
            raise RefusedError("conflict", "the service was started without a configuration file")
        file = self._read_file()
        registry = self._registry.reloaded(file)
        change = difference(self._registry, registry, file)
        self._registry = registry
        LOG.info("configuration read again: %s", change.in_words)
        return change

    def _execute(self, command: Command, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        match command:
            case GetOverview():
                return self.overview(workers)
            case GetLatencies():
                return {"stages": [asdict(one) for one in self.stage_latencies()]}
            case Reload():
                return asdict(self.reload())
            case Attach() | Change() | Detach() | SetEnabled() | SetThreshold() | SetTarget():
                registry = self._registry.after(command)
                phase = self._phase_if_enabled(command.name, workers)
                if isinstance(command, SetEnabled) and command.enabled and phase == "finished":
                    raise RefusedError(
                        "conflict",
                        f"camera {command.name}: is enabled and its recording has ended; set "
                        "`source.loop: true` or restart the service to watch it again",
                    )
                self._save(registry)
                self._registry = registry
                LOG.info("camera %s: %s", command.name, _DONE[type(command)])
                if isinstance(command, Detach):
                    return {}
                if isinstance(command, SetEnabled) and command.enabled and phase == "failed":
                    self._retries.add(ingest_name(command.name))
                    return view(registry, command.name, "starting")
                return self._view(command.name, workers)
            case _:
                raise RefusedError("invalid", f"{command.command}: not supported")

    def _forward(
        self,
        client: bytes,
        request: Request,
        command: Command,
        worker: str,
        workers: tuple[WorkerStatus, ...],
    ) -> RoutedMessage:
        # Events remain when their camera is removed.
        if not isinstance(command, Annotate | AcceptAsNormal | RevokeNormal) and hasattr(
            command, "name"
        ):
            self._registry.origin(command.name)
        if isinstance(command, AdaptCamera):
            self._require_frames(command.name, workers)
        if not any(one.name == worker and one.phase == "running" for one in workers):
            raise RefusedError("unavailable", f"the {worker} is not running; try again")
        now = self._clock()
        self._pending = {id: one for id, one in self._pending.items() if one.request.deadline > now}
        if len(self._pending) >= _MAX_PENDING:
            raise RefusedError("unavailable", f"want at most {_MAX_PENDING} commands at a time")
        forwarded = replace(request, id=secrets.token_hex(8))
        self._pending[forwarded.id] = _PendingRequest(client, request)
        return worker.encode(), forwarded

    def _phase_if_enabled(
        self, camera: str, workers: tuple[WorkerStatus, ...]
    ) -> WorkerPhase | None:
        """Phase of the ingest worker of an enabled camera; None: there is none."""
        now = self._registry.cameras.get(camera)
        if now is None or not now.enabled:
            return None
        name = ingest_name(camera)
        return next((one.phase for one in workers if one.name == name), None)

    def _require_frames(self, camera: str, workers: tuple[WorkerStatus, ...]) -> None:
        """Refuse a command that needs frames if the camera will deliver none."""
        state, _, reason = self.states(workers).get(camera, "").partition(": ")
        if state in ("disabled", "ended", "error"):
            why = f" ({reason})" if reason else ""
            raise RefusedError(
                "conflict",
                f"camera {camera}: want a camera whose frames arrive, got one that is {state}{why}",
            )

    def overview(self, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        """Describe all cameras and workers."""
        names = [*self._registry.file.cameras, *self._registry.attached]
        return {
            "cameras": [self._view(name, workers) for name in names],
            "workers": [
                {
                    "name": one.name,
                    "phase": one.phase,
                    "pid": one.pid,
                    "restarts": one.restarts,
                    "reason": one.reason,
                    "degraded": one.degraded,
                }
                for one in workers
            ],
        }

    def states(self, workers: tuple[WorkerStatus, ...]) -> dict[str, str]:
        """State of each camera, optionally followed by ": reason".

        Args:
            workers: Statuses of the workers.
        """
        reported = camera_statuses(workers)
        states = {
            name: reported.get(name, "starting") if camera.enabled else "disabled"
            for name, camera in self._registry.cameras.items()
        }
        unusable = self._registry.unusable.items()
        return {**states, **{name: f"error: {reason}" for name, reason in unusable}}

    def _view(self, name: str, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        learning = None
        camera = self._registry.cameras.get(name)
        if camera is None or camera.enabled:
            learning = camera_learning(workers, name)
        status = self.states(workers).get(name, "starting")
        return {**view(self._registry, name, status), "learning": learning}


_DONE: dict[type[RegistryCommand], str] = {
    Attach: "attached",
    Change: "changed",
    Detach: "detached",
    SetEnabled: "enabled or disabled",
    SetThreshold: "threshold changed",
    SetTarget: "target rate of false alarms changed",
}


def _executor(command: Command) -> str | None:
    """Name of the worker that executes a command; None: the supervisor itself."""
    if isinstance(
        command,
        AdaptCamera
        | ListScenes
        | Restore
        | GetPicture
        | GetTargetScores
        | AcceptAsNormal
        | AcceptRecurring
        | RevokeNormal,
    ):
        return "scorer"
    return "sink" if isinstance(command, Annotate) else None


def _renamed(answer: Answer, id: str) -> Answer:
    return replace(answer, id=id)
