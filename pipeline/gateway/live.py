"""Live updates for watchers: scores, events and states as server-sent events.

One thread receives for all; every watcher has a short queue that drops its oldest update when it is
full, so that a slow watcher neither delays the others nor receives old updates.
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
    """The maximum number of watchers is reached."""


@dataclass(eq=False)
class Watcher:
    """One client of the live feed."""

    camera: str | None
    kinds: frozenset[str]
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[tuple[Kind, dict[str, Any]] | None]

    def offer(self, update: tuple[Kind, dict[str, Any]] | None) -> None:
        """Queue an update; None ends the stream. Call it in the thread of the loop."""
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(update)


class LiveFeed:
    """Receives live updates and distributes them, between `start` and `close`."""

    def __init__(
        self,
        endpoints: Endpoints,
        states: Callable[[], dict[str, tuple[str, str]]],
        on_live: Callable[[Live], None] = lambda live: None,
    ) -> None:
        """Configure the feed.

        Args:
            endpoints: Endpoints of the run.
            states: Returns state and reason of every camera; may raise, and may block.
            on_live: Called with every update, also without watchers.
        """
        self._endpoints = endpoints
        self._states = states
        self._on_live = on_live
        self._watchers: set[Watcher] = set()
        self._watcher_added = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="live", daemon=True)
        self._limited_warning = LimitedWarning(LOG)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and end the streams of all watchers."""
        self._stop.set()
        self._thread.join()
        self._distribute(None, None)

    def check_room(self) -> None:
        """Check, before a response begins, that one more watcher is allowed.

        Raises:
            TooManyWatchersError: the maximum is reached, or the feed is closed.
        """
        if len(self._watchers) >= MOST_WATCHERS or self._stop.is_set():
            raise TooManyWatchersError(f"want at most {MOST_WATCHERS} watchers at a time")

    @contextmanager
    def watching(
        self, camera: str | None, kinds: frozenset[str], room: int = _QUEUE
    ) -> Iterator[Watcher]:
        """Register a watcher inside the `with`; call it in the event loop.

        Args:
            camera: Only of this one; None: of all.
            kinds: Only these.
            room: Length of its queue.

        Raises:
            TooManyWatchersError: the maximum is reached, or the feed is closed.
        """
        watcher = Watcher(camera, kinds, asyncio.get_running_loop(), asyncio.Queue(room))
        with self._lock:
            self.check_room()
            self._watchers.add(watcher)
            self._watcher_added = True
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
                    self._on_live(live)
                    self._distribute(live.camera, (live.kind, shown(live)))
                if self._watcher_added:  # it gets all states, not only those that change
                    self._watcher_added, known, asked_at = False, {}, 0.0
                if self._watchers and time.monotonic() - asked_at > _STATES_SECONDS:
                    asked_at = time.monotonic()
                    known = self._distribute_states(known)

    def _distribute_states(self, known: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        try:
            found = self._states()
        except Exception as error:
            self._limited_warning.warn(f"states of the cameras: {error}")
            return known
        for name in known.keys() - found.keys():
            body = {"camera": name, "state": "removed", "reason": ""}
            self._distribute(name, ("state", body))
        for name, (state, reason) in found.items():
            if known.get(name) != (state, reason):
                body = {"camera": name, "state": state, "reason": reason}
                self._distribute(name, ("state", body))
        return found

    def _distribute(self, camera: str | None, update: tuple[Kind, dict[str, Any]] | None) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            wanted = update is None or (
                update[0] in watcher.kinds and watcher.camera in (None, camera)
            )
            if wanted and not watcher.loop.is_closed():
                watcher.loop.call_soon_threadsafe(watcher.offer, update)


def shown(live: Live) -> dict[str, Any]:
    """Body of an update for clients: paths of files are replaced by their API paths."""
    body = {**live.body, "camera": live.camera}
    if live.kind == "event":
        for kind in _PICTURES:
            if body.get(kind) is not None:
                suffix = "mp4" if kind == "clip" else "jpg"
                body[kind] = f"/api/v1/events/{body.get('id')}/{kind}.{suffix}"
    return body


async def stream(watcher: Watcher) -> AsyncIterator[str]:
    """The updates of a watcher as server-sent events, until the feed closes."""
    yield "retry: 2000\n\n"
    while True:
        try:
            update = await asyncio.wait_for(watcher.queue.get(), _COMMENT_SECONDS)
        except TimeoutError:
            yield ": keep-alive\n\n"
            continue
        if update is None:
            return
        kind, body = update
        yield f"event: {kind}\ndata: {json.dumps(body, allow_nan=False)}\n\n"
