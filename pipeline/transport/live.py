"""The live topic: alert sink → whoever watches."""

from pipeline.transport.messages import Live
from pipeline.transport.ports import Port
from pipeline.transport.topics import LIVE, Endpoints


class LivePublisher(Port):
    """The alert sink's end."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(LIVE, endpoints, sends=True)

    def publish(self, live: Live) -> None:
        """Show something to all watchers; dropped for a slow one."""
        self._send(live)


class LiveSubscriber(Port):
    """A watcher's end; survives restarts of the sink."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(LIVE, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[Live]:
        """What happened since; empty after the time-out."""
        lives = []
        for _, message in self._receive(timeout_seconds):
            if isinstance(message, Live):
                lives.append(message)
            else:
                self._reject(f"want live news, got {type(message).__name__}")
        return lives
