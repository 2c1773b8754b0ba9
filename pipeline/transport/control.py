"""The control topic: commands to the supervisor and from there to a worker, and their answers.

A client waits until the deadline of its request; a request that arrives later is ignored. Workers
that serve all cameras connect with their names in the process table: they acknowledge the revision
of the camera table that they use, and receive the newest table if theirs is older.
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
    """Read the cameras of a table.

    Raises:
        pydantic.ValidationError: they are malformed.
    """
    return {name: Camera.model_validate(camera) for name, camera in table.cameras.items()}


class ControlServer(Port):
    """The supervisor's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(CONTROL, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[tuple[bytes, Incoming]]:
        """Received messages with the identities of their senders; empty after the time-out."""
        found: list[tuple[bytes, Incoming]] = []
        for sender, message in self._receive(timeout_seconds):
            if isinstance(message, Request | Answer | RevisionAck):
                found.append((sender, message))
            else:
                self._reject(f"want a request or an answer, got {type(message).__name__}")
        return found

    def send(self, to: bytes, message: Outgoing) -> None:
        """Send a message; it is lost if no peer has that identity."""
        self._send(message, to=to)


class ControlMember(Port):
    """The end of a worker that serves all cameras; `poll` it at every turn of the loop."""

    def __init__(self, endpoints: Endpoints, worker: str, revision: int) -> None:
        """Configure the port; it connects once entered.

        Args:
            endpoints: Endpoints of the run.
            worker: Name in the process table.
            revision: Revision of the camera table that the worker was started with.
        """
        super().__init__(CONTROL, endpoints, sends=True, identity=worker.encode())
        self._worker = worker
        self._revision = revision
        self._acknowledged_at = -float("inf")

    def poll(self) -> list[Request | CameraTable]:
        """Receive commands before their deadline and newer camera tables; does not wait."""
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
        if time.monotonic() - self._acknowledged_at > 1.0 / CONTROL.rate_hz:
            self._acknowledge()
        return found

    def acknowledge_revision(self, revision: int) -> None:
        """Note that this revision of the camera table is in use, and acknowledge it."""
        self._revision = revision
        self._acknowledge()

    def answer(self, answer: Answer) -> None:
        """Send the answer to a command; it is lost if the supervisor has ended."""
        self._send(answer)

    def _acknowledge(self) -> None:
        self._acknowledged_at = time.monotonic()
        self._send(RevisionAck(self._worker, self._revision))


class ControlClient(Port):
    """A client's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        name = f"client-{secrets.token_hex(8)}"
        super().__init__(CONTROL, endpoints, sends=True, identity=name.encode())

    def ask(self, command: Command, timeout_seconds: float) -> Answer:
        """Send a command and wait for its answer; status "unavailable" if none comes in time."""
        until = time.monotonic() + timeout_seconds
        request = Request(
            id=secrets.token_hex(8),
            command=command.command,
            arguments=arguments_of(command),
            deadline=until,
        )
        sent = False
        while (left := until - time.monotonic()) > 0:
            # Nothing is queued for a supervisor that is not connected; retry until it is.
            if not sent and not (sent := self._send(request)):
                time.sleep(min(_ASK_AGAIN_SECONDS, left))
                continue
            for _, message in self._receive(left):
                if isinstance(message, Answer) and message.id == request.id:
                    return message
        return Answer(
            request.id,
            "unavailable",
            problem=f"{command.command}: no answer from the service within {timeout_seconds:g} s",
        )
