"""The frames that an ingest worker has sent, until none of them is needed any more. Pure.

A frame is *pending* from its sending until the scoring worker answers `Done`, and then *context* as
long as a clip can reach back to it. A restarted scoring worker has neither: it is sent the context
and then all pending frames, in order. Frames that it receives twice it drops.
"""

import json
import logging
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.telemetry.atomic_write import write_atomic
from pipeline.transport.messages import Done, FrameMessage, Welcome


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a camera got; enough for a later ingest worker to continue the same file."""

    connection: int
    index: int
    """Newest frame that is done with all frames before it."""
    context_index: int
    """Oldest frame that the clips of its successors reach back to; at most `index`."""


class InFlight:
    """Keeps every frame until it is done, and done frames as long as clips need them."""

    def __init__(self) -> None:
        self._scorer: int | None = None
        self._granted = 0
        self._context_seconds = float("inf")
        self._pending: dict[tuple[int, int], FrameMessage] = {}
        self._done: set[tuple[int, int]] = set()
        self._context: deque[FrameMessage] = deque()
        self._context_due = False

    @property
    def welcomed(self) -> bool:
        """Whether a scoring worker has answered with `Welcome`."""
        return self._scorer is not None

    @property
    def credits(self) -> int:
        """How many more frames may be sent now; 0 unless welcomed."""
        if self._scorer is None:
            return 0
        return max(0, self._granted - len(self._pending))

    @property
    def pending(self) -> int:
        """How many frames were sent and are not done."""
        return len(self._pending)

    @property
    def progress(self) -> Progress | None:
        """How far the camera got; None before the first done frame."""
        if not self._context:
            return None
        newest = self._context[-1]
        return Progress(newest.connection, newest.index, self._context[0].index)

    def pause_until_handshake(self) -> None:
        """Send nothing before the next `Welcome`, as the scoring worker is silent or gone.

        Then all pending frames are sent again, to the same or to another scoring worker: the frames
        may have been lost, or only the answers.
        """
        self._scorer = None

    def welcome(self, welcome: Welcome) -> list[FrameMessage]:
        """Take the `Welcome` of a scoring worker.

        Returns:
            Frames to send again, in order: none where this worker has all of them, else the context
            and all pending ones.
        """
        known = self._scorer == welcome.incarnation
        self._scorer = welcome.incarnation
        self._granted = welcome.credits
        self._context_seconds = welcome.context_seconds
        if known:
            return []
        self._context_due = True
        if not self._pending:
            return []
        return self._addressed([*self._take_context(), *self._pending.values()])

    def send(self, message: FrameMessage) -> list[FrameMessage]:
        """Register a frame that is sent now.

        Args:
            message: Later than the one before; its `scorer` is filled in here.

        Returns:
            Frames to send, in order: the context first where the scoring worker does not have it.
        """
        self._pending[message.connection, message.index] = message
        return self._addressed([*self._take_context(), message])

    def done(self, done: Done) -> bool:
        """Take the answer of the scoring worker that a frame is done.

        Returns:
            False where the frame was not pending: it was sent twice, and done before.
        """
        key = done.connection, done.index
        if key not in self._pending or key in self._done:
            return False
        self._done.add(key)
        # Progress never passes a frame that is not done, whatever the order of the answers.
        while self._pending and (oldest := next(iter(self._pending))) in self._done:
            self._done.remove(oldest)
            self.add_context(self._pending.pop(oldest))
        return True

    def _addressed(self, messages: list[FrameMessage]) -> list[FrameMessage]:
        return [replace(message, scorer=self._scorer or 0) for message in messages]

    def _take_context(self) -> list[FrameMessage]:
        if not self._context_due:
            return []
        self._context_due = False
        return list(self._context)

    def add_context(self, message: FrameMessage) -> None:
        """Add a frame that is done: by now, or by an earlier process of this worker."""
        context = self._context
        if context and context[-1].connection != message.connection:
            context.clear()
        context.append(replace(message, context=True))
        # One frame before the reach is part of it: a clip takes the newest frame that is so old.
        reach = message.pts_seconds - self._context_seconds
        while len(context) > 1 and context[1].pts_seconds <= reach:
            context.popleft()


LOG = logging.getLogger(__name__)


class ProgressFile:
    """One small JSON file; valid for the run that wrote it only."""

    def __init__(self, path: Path, run_started_ms: int) -> None:
        self._path = path
        self._run_started_ms = run_started_ms
        self._saved: Progress | None = None

    def load(self) -> Progress | None:
        """The progress that an earlier worker of this run saved; None: start at the beginning."""
        try:
            data = json.loads(self._path.read_text())
            if data.pop("run_started_ms") != self._run_started_ms:
                return None
            if not all(isinstance(value, int) for value in data.values()):
                raise ValueError(f"want whole numbers, got {data}")
            return Progress(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            LOG.warning("%s: starting at the beginning, as it is unusable: %s", self._path, error)
            return None

    def save(self, progress: Progress | None) -> None:
        """Replace the file in one step, if the progress has changed.

        Raises:
            OSError: it cannot be written.
        """
        if progress is None or progress == self._saved:
            return
        data = {"run_started_ms": self._run_started_ms, **asdict(progress)}
        write_atomic(self._path, json.dumps(data).encode())
        self._saved = progress
