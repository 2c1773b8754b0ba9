"""The heartbeats topic: every worker → supervisor."""

from pipeline.transport.messages import Heartbeat
from pipeline.transport.ports import Port
from pipeline.transport.topics import HEARTBEATS, Endpoints


class HeartbeatSender(Port):
    """A worker's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(HEARTBEATS, endpoints, sends=True)

    def send(self, heartbeat: Heartbeat) -> None:
        """Send a heartbeat; lost if the supervisor does not listen."""
        self._send(heartbeat)


class HeartbeatReceiver(Port):
    """The supervisor's end for all workers."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(HEARTBEATS, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[Heartbeat]:
        """Heartbeats, in order for each worker; empty after the time-out."""
        heartbeats = []
        for _, message in self._receive(timeout_seconds):
            if isinstance(message, Heartbeat):
                heartbeats.append(message)
            else:
                self._reject(f"want a heartbeat, got {type(message).__name__}")
        return heartbeats
