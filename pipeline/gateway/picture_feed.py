"""Live pictures for the tabs that show them; each is fetched once for all tabs.

A new score of a camera announces a new frame. Its picture is fetched only while a tab has the
camera in view, at most a few times a second. The queue of a tab holds only the newest picture of a
camera: a slow tab receives fewer pictures, never old ones.
"""

import asyncio
import json
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from cameras.shown_picture import display_pixels, encode
from pipeline.transport.commands import GetPicture
from pipeline.transport.control import ControlClient
from pipeline.transport.messages import Answer, Live
from pipeline.transport.topics import Endpoints

Detail = Literal["small", "full"]
Key = tuple[str, Detail]

MAP_SCALE = 63.75
"""A cell of the anomaly map is sent as round(score × MAP_SCALE), 0 … 255: scores up to 4."""
_LEAST_SECONDS: dict[Detail, float] = {"small": 0.2, "full": 0.1}
_MOST_PER_SECOND = 40.0
_THREADS = 3
_TIMEOUT_SECONDS = 2.0
_IDLE_SECONDS = 0.25
_MOST_WANTED = 64
_QUALITY = 82


@dataclass(eq=False)
class PictureViewer:
    """One tab that shows pictures."""

    loop: asyncio.AbstractEventLoop
    wanted: frozenset[Key] = frozenset()
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    all_drawn: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the browser has drawn all pictures that were taken."""
    _undrawn: int = 0
    _newest: dict[str, bytes] = field(default_factory=dict)

    def offer(self, camera: str, message: bytes) -> None:
        """Queue a picture in place of an older one; call it in the thread of the loop."""
        self._newest[camera] = message
        self.ready.set()

    async def take(self) -> list[bytes]:
        """Wait for pictures; at least one."""
        await self.ready.wait()
        self.ready.clear()
        taken, self._newest = list(self._newest.values()), {}
        self._undrawn = len(taken)
        self.all_drawn.clear()
        return taken

    def drawn(self) -> None:
        """Count a picture that the browser has drawn."""
        self._undrawn -= 1
        if self._undrawn <= 0:
            self.all_drawn.set()


class PictureFeed:
    """Fetches pictures while a tab shows them, between `start` and `close`."""

    def __init__(self, endpoints: Endpoints, clock: Callable[[], float] = time.monotonic) -> None:
        """Configure the feed.

        Args:
            endpoints: Of the run.
            clock: Monotonic seconds.
        """
        self._endpoints = endpoints
        self._clock = clock
        self._viewers: set[PictureViewer] = set()
        self._new: set[Key] = set()
        """Requested pictures of frames that are not fetched yet."""
        self._fetched_at: dict[Key, float] = {}
        self._in_flight: set[Key] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._fetch, name=f"pictures-{n}", daemon=True)
            for n in range(_THREADS)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def take(self, live: Live) -> None:
        """Register a new frame."""
        if live.kind == "score" and self._viewers:
            with self._changed:
                fresh = {key for key in self._wanted() if key[0] == live.camera}
                if fresh:
                    self._new |= fresh
                    self._changed.notify()

    @contextmanager
    def watching(self) -> Iterator[PictureViewer]:
        """Register a tab inside the `with`; call it in the event loop."""
        viewer = PictureViewer(asyncio.get_running_loop())
        with self._changed:
            self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            with self._changed:
                self._viewers.discard(viewer)

    def want(self, viewer: PictureViewer, small: Iterable[str], full: str | None) -> None:
        """Set what a tab has in view.

        Args:
            viewer: The tab.
            small: Cameras that it shows as tiles.
            full: The camera that it shows large; None: none.
        """
        keys: set[Key] = {(camera, "small") for camera in list(small)[:_MOST_WANTED]}
        if full is not None:
            keys.add((full, "full"))
        with self._changed:
            new = keys - viewer.wanted
            viewer.wanted = frozenset(keys)
            self._new |= new
            for key in new:
                self._fetched_at.pop(
                    key, None
                )  # send a picture at once, even of a camera that is offline
            self._changed.notify_all()

    def _fetch(self) -> None:
        with ControlClient(self._endpoints) as client:
            while (key := self._next()) is not None:
                try:
                    answer = client.ask(GetPicture(name=key[0], detail=key[1]), _TIMEOUT_SECONDS)
                    if answer.status == "ok" and answer.pixels is not None:
                        self._distribute(key, picture_message(key, answer))
                finally:
                    with self._changed:
                        self._in_flight.discard(key)

    def _next(self) -> Key | None:
        """Wait for a picture that is due; None: the feed is closed."""
        with self._changed:
            while not self._stopping:
                key, seconds = self._due()
                if key is not None:
                    self._in_flight.add(key)
                    self._fetched_at[key] = self._clock()
                    return key
                self._changed.wait(seconds)
            return None

    def _due(self) -> tuple[Key | None, float]:
        """A picture to be fetched now, or the time until one is due, seconds."""
        wanted = self._wanted()
        self._new &= wanted
        least = len(wanted) / _MOST_PER_SECOND
        now, wait = self._clock(), _IDLE_SECONDS
        for key in sorted(self._new, key=lambda one: self._fetched_at.get(one, 0.0)):
            if key in self._in_flight:
                continue
            due = self._fetched_at.get(key, -1e9) + max(least, _LEAST_SECONDS[key[1]])
            if due <= now:
                self._new.discard(key)
                return key, 0.0
            wait = min(wait, due - now)
        return None, wait

    def _wanted(self) -> set[Key]:
        return {key for viewer in self._viewers for key in viewer.wanted}

    def _distribute(self, key: Key, message: bytes) -> None:
        with self._changed:
            viewers = [one for one in self._viewers if key in one.wanted]
        for viewer in viewers:
            if not viewer.loop.is_closed():
                viewer.loop.call_soon_threadsafe(viewer.offer, key[0], message)


def picture_message(key: Key, answer: Answer) -> bytes:
    """A picture as a message: length of the header (uint32, little endian), header, JPEG, map.

    Args:
        key: Camera and detail.
        answer: With pixels.
    """
    assert answer.pixels is not None
    height, width = answer.source_hw or answer.pixels.shape[:2]
    jpeg = _jpeg(key[1], answer)
    cells = b"" if answer.anomaly_map is None else quantise(answer.anomaly_map)
    header = {
        "camera": key[0],
        "captured_at": answer.body.get("captured_at"),
        "age": answer.body.get("age_seconds"),
        "score": answer.body.get("score"),
        "size": [width, height],
        "jpeg": len(jpeg),
        "map": None if answer.anomaly_map is None else list(answer.anomaly_map.shape[::-1]),
        "map_scale": MAP_SCALE,
    }
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + jpeg + cells


def quantise(cells: npt.NDArray[np.float32]) -> bytes:
    """An anomaly map, (h, w) in units of the score, as one byte a cell."""
    finite = np.nan_to_num(cells, nan=0.0, posinf=4.0, neginf=0.0)
    levels = np.clip(np.rint(finite * MAP_SCALE), 0, 255).astype(np.uint8)
    return bytes(levels.tobytes())


def _jpeg(detail: Detail, answer: Answer) -> bytes:
    if detail == "full" and answer.picture is not None:
        return bytes(answer.picture.tobytes())
    assert answer.pixels is not None
    pixels = answer.pixels
    if detail == "full":
        pixels = display_pixels(pixels, None, answer.source_hw)
    return bytes(encode(pixels, _QUALITY).tobytes())
