"""The frames topic: ingest workers → scoring worker, and the answers on the way back."""

from pipeline.transport.messages import Done, FrameMessage, Hello, Welcome
from pipeline.transport.ports import Port
from pipeline.transport.topics import FRAMES, Endpoints


class FrameSender(Port):
    """The ingest worker's end for one camera.

    A restarted worker takes over the identity of its previous process. A restarted scorer is
    recognised by another `Welcome.incarnation`.
    """

    def __init__(self, endpoints: Endpoints, camera: str) -> None:
        super().__init__(FRAMES, endpoints, sends=True, identity=camera.encode())

    def hello(self, hello: Hello) -> bool:
        """Request credits; False: the scorer is not connected, request again."""
        return self._send(hello)

    def send(self, frame: FrameMessage) -> bool:
        """Send a frame; False: the scorer is not connected. Its pixels must not change."""
        return self._send(frame)

    def poll(self, timeout_seconds: float) -> list[Welcome | Done]:
        """Answers of the scorer, in order; empty after the time-out."""
        messages: list[Welcome | Done] = []
        for _, message in self._receive(timeout_seconds):
            if isinstance(message, Welcome | Done):
                messages.append(message)
            else:
                self._reject(f"want an answer of the scorer, got {type(message).__name__}")
        return messages


class FrameReceiver(Port):
    """The scoring worker's end for all cameras."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(FRAMES, endpoints, sends=False)

    def poll(self, timeout_seconds: float) -> list[Hello | FrameMessage]:
        """Messages of the ingest workers, in order for each camera; empty after the time-out."""
        messages: list[Hello | FrameMessage] = []
        for sender, message in self._receive(timeout_seconds):
            if not isinstance(message, Hello | FrameMessage):
                self._reject(f"want a hello or a frame, got {type(message).__name__}")
            elif message.camera.encode() != sender:
                self._reject(f"camera {message.camera!r:.80} sent with identity {sender!r:.80}")
            else:
                messages.append(message)
        return messages

    def welcome(self, camera: str, welcome: Welcome) -> None:
        """Grant credits; lost if the ingest worker has ended."""
        self._send(welcome, to=camera.encode())

    def done(self, camera: str, done: Done) -> None:
        """Return one credit; lost if the ingest worker has ended."""
        self._send(done, to=camera.encode())
