"""Both ends of the scoring worker for tests: a sender of frames and a sink, over real sockets."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from makers import to_and_fro
from prometheus_client import CollectorRegistry

from models import SceneScorer
from pipeline.config import Camera, Config
from pipeline.ingest import ingest_worker as ingest
from pipeline.ingest.in_flight import InFlight
from pipeline.scoring.scoring_worker import ScoringWorker
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.control import ControlMember, ControlServer
from pipeline.transport.frames import FrameReceiver, FrameSender
from pipeline.transport.messages import (
    CameraTable,
    FrameMessage,
    Hello,
    RevisionAck,
    ScoreAck,
    ScoreMessage,
    Welcome,
)
from pipeline.transport.scores import ScoreReceiver, ScoreSender
from pipeline.transport.topics import Endpoints
from pipeline.worker import RunInfo, WorkerContext, WorkerSpec

SIZE_HW = (48, 64)
_SENDING_SECONDS = 100.0  # before pytest gives up on the test, without saying how far it came


def small_config(
    cameras: Sequence[str] | Mapping[str, object],
    of_each: Mapping[str, object] | None = None,
    **more: object,
) -> Config:
    """A configuration for small pictures and a fast adaptation: ready after some two seconds.

    Args:
        cameras: Names of cameras whose sources are not opened, or names with sources.
        of_each: Further keys of each camera.
        more: Further sections.
    """
    if not isinstance(cameras, Mapping):
        cameras = {name: f"/videos/{name}.mp4" for name in cameras}
    return Config.model_validate(
        {
            "detect": {"fps": 10, "height": SIZE_HW[0], "width": SIZE_HW[1]},
            "adapt": {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 1.0},
            "metrics": {"port": 0},
            "cameras": {
                name: {"source": source, **(of_each or {})} for name, source in cameras.items()
            },
            **more,
        }
    )


def worker_context(
    name: str, config: Config, run: RunInfo, camera: str | None = None, incarnation: int = 1
) -> WorkerContext:
    """What the runtime would hand to a worker."""
    spec = WorkerSpec(name, "tests:none", camera, config, run)
    return WorkerContext(spec, threading.Event(), Metrics(CollectorRegistry()), incarnation)


def noise_frames(
    camera: str, count: int, seed: int, connection: int = 1, rate: float = 10.0
) -> list[FrameMessage]:
    """A still picture with noise, and a bright block that walks through it."""
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 200, (*SIZE_HW, 3), dtype=np.uint8)
    frames = []
    for index in range(count):
        pixels = still + rng.integers(0, 9, still.shape, dtype=np.uint8)
        left = to_and_fro(2 * index, SIZE_HW[1] - 8)
        pixels[16:24, left : left + 8] = 250
        frames.append(
            FrameMessage(
                camera=camera,
                connection=connection,
                index=index,
                pts_seconds=index / rate,
                captured_at=time.time(),
                sent_at=time.monotonic(),
                dropped=0,
                context=False,
                scorer=0,
                pixels=pixels,
            )
        )
    return frames


class ShiftedClock:
    """A monotonic clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0
        self.clock = Clock(monotonic=lambda: time.monotonic() + self.ahead_seconds)


@contextmanager
def scoring(
    context: WorkerContext,
    scorer: SceneScorer,
    clock: Clock = PROCESS_CLOCK,
    controlled: bool = False,
) -> Iterator[ScoringWorker]:
    """A scoring worker in a thread; stopped and drained at the end.

    Args:
        context: Its context.
        scorer: The model.
        clock: Its clock.
        controlled: Whether it takes cameras from `control`.
    """
    endpoints = context.spec.run.endpoints
    ready = threading.Event()
    workers: list[ScoringWorker] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with ExitStack() as stack:
                frames = stack.enter_context(FrameReceiver(endpoints))
                scores = stack.enter_context(ScoreSender(endpoints, 0.2))
                member = ControlMember(endpoints, context.spec.name, context.spec.revision)
                control = stack.enter_context(member) if controlled else None
                workers.append(ScoringWorker(context, scorer, frames, scores, control, clock))
                ready.set()
                workers[0].run()
        except BaseException as error:
            errors.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(20)
        assert not errors, errors
        yield workers[0]
    finally:
        context.stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert not errors, errors


def send_cameras(run: RunInfo, cameras: Mapping[str, Camera], revision: int = 1) -> None:
    """Send a table of cameras to the worker "score", as the supervisor does, until it is in use."""
    table = {name: camera.model_dump(mode="json") for name, camera in cameras.items()}
    deadline = time.monotonic() + 20
    with ControlServer(run.endpoints) as server:
        while True:
            assert time.monotonic() < deadline
            for _, message in server.poll(0.1):
                if message == RevisionAck("score", revision):
                    return
                server.send(b"score", CameraTable(revision, table))


class CollectingSink:
    """Keeps every score that comes after the last one kept, and acknowledges all."""

    def __init__(self, run: RunInfo) -> None:
        self._run = run
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect)
        self._last: dict[str, tuple[int, int]] = {}
        self.scores: list[ScoreMessage] = []

    def __enter__(self) -> "CollectingSink":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _collect(self) -> None:
        with ScoreReceiver(self._run.endpoints) as receiver:
            while not self._stop.is_set():
                for score in receiver.poll(0.05):
                    place = score.connection, score.index
                    if place > self._last.get(score.camera, (-1, -1)):
                        self._last[score.camera] = place
                        self.scores.append(score)
                    receiver.ack(ScoreAck(score.camera, score.connection, score.index))

    def of(self, camera: str) -> list[ScoreMessage]:
        """Scores of one camera, in the order they came."""
        return [score for score in self.scores if score.camera == camera]


def send_all(
    run: RunInfo,
    frames: Iterable[FrameMessage],
    in_flight: InFlight | None = None,
) -> None:
    """Send frames of one camera as an ingest worker does, until all are done."""
    queue = list(frames)
    in_flight = in_flight or InFlight()
    deadline = time.monotonic() + _SENDING_SECONDS
    hello_at = 0.0
    with FrameSender(run.endpoints, queue[0].camera) as port:
        while queue or in_flight.pending:
            assert time.monotonic() < deadline, f"{in_flight.pending} frames are not done"
            if not in_flight.welcomed and time.monotonic() - hello_at > 0.1:
                hello_at = time.monotonic()
                port.hello(Hello(queue[0].camera, 1))
            messages: list[FrameMessage] = []
            while queue and in_flight.credits:
                messages += in_flight.send(queue.pop(0))
            for answer in port.poll(0.0 if messages else 0.05):
                if isinstance(answer, Welcome):
                    messages += in_flight.welcome(answer)
                else:
                    in_flight.done(answer)
            for message in messages:
                assert port.send(message)


@contextmanager
def ingesting(context: WorkerContext) -> Iterator[threading.Thread]:
    """An ingest worker in a thread; stopped at the end if it has not come to its end."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            ingest.run(context)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        context.stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert not errors, errors


def run_info(socket_folder: Path, data_folder: Path, started_ms: int = 1000) -> RunInfo:
    """Where a run of a test lives."""
    return RunInfo(started_ms, Endpoints.in_folder(socket_folder), data_folder)
