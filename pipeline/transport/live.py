"""The live topic: alert sink → subscribers."""

from pipeline.transport.messages import Live
from pipeline.transport.ports import Port
from pipeline.transport.topics import LIVE, Endpoints


class LivePublisher(Port):
    """The alert sink's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(LIVE, endpoints, sends=True)

    def publish(self, live: Live) -> None:
        """Publish an update to all subscribers; dropped for a slow one."""
        self._send(live)


class LiveSubscriber(Port):
    """A subscriber's end; reconnects when the sink restarts."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(LIVE, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[Live]:
        """Updates since the last call; empty after the time-out."""
        updates = []
        for _, message in self._receive(timeout_seconds):
            if isinstance(message, Live):
                updates.append(message)
            else:
                self._reject(f"want a live update, got {type(message).__name__}")
        return updates
