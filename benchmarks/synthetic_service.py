"""A gateway with cameras whose scores and pictures are generated: no ingest, no scoring.

For measurements of the gateway and the dashboard with more cameras than this machine can score.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from cameras.simulation import open_synthetic
from cameras.source import SourceOptions
from pipeline.config import Config
from pipeline.runtime.camera_registry import CameraRegistry
from pipeline.runtime.command_router import CommandRouter
from pipeline.runtime.process import spawn
from pipeline.telemetry.health import WorkerStatus
from pipeline.transport.control import ControlMember, ControlServer
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Answer, Live, Request, RevisionAck
from pipeline.transport.ports import wait
from pipeline.transport.topics import Endpoints, private_socket_folder
from pipeline.worker import RunInfo, WorkerSpec

_PICTURES = 40
_MAP_HW = (15, 20)
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SyntheticService:
    """A gateway that runs."""

    url: str
    pid: int
    """Of the process of the gateway."""


class _Backend:
    """Answers commands in place of supervisor and scorer, and publishes scores."""

    def __init__(self, endpoints: Endpoints, config: Config, fps: float) -> None:
        self._endpoints = endpoints
        self._names = list(config.cameras)
        self._router = CommandRouter(CameraRegistry.of(config), lambda _: None)
        self._interval = 1.0 / fps
        street = open_synthetic("synthetic:street?seed=3", SourceOptions(pace="fast"))
        with street:
            frames = [frame for frame, _ in zip(street, range(_PICTURES), strict=False)]
        self._pixels = [
            np.asarray(one.image() if callable(one.image) else one.image) for one in frames
        ]
        self._maps = np.random.default_rng(0).random((_PICTURES, *_MAP_HW), dtype=np.float32)
        self._captured_at = dict.fromkeys(self._names, time.time())
        self._number = 0
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self._serve, name="control"),
            threading.Thread(target=self._publish, name="scores"),
        ]

    def _serve(self) -> None:
        states = dict.fromkeys(self._names, "watching")
        workers = (
            *(WorkerStatus(f"ingest:{name}", "running", 1, 0) for name in self._names),
            WorkerStatus("scorer", "running", 1, 0, cameras=states),
        )
        with (
            ControlServer(self._endpoints) as control,
            ControlMember(self._endpoints, "scorer", 0) as scorer,
        ):
            while not self.stop.is_set():
                wait(0.02, control, scorer)
                for sender, message in control.poll(0.0):
                    if not isinstance(message, RevisionAck):
                        for to, answer in self._router.handle(sender, message, workers):
                            control.send(to, answer)
                for request in scorer.poll():
                    if isinstance(request, Request):
                        scorer.answer(self._picture(request))

    def _picture(self, request: Request) -> Answer:
        if request.command != "picture":
            return Answer(request.id, "ok", {"scenes": [], "scores": None})
        captured_at = self._captured_at[str(request.arguments["name"])]
        place = self._number % _PICTURES
        body: dict[str, object] = {
            "captured_at": captured_at,
            "age_seconds": max(0.0, time.time() - captured_at),
            "score": 0.4,
        }
        return Answer(
            request.id, "ok", body, anomaly_map=self._maps[place], pixels=self._pixels[place]
        )

    def _publish(self) -> None:
        with LivePublisher(self._endpoints) as publisher:
            while not self.stop.wait(self._interval / len(self._names)):
                self._number += 1
                camera = self._names[self._number % len(self._names)]
                now = self._captured_at[camera] = time.time()
                score = 0.3 + 0.2 * float(np.sin(self._number / 40))
                body: dict[str, object] = {
                    "captured_at": now,
                    "scored_at": now,
                    "score": score,
                    "threshold": 3.0,
                    "state": "ready",
                    "progress": "",
                    "terms": {"motion": score, "residual": 0.1, "still": 0.0},
                    "dropped": 0,
                    "connection": 1,
                    "index": self._number,
                }
                publisher.publish(Live(camera, "score", body))


@contextmanager
def synthetic_service(
    folder: Path, port: int, cameras: int, fps: float
) -> Iterator[SyntheticService]:
    """Run a gateway with generated cameras.

    Args:
        folder: Data folder.
        port: Port of the gateway.
        cameras: Number of cameras.
        fps: Scores of each camera per second.
    """
    names = [f"camera_{number + 1:02d}" for number in range(cameras)]
    config = Config.model_validate(
        {
            "api": {"enabled": True, "port": port},
            "metrics": {"port": 0},
            "cameras": {name: {"source": "rtsp://127.0.0.1:9/none"} for name in names},
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    with private_socket_folder() as sockets, ExitStack() as stack:
        run = RunInfo(int(1000 * time.time()), Endpoints.in_folder(sockets), folder, "ERROR")
        backend = _Backend(run.endpoints, config, fps)
        for thread in backend.threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(backend.stop.set)
        process = spawn(WorkerSpec("gateway", "pipeline.gateway.server:run", None, config, run))
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"{url}: the gateway did not start")
            time.sleep(0.2)
        yield SyntheticService(url, process.pid)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
