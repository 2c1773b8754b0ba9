"""The control topic: commands to the supervisor and from there to a worker, and their answers.

Who asks waits until its deadline and no longer; a request that comes later than that is ignored.
Workers that serve all cameras take part by the names they have in the process table: they say by
which table of cameras they work, and are given the newest one where that is not it.
"""

import secrets
import time
from typing import TypeAlias

from pipeline.config import Camera
from pipeline.transport.commands import Command, arguments_of
from pipeline.transport.messages import Answer, CameraTable, Request, RevisionAck
from pipeline.transport.ports import Port
from pipeline.transport.topics import CONTROL, Endpoints

Incoming: TypeAlias = Request | Answer | RevisionAck
Outgoing: TypeAlias = Request | Answer | CameraTable

_ASK_AGAIN_SECONDS = 0.05


def read_cameras(table: CameraTable) -> dict[str, Camera]:
    """The cameras of a table.

    Raises:
        pydantic.ValidationError: they are not what the supervisor sends.
    """
    return {name: Camera.model_validate(camera) for name, camera in table.cameras.items()}


class ControlServer(Port):
    """The supervisor's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(CONTROL, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[tuple[bytes, Incoming]]:
        """What came, each with the identity of its sender; empty after the time-out."""
        found: list[tuple[bytes, Incoming]] = []
        for sender, message in self._receive(timeout_seconds):
            if isinstance(message, Request | Answer | RevisionAck):
                found.append((sender, message))
            else:
                self._reject(f"want a request or an answer, got {type(message).__name__}")
        return found

    def send(self, to: bytes, message: Outgoing) -> None:
        """Send; lost if nobody of that name is there."""
        self._send(message, to=to)


class ControlMember(Port):
    """The end of a worker that serves all cameras; `poll` it at every turn of the loop."""

    def __init__(self, endpoints: Endpoints, worker: str, revision: int) -> None:
        """Plan to take part.

        Args:
            endpoints: Of the run.
            worker: Name in the process table.
            revision: Of the table of cameras that the worker was started with.
        """
        super().__init__(CONTROL, endpoints, sends=True, identity=worker.encode())
        self._worker = worker
        self._revision = revision
        self._enlisted_at = -float("inf")

    def poll(self) -> list[Request | CameraTable]:
        """Commands in time, and newer tables of cameras; does not wait."""
        found: list[Request | CameraTable] = []
        for _, message in self._receive(0.0):
            if isinstance(message, CameraTable):
                if message.revision > self._revision:
                    found.append(message)
            elif not isinstance(message, Request):
                self._reject(f"want a request or cameras, got {type(message).__name__}")
            elif time.monotonic() < message.deadline:
                found.append(message)
        assert CONTROL.rate_hz is not None
        if time.monotonic() - self._enlisted_at > 1.0 / CONTROL.rate_hz:
            self._enlist()
        return found

    def works_by(self, revision: int) -> None:
        """Say that this table of cameras is in use from now on."""
        self._revision = revision
        self._enlist()

    def answer(self, answer: Answer) -> None:
        """Answer a command; lost if the supervisor is gone."""
        self._send(answer)

    def _enlist(self) -> None:
        self._enlisted_at = time.monotonic()
        self._send(RevisionAck(self._worker, self._revision))


class ControlClient(Port):
    """The end of whoever commands."""

    def __init__(self, endpoints: Endpoints) -> None:
        name = f"client-{secrets.token_hex(8)}"
        super().__init__(CONTROL, endpoints, sends=True, identity=name.encode())

    def ask(self, command: Command, timeout_seconds: float) -> Answer:
        """Have a command carried out; "unavailable" where no answer comes in time."""
        until = time.monotonic() + timeout_seconds
        request = Request(
            id=secrets.token_hex(8),
            command=command.command,
            arguments=arguments_of(command),
            deadline=until,
        )
        sent = False
        while (left := until - time.monotonic()) > 0:
            # Nothing is queued for a supervisor that is not there, so that it is tried again.
            if not sent and not (sent := self._send(request)):
                time.sleep(min(_ASK_AGAIN_SECONDS, left))
                continue
            for _, message in self._receive(left):
                if isinstance(message, Answer) and message.id == request.id:
                    return message
        return Answer(
            request.id,
            "unavailable",
            problem=f"{command.command}: no answer of the service within {timeout_seconds:g} s",
        )
