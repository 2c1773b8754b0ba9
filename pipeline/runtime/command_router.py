"""Where commands arrive: the supervisor's part of them is done here, the rest is passed on.

No socket and no process: messages in, messages out. What a worker has to do (adapt, annotate) is
sent to it as a request of our own, and its answer goes back to whoever asked.
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
    GetOverview,
    GetPicture,
    ListScenes,
    Reload,
    Restore,
    RevokeNormal,
    SetEnabled,
    SetThreshold,
    read_command,
)
from pipeline.transport.messages import Answer, Request

LOG = logging.getLogger(__name__)
RoutedMessage: TypeAlias = tuple[bytes, Request | Answer]
"""Identity of the receiver, and what it gets."""
_MOST_ERRANDS = 256


@dataclass(frozen=True, slots=True)
class _PendingRequest:
    """A request that was passed on."""

    client: bytes
    request: Request


class CommandRouter:
    """Keeps the registry, and answers for it."""

    def __init__(
        self,
        registry: CameraRegistry,
        keep: Callable[[CameraRegistry], None],
        read_file: Callable[[], Config] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the router.

        Args:
            registry: All cameras.
            keep: Writes what was done at run time; raises OSError.
            read_file: Reads the configuration again; raises ConfigError. None: there is no file.
            clock: Monotonic seconds.
        """
        self._registry = registry
        self._keep = keep
        self._read_file = read_file
        self._clock = clock
        self._errands: dict[str, _PendingRequest] = {}
        self._retries: set[str] = set()

    @property
    def registry(self) -> CameraRegistry:
        """All cameras as they shall be."""
        return self._registry

    def take(
        self,
        sender: bytes,
        message: Request | Answer,
        workers: tuple[WorkerStatus, ...],
        stopping: bool = False,
    ) -> list[RoutedMessage]:
        """Do what a message wants.

        Args:
            sender: Its identity.
            message: What came.
            workers: How they are.
            stopping: Whether the service is being drained: nothing is changed any more.
        """
        if isinstance(message, Answer):
            pending = self._errands.pop(message.id, None)
            return (
                [] if pending is None else [(pending.client, _renamed(message, pending.request.id))]
            )
        if self._clock() >= message.deadline:
            return []
        try:
            command = read_command(message.command, message.arguments)
            if stopping and not isinstance(command, GetOverview):
                raise RefusedError("unavailable", "the service is stopping")
            worker = _performer(command)
            if worker is not None:
                return [self._pass_on(sender, message, command, worker, workers)]
            answer = Answer(message.id, "ok", self._do(command, workers))
        except CommandError as error:
            answer = Answer(message.id, "invalid", problem=str(error))
        except ConfigError as error:
            answer = Answer(message.id, "invalid", problem=str(error))
        except RefusedError as error:
            answer = Answer(message.id, error.status, problem=str(error))
        except OSError as error:
            LOG.error("what was done at run time could not be kept: %s", error)
            answer = Answer(message.id, "failed", problem=f"cannot be kept: {error.strerror}")
        return [(sender, answer)]

    def take_retries(self) -> set[str]:
        """Workers that were given up and that somebody wants to be tried again; each once."""
        retries, self._retries = self._retries, set()
        return retries

    def reload(self) -> ReloadDifference:
        """Read the configuration file again, and go by it.

        Raises:
            ConfigError: it cannot be used; everything stays as it was.
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

    def _do(self, command: Command, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        match command:
            case GetOverview():
                return self.overview(workers)
            case Reload():
                return asdict(self.reload())
            case Attach() | Change() | Detach() | SetEnabled() | SetThreshold():
                registry = self._registry.after(command)
                phase = self._phase_if_enabled(command.name, workers)
                if isinstance(command, SetEnabled) and command.enabled and phase == "finished":
                    raise RefusedError(
                        "conflict",
                        f"camera {command.name}: is enabled, and its recording has ended; want "
                        "`source.loop: true`, or a restart of the service, to watch it again",
                    )
                self._keep(registry)
                self._registry = registry
                LOG.info("camera %s: %s", command.name, _DONE[type(command)])
                if isinstance(command, Detach):
                    return {}
                if isinstance(command, SetEnabled) and command.enabled and phase == "failed":
                    self._retries.add(ingest_name(command.name))
                    return view(registry, command.name, "starting")
                return self._view(command.name, workers)
            case _:
                raise RefusedError("invalid", f"{command.command}: nobody serves it")

    def _pass_on(
        self,
        client: bytes,
        request: Request,
        command: Command,
        worker: str,
        workers: tuple[WorkerStatus, ...],
    ) -> RoutedMessage:
        # Events outlive their cameras.
        if not isinstance(command, Annotate | AcceptAsNormal | RevokeNormal) and hasattr(
            command, "name"
        ):
            self._registry.origin(command.name)
        if isinstance(command, AdaptCamera):
            self._want_frames(command.name, workers)
        if not any(one.name == worker and one.phase == "running" for one in workers):
            raise RefusedError("unavailable", f"the {worker} is not there; try again")
        now = self._clock()
        self._errands = {id: one for id, one in self._errands.items() if one.request.deadline > now}
        if len(self._errands) >= _MOST_ERRANDS:
            raise RefusedError("unavailable", f"want at most {_MOST_ERRANDS} commands at a time")
        order = replace(request, id=secrets.token_hex(8))
        self._errands[order.id] = _PendingRequest(client, request)
        return worker.encode(), order

    def _phase_if_enabled(
        self, camera: str, workers: tuple[WorkerStatus, ...]
    ) -> WorkerPhase | None:
        """Of the ingest worker of a camera that is enabled now; None: there is none."""
        now = self._registry.cameras.get(camera)
        if now is None or not now.enabled:
            return None
        name = ingest_name(camera)
        return next((one.phase for one in workers if one.name == name), None)

    def _want_frames(self, camera: str, workers: tuple[WorkerStatus, ...]) -> None:
        """Refuse what needs frames of a camera that will have none."""
        state, _, reason = self.states(workers).get(camera, "").partition(": ")
        if state in ("disabled", "ended", "error"):
            why = f" ({reason})" if reason else ""
            raise RefusedError(
                "conflict",
                f"camera {camera}: want a camera whose frames arrive, got one that is {state}{why}",
            )

    def overview(self, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        """All cameras and workers, for people."""
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
            workers: How they are.
        """
        told = camera_statuses(workers)
        states = {
            name: told.get(name, "starting") if camera.enabled else "disabled"
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
    SetEnabled: "switched",
    SetThreshold: "has another threshold",
}


def _performer(command: Command) -> str | None:
    """The worker that carries a command out; None: the supervisor itself."""
    if isinstance(
        command,
        AdaptCamera
        | ListScenes
        | Restore
        | GetPicture
        | AcceptAsNormal
        | AcceptRecurring
        | RevokeNormal,
    ):
        return "scorer"
    return "sink" if isinstance(command, Annotate) else None


def _renamed(answer: Answer, id: str) -> Answer:
    return replace(answer, id=id)
