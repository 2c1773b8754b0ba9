"""The service behind the routes: commands, stored events, pictures. No HTTP."""

import threading
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from cameras.shown_picture import display_pixels
from pipeline.config import Config
from pipeline.events.drawing import draw_caption, draw_heatmap
from pipeline.events.event import Event
from pipeline.gateway.readable_store import ReadableStore
from pipeline.gateway.usage import ProcessMeter, ScoreMeter, StorageReader
from pipeline.notifiers.links import Links
from pipeline.scenes.exemplar_paths import accepted_file
from pipeline.storage.event_queries import EventQuery, StoredEvent
from pipeline.storage.score_history import Resolution, ScorePoint
from pipeline.storage.score_reader import scores_between
from pipeline.storage.snapshots import Snapshots
from pipeline.storage.store_errors import StoreError
from pipeline.transport.commands import AcceptAsNormal, Command, GetPicture, RevokeNormal
from pipeline.transport.control import ControlClient
from pipeline.transport.messages import Answer, AnswerStatus, Live
from pipeline.worker import RunInfo

ASK_SECONDS = 5.0
_JPEG_QUALITY = 85
_MOST_ENDED = 256
_EVENT_FIELDS = tuple(field.name for field in fields(Event))
_ANNOTATION_FIELDS = tuple(one.name for one in fields(StoredEvent) if one.name != "event")
FileKind = Literal["snapshot", "heatmap", "clip"]


class ServiceError(Exception):
    """A request cannot be fulfilled; the message says why, for people, without credentials."""

    def __init__(self, status: AnswerStatus, message: str) -> None:
        super().__init__(message)
        self.status: AnswerStatus = status


class Service:
    """Commands, events and files; its methods may be called from any thread, and may block."""

    def __init__(self, config: Config, run: RunInfo) -> None:
        self._run = self.run = run
        self.config = config
        self.meter, self.processes = ScoreMeter(), ProcessMeter()
        self.storage = StorageReader(run.data_folder)
        self._store = ReadableStore(config.store.url, run.data_folder)
        self._snapshots = Snapshots(run.data_folder / "events")
        self._ended: dict[str, dict[str, Any]] = {}
        self._links: Links | None = None
        self._lock = threading.Lock()

    def note_end(self, live: Live) -> None:
        """Keep the end of an event that may not be stored yet, as on a full disk."""
        self.meter.take(live)
        if live.kind == "event" and live.body.get("change") == "end":
            event_id = str(live.body.get("id"))
            with self._lock:
                self._ended[event_id] = {
                    name: live.body[name] for name in _EVENT_FIELDS if name in live.body
                }
                while len(self._ended) > _MOST_ENDED:
                    self._ended.pop(next(iter(self._ended)))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def ask(self, command: Command, timeout_seconds: float = ASK_SECONDS) -> Answer:
        """Have a command executed.

        Raises:
            ServiceError: it was not executed.
        """
        with ControlClient(self._run.endpoints) as client:
            answer = client.ask(command, timeout_seconds)
        if answer.status != "ok":
            raise ServiceError(answer.status, answer.problem)
        return answer

    def picture(self, camera: str, with_heatmap: bool, longest_age: float) -> tuple[bytes, float]:
        """Return the newest frame of a camera as JPEG, and its time, Unix seconds.

        Args:
            camera: Name of the camera.
            with_heatmap: Whether to overlay the anomaly map.
            longest_age: Maximum age in seconds.

        Raises:
            ServiceError: there is no frame, or the newest one is older.
        """
        answer = self.ask(GetPicture(name=camera))
        captured_at, score = answer.body.get("captured_at"), answer.body.get("score")
        age = answer.body.get("age_seconds")
        if not (
            answer.pixels is not None and isinstance(captured_at, float) and isinstance(age, float)
        ):
            raise ServiceError("unavailable", f"camera {camera}: no frame so far")
        if age > longest_age:
            problem = f"camera {camera}: the newest frame is {age:.0f} s old"
            raise ServiceError("unavailable", problem)
        pixels = display_pixels(answer.pixels, answer.picture, answer.source_hw)
        if with_heatmap:
            if answer.anomaly_map is None or not isinstance(score, float | int):
                raise ServiceError("unavailable", f"camera {camera}: no anomaly map yet")
            pixels = draw_heatmap(pixels, answer.anomaly_map, float(score))
        return encode_jpeg(draw_caption(pixels, camera, captured_at)), captured_at

    def events(self, query: EventQuery) -> dict[str, Any]:
        """A page of events, newest first.

        Raises:
            ServiceError: the query is invalid, or the store cannot be read.
        """
        try:
            page = self._store.open().find(query)
        except StoreError as error:
            raise self._unreadable(error) from error
        except ValueError as error:
            raise ServiceError("invalid", str(error)) from error
        return {
            "events": [
                shown
                for shown in map(self.shown, page.events)
                if query.active is None or query.active == (shown["ended_at"] is None)
            ],
            "next_cursor": page.next_cursor,
        }

    def event(self, event_id: str) -> StoredEvent:
        """One event.

        Raises:
            ServiceError: there is none, or the store cannot be read.
        """
        try:
            stored = self._store.open().event(event_id)
        except StoreError as error:
            raise self._unreadable(error) from error
        if stored is None:
            raise ServiceError("unknown", f"event {event_id}: there is none")
        return stored

    def apply_label(self, event_id: str) -> None:
        """Accept an event as normal in its scene, or revoke that, according to its label.

        Raises:
            ServiceError: it is not applied, or not yet.
        """
        stored = self.event(event_id)
        command: Command | None = None
        camera, span = stored.event.camera, (stored.event.started_at, stored.event.ended_at)
        if stored.label == "normal":
            command = AcceptAsNormal(name=camera, event=event_id, begin=span[0], end=span[1])
        elif self._is_accepted(stored):
            command = RevokeNormal(name=camera, event=event_id)
        if command is None:
            return
        try:
            self.ask(command)
        except ServiceError as error:
            problem = f"the label is stored, but not yet applied to the scene: {error}"
            raise ServiceError(error.status, problem) from error

    def shown(self, stored: StoredEvent) -> dict[str, Any]:
        """An event with the API paths of its files."""
        # Not `asdict`, which copies deeply: a page may have 1000 events.
        body = {name: getattr(stored.event, name) for name in _EVENT_FIELDS}
        body |= {name: getattr(stored, name) for name in _ANNOTATION_FIELDS}
        if stored.event.ended_at is None:
            body |= self._ended.get(stored.event.id, {})
        body["accepted_as_normal"] = self._is_accepted(stored)
        links: dict[FileKind, str] = {
            "snapshot": "snapshot.jpg",
            "heatmap": "heatmap.jpg",
            "clip": "clip.mp4",
        }
        files = self._snapshots.names(stored.event.camera, stored.event.id)
        for kind, name in links.items():
            exists = self._path(stored, kind).name in files if files else False
            body[kind] = f"/api/v1/events/{stored.event.id}/{name}" if exists else None
        return body

    def file(self, event_id: str, kind: FileKind) -> Path:
        """Path of a file of an event, built from the stored event, never from the request.

        Raises:
            ServiceError: there is no such event, or it has no such file.
        """
        path = self._path(self.event(event_id), kind)
        if not path.is_file():
            raise ServiceError("unknown", f"event {event_id}: has no {kind}")
        return path

    def is_linked(self, path: str, expires: str, signature: str) -> bool:
        """Whether a request has a valid signed link; see `Links`.

        Raises:
            ServiceError: the key cannot be read.
        """
        try:
            with self._lock:
                if self._links is None:
                    self._links = Links.of(self._run.data_folder)
        except OSError as error:
            raise ServiceError("unavailable", "the key of signed links cannot be read") from error
        query = {"expires": expires, "signature": signature}
        return self._links.is_valid(path, query, time.time())

    def scores(
        self, camera: str, begin: float, end: float, resolution_seconds: Resolution, limit: int
    ) -> list[dict[str, Any]]:
        """Score history of a camera, oldest first.

        Raises:
            ServiceError: the limit is out of range, or the store cannot be read.
        """
        try:
            store = self._store.open()
            points = store.scores(camera, begin, end, resolution_seconds, limit)
        except StoreError as error:
            raise self._unreadable(error) from error
        except ValueError as error:
            raise ServiceError("invalid", str(error)) from error
        return [asdict(point) for point in points]

    def points(self, camera: str, begin: float, end: float, page: int) -> list[ScorePoint]:
        """The course of a camera's score by seconds, however long, oldest first.

        Raises:
            ServiceError: the store cannot be read.
        """
        found: list[ScorePoint] = []
        try:
            while part := self._store.open().scores(camera, begin, end, 1, page):
                found += part
                begin = part[-1].begins_at + 1
                if len(part) < page:
                    break
        except StoreError as error:
            raise self._unreadable(error) from error
        return found

    def frames(self, camera: str, begin: float, end: float, most: int) -> list[dict[str, Any]]:
        """Single scores of a camera from its log, oldest first.

        Raises:
            ServiceError: the log cannot be read.
        """
        try:
            return scores_between(self._run.data_folder / "scores", camera, begin, end, most)
        except OSError as error:
            raise ServiceError("unavailable", "the score log cannot be read") from error

    def _is_accepted(self, stored: StoredEvent) -> bool:
        scenes = self._run.data_folder / "scenes"
        return accepted_file(scenes, stored.event.camera, stored.event.id).is_file()

    def _path(self, stored: StoredEvent, kind: FileKind) -> Path:
        place = stored.event.camera, stored.event.id
        match kind:
            case "snapshot":
                return self._snapshots.snapshot_path(*place)
            case "heatmap":
                return self._snapshots.heatmap_path(*place)
            case "clip":
                return self._snapshots.clip_path(*place)

    def _unreadable(self, _error: StoreError) -> ServiceError:
        # The message may contain hosts and paths, which only the log may show.
        return ServiceError("unavailable", "the event store cannot be read; the log says why")


def encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture, uint8 (H, W, 3) RGB, as JPEG."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
