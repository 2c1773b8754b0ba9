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
from pipeline.runtime.roster import (
    Difference,
    RefusedError,
    Roster,
    RosterCommand,
    difference,
    view,
)
from pipeline.telemetry.health import WorkerStatus, camera_learning, camera_statuses
from pipeline.transport.commands import (
    Adapt,
    Annotate,
    Attach,
    Change,
    Command,
    CommandError,
    Detach,
    Forget,
    Overview,
    Picture,
    Recurs,
    Reload,
    Remember,
    Restore,
    Scenes,
    Switch,
    read_command,
)
from pipeline.transport.messages import Answer, Request

LOG = logging.getLogger(__name__)
Letter: TypeAlias = tuple[bytes, Request | Answer]
"""Identity of the receiver, and what it gets."""
_MOST_ERRANDS = 256


@dataclass(frozen=True, slots=True)
class _Errand:
    """A request that was passed on."""

    client: bytes
    request: Request


class ControlDesk:
    """Keeps the roster, and answers for it."""

    def __init__(
        self,
        roster: Roster,
        keep: Callable[[Roster], None],
        read_file: Callable[[], Config] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the desk.

        Args:
            roster: All cameras.
            keep: Writes what was done at run time; raises OSError.
            read_file: Reads the configuration again; raises ConfigError. None: there is no file.
            clock: Unix seconds.
        """
        self._roster = roster
        self._keep = keep
        self._read_file = read_file
        self._clock = clock
        self._errands: dict[str, _Errand] = {}

    @property
    def roster(self) -> Roster:
        """All cameras as they shall be."""
        return self._roster

    def take(
        self,
        sender: bytes,
        message: Request | Answer,
        workers: tuple[WorkerStatus, ...],
        stopping: bool = False,
    ) -> list[Letter]:
        """Do what a message wants.

        Args:
            sender: Its identity.
            message: What came.
            workers: How they are.
            stopping: Whether the service is being drained: nothing is changed any more.
        """
        if isinstance(message, Answer):
            errand = self._errands.pop(message.id, None)
            return [] if errand is None else [(errand.client, _renamed(message, errand.request.id))]
        if self._clock() >= message.deadline:
            return []
        try:
            command = read_command(message.command, message.arguments)
            if stopping and not isinstance(command, Overview):
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

    def reload(self) -> Difference:
        """Read the configuration file again, and go by it.

        Raises:
            ConfigError: it cannot be used; everything stays as it was.
            RefusedError: there is no file.
        """
        if self._read_file is None:
            raise RefusedError("conflict", "the service was started without a configuration file")
        file = self._read_file()
        roster = self._roster.reloaded(file)
        change = difference(self._roster, roster, file)
        self._roster = roster
        LOG.info("configuration read again: %s", change)
        return change

    def _do(self, command: Command, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        match command:
            case Overview():
                return self.overview(workers)
            case Reload():
                return asdict(self.reload())
            case Attach() | Change() | Detach() | Switch():
                roster = self._roster.after(command)
                self._keep(roster)
                self._roster = roster
                LOG.info("camera %s: %s", command.name, _DONE[type(command)])
                return {} if isinstance(command, Detach) else self._view(command.name, workers)
            case _:
                raise RefusedError("invalid", f"{command.command}: nobody serves it")

    def _pass_on(
        self,
        client: bytes,
        request: Request,
        command: Command,
        worker: str,
        workers: tuple[WorkerStatus, ...],
    ) -> Letter:
        # Events outlive their cameras.
        if not isinstance(command, Annotate | Remember | Forget) and hasattr(command, "name"):
            self._roster.origin(command.name)
        if not any(one.name == worker and one.phase == "running" for one in workers):
            raise RefusedError("unavailable", f"the {worker} is not there; try again")
        now = self._clock()
        self._errands = {id: one for id, one in self._errands.items() if one.request.deadline > now}
        if len(self._errands) >= _MOST_ERRANDS:
            raise RefusedError("unavailable", f"want at most {_MOST_ERRANDS} commands at a time")
        order = replace(request, id=secrets.token_hex(8))
        self._errands[order.id] = _Errand(client, request)
        return worker.encode(), order

    def overview(self, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        """All cameras and workers, for people."""
        names = [*self._roster.file.cameras, *self._roster.attached]
        return {
            "cameras": [self._view(name, workers) for name in names],
            "workers": [
                {
                    "name": one.name,
                    "phase": one.phase,
                    "restarts": one.restarts,
                    "reason": one.reason,
                }
                for one in workers
            ],
        }

    def _view(self, name: str, workers: tuple[WorkerStatus, ...]) -> dict[str, Any]:
        camera = self._roster.cameras.get(name)
        status, learning = "disabled", None
        if camera is None or camera.enabled:
            status = camera_statuses(workers).get(name, "starting")
            learning = camera_learning(workers, name)
        return {**view(self._roster, name, status), "learning": learning}


_DONE: dict[type[RosterCommand], str] = {
    Attach: "attached",
    Change: "changed",
    Detach: "detached",
    Switch: "switched",
}


def _performer(command: Command) -> str | None:
    """The worker that carries a command out; None: the supervisor itself."""
    if isinstance(command, Adapt | Scenes | Restore | Picture | Remember | Recurs | Forget):
        return "scorer"
    return "sink" if isinstance(command, Annotate) else None


def _renamed(answer: Answer, id: str) -> Answer:
    return replace(answer, id=id)
