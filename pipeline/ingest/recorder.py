"""Writes the clips of a camera's events: a thread of the ingest worker, where the packets are.

The alert sink publishes events anyway, and this listens. A message that is lost costs nothing as
long as another one of the same event comes, and one always does: its end. Where the ring is gone,
as after the death of this worker, there is no clip, and that is said.
"""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cameras.packet_ring import PacketRing
from cameras.remux import RemuxError, write_mp4
from cameras.source import Picture
from pipeline.config import Camera, Record
from pipeline.config.retention import BYTES_PER_GB
from pipeline.storage.snapshots import Snapshots
from pipeline.transport.live import LiveSubscriber
from pipeline.transport.topics import Endpoints

_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip to be cut."""

    event_id: str
    connection: int
    begin_seconds: float
    end_seconds: float
    """At the latest, while the event goes on."""


class EventClips:
    """What one camera's events still need; fed with what the alert sink tells."""

    def __init__(self, pre_seconds: float, post_seconds: float, longest_seconds: float) -> None:
        """Begin without events.

        Args:
            pre_seconds: Time before an event.
            post_seconds: Time after it.
            longest_seconds: Of the event itself.
        """
        self._pre_seconds = pre_seconds
        self._post_seconds = post_seconds
        self._longest_seconds = longest_seconds
        self._open: dict[str, ClipRequest] = {}
        self._done: dict[str, None] = {}

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take a change of an event: any of them will do, and repetitions do no harm.

        Args:
            event: The body of the sink's message: `change` and the fields of the event.
        """
        event_id, start = event["id"], event["started_pts_seconds"]
        if event_id in self._done:
            return
        order = ClipRequest(
            event_id,
            event["connection"],
            max(0.0, start - self._pre_seconds),
            start + self._longest_seconds + self._post_seconds,
        )
        if event["change"] == "end":
            end = start + min(event["duration_seconds"], self._longest_seconds)
            order = replace(order, end_seconds=end + self._post_seconds)
        self._open[event_id] = order

    def due(self, newest: tuple[int, float] | None) -> Sequence[ClipRequest]:
        """Clips of which no more will come; each is given once.

        Args:
            newest: Connection and stream time that the camera has reached; None: it is over.
        """
        found = [order for order in self._open.values() if _is_whole(order, newest)]
        for order in found:
            del self._open[order.event_id]
            self._done[order.event_id] = None
        while len(self._done) > _MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
        return found


def _is_whole(order: ClipRequest, newest: tuple[int, float] | None) -> bool:
    return newest is None or newest > (order.connection, order.end_seconds)


LOG = logging.getLogger(__name__)

RING_BYTES = 64 * 2**20
"""Most that a camera's ring takes."""
_LAG_SECONDS = 10.0  # until the end of an event is told, beyond the merge gap
_POLL_SECONDS = 0.2
_LAST_NEWS_SECONDS = 0.3
_JOIN_SECONDS = 8.0


def ring_for(record: Record, camera: Camera) -> PacketRing | None:
    """A ring that is long enough for the events of a camera; None: no clips are wanted."""
    if not record.enabled:
        return None
    afterwards = max(record.post_capture, camera.alert.merge_gap + _LAG_SECONDS)
    return PacketRing(record.pre_capture + record.longest + afterwards, RING_BYTES)


def marked(
    ring: PacketRing, pictures: Iterator[tuple[int, Picture]]
) -> Iterator[tuple[int, Picture]]:
    """Pictures as they come, while the ring learns their times."""
    for connection, picture in pictures:
        ring.mark(connection, picture)
        yield connection, picture


class Recorder:
    """Use it by `with`: from the camera's first picture until the sink has all its scores."""

    def __init__(
        self, endpoints: Endpoints, data_folder: Path, camera: str, record: Record, ring: PacketRing
    ) -> None:
        """Prepare to listen.

        Args:
            endpoints: Of the run.
            data_folder: Below which the clips are written.
            camera: Name in the configuration.
            record: How long clips are, and how much space is left free.
            ring: Filled by others.
        """
        self._endpoints = endpoints
        self._snapshots = Snapshots(data_folder / "events")
        self._folder = data_folder
        self._camera = camera
        self._min_free_bytes = record.min_free_gb * BYTES_PER_GB
        self._clips = EventClips(record.pre_capture, record.post_capture, record.longest)
        self._ring = ring
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> "Recorder":
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the clips of all events that are known, and end."""
        self._over.set()
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            LOG.warning("camera %s: the last clips were not written in time", self._camera)

    def _run(self) -> None:
        with LiveSubscriber(self._endpoints) as news:
            while not self._over.is_set():
                self._listen(news, _POLL_SECONDS)
                self._write_due(self._ring.newest or (-1, 0.0))
            # What the sink has told of the last scores may still be on its way.
            self._listen(news, _LAST_NEWS_SECONDS)
            self._write_due(None)

    def _listen(self, news: LiveSubscriber, timeout_seconds: float) -> None:
        for live in news.poll(timeout_seconds):
            if live.kind == "event" and live.camera == self._camera:
                self._clips.tell(live.body)

    def _write_due(self, newest: tuple[int, float] | None) -> None:
        for order in self._clips.due(newest):
            problem = self._write(order)
            if problem is None:
                LOG.info("event %s: clip written", order.event_id)
            else:
                LOG.warning("event %s: no clip: %s", order.event_id, problem)

    def _write(self, order: ClipRequest) -> str | None:
        """Write a clip; what kept it from being written."""
        if not self._ring.has_packets:
            return "the source has no encoded packets, as folders of images have none"
        excerpt = self._ring.cut(order.connection, order.begin_seconds, order.end_seconds)
        if excerpt is None:
            return "its packets are no longer there"
        try:
            free = shutil.disk_usage(self._folder).free
            if free < self._min_free_bytes:
                return f"want {self._min_free_bytes / 1e9:g} GB of free space, got {free / 1e9:.2f}"
            write_mp4(excerpt, self._snapshots.clip_path(self._camera, order.event_id))
        except (RemuxError, OSError) as error:
            return str(error)
        return None
