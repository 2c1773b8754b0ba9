"""Writes the clips of a camera's events: a thread of the ingest worker, which has the packets.

It receives the events that the alert sink publishes. A lost message does no harm as long as another
one of the same event is received, such as its end. Where the packets are gone, as after a restart
of this worker, there is no clip, and the log says so.
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

_MOST_DONE = 1000
"""Ids of events whose clips are written, against repeated messages."""


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip to be written."""

    event_id: str
    connection: int
    begin_seconds: float
    end_seconds: float
    """While the event is active: the latest end."""


class EventClips:
    """The clips that are still to be written of one camera, by the changes of its events."""

    def __init__(self, pre_seconds: float, post_seconds: float, longest_seconds: float) -> None:
        """Start without events.

        Args:
            pre_seconds: Time before an event.
            post_seconds: Time after it.
            longest_seconds: Longest part of the event itself.
        """
        self._pre_seconds = pre_seconds
        self._post_seconds = post_seconds
        self._longest_seconds = longest_seconds
        self._open: dict[str, ClipRequest] = {}
        self._done: dict[str, None] = {}

    def update(self, event: Mapping[str, Any]) -> None:
        """Take a change of an event; any one is enough, and repetitions do no harm.

        Args:
            event: The body of the sink's message: `change` and the fields of the event.
        """
        event_id, start = event["id"], event["started_pts_seconds"]
        if event_id in self._done:
            return
        request = ClipRequest(
            event_id,
            event["connection"],
            max(0.0, start - self._pre_seconds),
            start + self._longest_seconds + self._post_seconds,
        )
        if event["change"] == "end":
            end = start + min(event["duration_seconds"], self._longest_seconds)
            request = replace(request, end_seconds=end + self._post_seconds)
        self._open[event_id] = request

    def due(self, newest: tuple[int, float] | None) -> Sequence[ClipRequest]:
        """Clips that are complete; each is returned once.

        Args:
            newest: Connection and stream time of the newest packet; None: there will be no more.
        """
        found = [request for request in self._open.values() if _is_complete(request, newest)]
        for request in found:
            del self._open[request.event_id]
            self._done[request.event_id] = None
        while len(self._done) > _MOST_DONE:
            del self._done[next(iter(self._done))]
        return found


def _is_complete(request: ClipRequest, newest: tuple[int, float] | None) -> bool:
    return newest is None or newest > (request.connection, request.end_seconds)


LOG = logging.getLogger(__name__)

RING_BYTES = 64 * 2**20
"""Most bytes of a camera's ring."""
_LAG_SECONDS = 10.0
"""Until the end of an event is published, beyond the merge gap."""
_POLL_SECONDS = 0.2
_LAST_MESSAGES_SECONDS = 0.3
"""For messages on the last scores, which may be received late."""
_JOIN_SECONDS = 8.0


def ring_for(record: Record, camera: Camera) -> PacketRing | None:
    """A ring that is long enough for the events of a camera; None: no clips are recorded."""
    if not record.enabled:
        return None
    return PacketRing(ring_seconds(record, camera), RING_BYTES)


def ring_seconds(record: Record, camera: Camera) -> float:
    """Length of the ring: of the longest event, before it, and until its end is published."""
    afterwards = max(record.post_capture, camera.alert.merge_gap + _LAG_SECONDS)
    return record.pre_capture + record.longest + afterwards


def marked(
    ring: PacketRing, pictures: Iterator[tuple[int, Picture]]
) -> Iterator[tuple[int, Picture]]:
    """The same pictures; the ring gets their times."""
    for connection, picture in pictures:
        ring.mark(connection, picture)
        yield connection, picture


class Recorder:
    """Use it in a `with`, from the first picture of the camera until the sink has all scores."""

    def __init__(
        self, endpoints: Endpoints, data_folder: Path, camera: str, record: Record, ring: PacketRing
    ) -> None:
        """Prepare to receive.

        Args:
            endpoints: Of the run.
            data_folder: Below which the clips are written.
            camera: Name in the configuration.
            record: How long clips are, and how much space is left free.
            ring: Filled by the decoder.
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
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the clips of all events, and end."""
        self._over.set()
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            LOG.warning("camera %s: the last clips were not written in time", self._camera)

    def _run(self) -> None:
        with LiveSubscriber(self._endpoints) as live:
            while not self._over.is_set():
                self._receive(live, _POLL_SECONDS)
                self.write_due(self._ring.newest or (-1, 0.0))
            # Messages on the last scores may not have been received yet.
            self._receive(live, _LAST_MESSAGES_SECONDS)
            self.write_due(None)

    def _receive(self, subscriber: LiveSubscriber, timeout_seconds: float) -> None:
        for live in subscriber.poll(timeout_seconds):
            if live.kind == "event" and live.camera == self._camera:
                self.update(live.body)

    def update(self, event: Mapping[str, Any]) -> None:
        """Take a change of an event, see `EventClips.update`."""
        self._clips.update(event)

    def write_due(self, newest: tuple[int, float] | None) -> None:
        """Write the clips that are complete, see `EventClips.due`."""
        for request in self._clips.due(newest):
            problem = self._write(request)
            if problem is None:
                LOG.info("event %s: clip written", request.event_id)
            else:
                LOG.warning("event %s: no clip: %s", request.event_id, problem)

    def _write(self, request: ClipRequest) -> str | None:
        """Write a clip; the reason if that is not possible."""
        if not self._ring.has_packets:
            return "the source has no encoded packets, as folders of images have none"
        excerpt = self._ring.cut(request.connection, request.begin_seconds, request.end_seconds)
        if excerpt is None:
            return "its packets are no longer there"
        try:
            free = shutil.disk_usage(self._folder).free
            if free < self._min_free_bytes:
                return f"want {self._min_free_bytes / 1e9:g} GB of free space, got {free / 1e9:.2f}"
            write_mp4(excerpt, self._snapshots.clip_path(self._camera, request.event_id))
        except (RemuxError, OSError) as error:
            return str(error)
        return None
