"""The service as the routes see it: commands, stored events, pictures. No HTTP in here."""

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
from pipeline.events.event_tracker import Event
from pipeline.notifiers.links import Links
from pipeline.scenes.exemplar_paths import accepted_file
from pipeline.storage.database import StoreError, store_url
from pipeline.storage.event_queries import EventQuery, StoredEvent
from pipeline.storage.score_history import Resolution
from pipeline.storage.snapshots import Snapshots
from pipeline.storage.store import EventStore
from pipeline.transport.commands import AcceptAsNormal, Command, GetPicture, RevokeNormal
from pipeline.transport.control import ControlClient
from pipeline.transport.messages import Answer, AnswerStatus, Live
from pipeline.worker import RunInfo

ASK_SECONDS = 5.0
_JPEG_QUALITY = 85
_MOST_ENDED = 256
_EVENT_FIELDS = tuple(field.name for field in fields(Event))
FileKind = Literal["snapshot", "heatmap", "clip"]


class ServiceError(Exception):
    """What was asked for cannot be had; the text says why, for people, without credentials."""

    def __init__(self, status: AnswerStatus, message: str) -> None:
        super().__init__(message)
        self.status: AnswerStatus = status


class Service:
    """Everything behind the API; its methods may be called from any thread, and may wait."""

    def __init__(self, config: Config, run: RunInfo) -> None:
        self._run = run
        self._store_url = config.store.url
        self._snapshots = Snapshots(run.data_folder / "events")
        self._store: EventStore | None = None
        self._ended: dict[str, dict[str, Any]] = {}
        self._store_file: int | None = None
        self._links: Links | None = None
        self._lock = threading.Lock()

    def hear(self, live: Live) -> None:
        """Remember how an event ended, which the store may not know yet, as on a full disk."""
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
        with self._lock:
            if self._store is not None:
                self._store.__exit__(None, None, None)
            self._store = None

    def ask(self, command: Command, timeout_seconds: float = ASK_SECONDS) -> Answer:
        """Have a command carried out.

        Raises:
            ServiceError: it was not.
        """
        with ControlClient(self._run.endpoints) as client:
            answer = client.ask(command, timeout_seconds)
        if answer.status != "ok":
            raise ServiceError(answer.status, answer.problem)
        return answer

    def picture(self, camera: str, with_heatmap: bool, longest_age: float) -> tuple[bytes, float]:
        """What a camera saw last, as JPEG, and when; an old picture is not shown as a live one.

        Args:
            camera: Its name.
            with_heatmap: Draw the anomaly map over it.
            longest_age: In seconds.

        Raises:
            ServiceError: there is none, or none so young.
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
            ServiceError: the query is wrong, or the store cannot be read.
        """
        try:
            page = self._open_store().find(query)
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
            stored = self._open_store().event(event_id)
        except StoreError as error:
            raise self._unreadable(error) from error
        if stored is None:
            raise ServiceError("unknown", f"event {event_id}: there is none")
        return stored

    def learn(self, event_id: str) -> None:
        """Have the scene of an event's camera go by the label of the event.

        Raises:
            ServiceError: it does not, or not yet.
        """
        stored = self.event(event_id)
        command: Command | None = None
        camera, span = stored.event.camera, (stored.event.started_at, stored.event.ended_at)
        if stored.label == "normal":
            command = AcceptAsNormal(name=camera, event=event_id, begin=span[0], end=span[1])
        elif self._remembered(stored):
            command = RevokeNormal(name=camera, event=event_id)
        if command is None:
            return
        try:
            self.ask(command)
        except ServiceError as error:
            problem = f"the label is kept, but its scene does not go by it yet: {error}"
            raise ServiceError(error.status, problem) from error

    def shown(self, stored: StoredEvent) -> dict[str, Any]:
        """An event for people, with the addresses of its pictures."""
        body = {**asdict(stored.event), **asdict(stored)}
        del body["event"]
        if stored.event.ended_at is None:
            body |= self._ended.get(stored.event.id, {})
        body["remembered"] = self._remembered(stored)
        links: dict[FileKind, str] = {
            "snapshot": "snapshot.jpg",
            "heatmap": "heatmap.jpg",
            "clip": "clip.mp4",
        }
        for kind, name in links.items():
            there = self._path(stored, kind).is_file()
            body[kind] = f"/api/v1/events/{stored.event.id}/{name}" if there else None
        return body

    def file(self, event_id: str, kind: FileKind) -> Path:
        """A file of an event. Its place is made of what the store says, never of what was asked.

        Raises:
            ServiceError: there is no such event, or no such file of it.
        """
        path = self._path(self.event(event_id), kind)
        if not path.is_file():
            raise ServiceError("unknown", f"event {event_id}: has no {kind}")
        return path

    def is_linked(self, path: str, expires: str, signature: str) -> bool:
        """Whether a request comes by a signed link; see `Links`.

        Raises:
            ServiceError: the key cannot be read.
        """
        try:
            with self._lock:
                if self._links is None:
                    self._links = Links.of(self._run.data_folder)
        except OSError as error:
            raise ServiceError("unavailable", "the key of links cannot be read") from error
        query = {"expires": expires, "signature": signature}
        return self._links.is_good(path, query, time.time())

    def scores(
        self, camera: str, begin: float, end: float, resolution_seconds: Resolution, limit: int
    ) -> list[dict[str, Any]]:
        """The course of a camera's score, oldest first.

        Raises:
            ServiceError: the limit is out of range, or the store cannot be read.
        """
        try:
            store = self._open_store()
            points = store.scores(camera, begin, end, resolution_seconds, limit)
        except StoreError as error:
            raise self._unreadable(error) from error
        except ValueError as error:
            raise ServiceError("invalid", str(error)) from error
        return [asdict(point) for point in points]

    def _remembered(self, stored: StoredEvent) -> bool:
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

    def _open_store(self) -> EventStore:
        # Opened when it is first wanted: at the start the sink may not have made it yet.
        with self._lock:
            file = _file_of(self._store_url, self._run.data_folder)
            if self._store is not None and file != self._store_file:
                # The sink has moved a damaged one aside, and made another one.
                self._store.__exit__(None, None, None)
                self._store = None
            if self._store is None:
                self._store_file = file
                store = EventStore.for_reading(self._store_url, self._run.data_folder)
                self._store = store.__enter__()
            return self._store

    def _unreadable(self, _error: StoreError) -> ServiceError:
        # The text may name hosts and paths: that is for the log.
        return ServiceError("unavailable", "the event store cannot be read; the log says why")


def _file_of(url: str | None, data_folder: Path) -> int | None:
    """Which file the store is in; None: in none, or nobody can say."""
    where = store_url(url, data_folder)
    if where.get_backend_name() != "sqlite":
        return None
    try:
        return Path(where.database or "").stat().st_ino
    except OSError:
        return None


def encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, as JPEG."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
