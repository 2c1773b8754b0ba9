"""Live news for watchers: scores, events and states as server-sent events.

One thread listens for all; every watcher has a short queue, of which the oldest goes first, so that
a slow one neither holds up the others nor gets old news.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.live import LiveSubscriber
from pipeline.transport.messages import Live
from pipeline.transport.topics import Endpoints

LOG = logging.getLogger(__name__)

Kind = Literal["score", "event", "state"]
MOST_WATCHERS = 32
_QUEUE = 64
_POLL_SECONDS = 0.2
_STATES_SECONDS = 1.0
_COMMENT_SECONDS = 15.0
_PICTURES = ("snapshot", "heatmap", "clip")


class TooManyWatchersError(Exception):
    """More watchers than can be served."""


@dataclass(eq=False)
class Watcher:
    """One that listens."""

    camera: str | None
    kinds: frozenset[str]
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[tuple[Kind, dict[str, Any]] | None]

    def offer(self, news: tuple[Kind, dict[str, Any]] | None) -> None:
        """Hand over news; in the loop's thread."""
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(news)


class LiveFeed:
    """Listens while its `with` lasts."""

    def __init__(
        self,
        endpoints: Endpoints,
        states: Callable[[], dict[str, tuple[str, str]]],
        hear: Callable[[Live], None] = lambda live: None,
    ) -> None:
        """Plan to listen.

        Args:
            endpoints: Of the run.
            states: State of every camera, and the reason for it; may raise, and may wait.
            hear: Told all news, also while nobody watches.
        """
        self._endpoints = endpoints
        self._states = states
        self._hear = hear
        self._watchers: set[Watcher] = set()
        self._someone_is_new = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="live", daemon=True)
        self._floods = LimitedWarning(LOG)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Send all watchers home."""
        self._stop.set()
        self._thread.join()
        self._tell(None, None)

    def check_room(self) -> None:
        """Say before an answer begins that it would be one too many.

        Raises:
            TooManyWatchersError: it would.
        """
        if len(self._watchers) >= MOST_WATCHERS or self._stop.is_set():
            raise TooManyWatchersError(f"want at most {MOST_WATCHERS} watchers at a time")

    @contextmanager
    def watching(
        self, camera: str | None, kinds: frozenset[str], room: int = _QUEUE
    ) -> Iterator[Watcher]:
        """Listen for a while; call it in the loop.

        Args:
            camera: Only of this one; None: of all.
            kinds: Only these.
            room: How many news may wait.

        Raises:
            TooManyWatchersError: there are too many already.
        """
        watcher = Watcher(camera, kinds, asyncio.get_running_loop(), asyncio.Queue(room))
        with self._lock:
            self.check_room()
            self._watchers.add(watcher)
            self._someone_is_new = True
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def _listen(self) -> None:
        known: dict[str, tuple[str, str]] = {}
        asked_at = 0.0
        with LiveSubscriber(self._endpoints) as subscriber:
            while not self._stop.is_set():
                for live in subscriber.poll(_POLL_SECONDS):
                    self._hear(live)
                    self._tell(live.camera, (live.kind, shown(live)))
                if self._someone_is_new:  # and wants to know all states, not only those that change
                    self._someone_is_new, known, asked_at = False, {}, 0.0
                if self._watchers and time.monotonic() - asked_at > _STATES_SECONDS:
                    asked_at = time.monotonic()
                    known = self._tell_states(known)

    def _tell_states(self, known: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        try:
            found = self._states()
        except Exception as error:
            self._floods.warn(f"states of the cameras: {error}")
            return known
        for name in known.keys() - found.keys():
            self._tell(name, ("state", {"camera": name, "state": "removed", "reason": ""}))
        for name, (state, reason) in found.items():
            if known.get(name) != (state, reason):
                body = {"camera": name, "state": state, "reason": reason}
                self._tell(name, ("state", body))
        return found

    def _tell(self, camera: str | None, news: tuple[Kind, dict[str, Any]] | None) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            wanted = news is None or (news[0] in watcher.kinds and watcher.camera in (None, camera))
            if wanted and not watcher.loop.is_closed():
                watcher.loop.call_soon_threadsafe(watcher.offer, news)


def shown(live: Live) -> dict[str, Any]:
    """News without what only this machine can use: pictures are named by their addresses."""
    body = {**live.body, "camera": live.camera}
    if live.kind == "event":
        for kind in _PICTURES:
            if body.get(kind) is not None:
                suffix = "mp4" if kind == "clip" else "jpg"
                body[kind] = f"/api/v1/events/{body.get('id')}/{kind}.{suffix}"
    return body


async def stream(watcher: Watcher) -> AsyncIterator[str]:
    """The news of a watcher as server-sent events, until the feed closes."""
    yield "retry: 2000\n\n"
    while True:
        try:
            news = await asyncio.wait_for(watcher.queue.get(), _COMMENT_SECONDS)
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if news is None:
            return
        kind, body = news
        yield f"event: {kind}\ndata: {json.dumps(body, allow_nan=False)}\n\n"
