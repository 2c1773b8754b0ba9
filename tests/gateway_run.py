"""The gateway for tests: the real server and sink in threads, over real sockets."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from stage_parts import run_info, small_config, worker_context

from pipeline.alerts import alert_worker
from pipeline.gateway import server
from pipeline.runtime.attached_cameras import save_registry
from pipeline.runtime.camera_registry import CameraRegistry
from pipeline.runtime.command_router import CommandRouter
from pipeline.telemetry.health import WorkerStatus
from pipeline.transport.control import ControlMember, ControlServer
from pipeline.transport.messages import Answer, Request, RevisionAck
from pipeline.transport.ports import wait
from pipeline.transport.topics import private_socket_folder
from pipeline.worker import RunInfo, WorkerContext

PASSWORD = "planted-pass"
ADMIN = "admin-token-0123456789"
VIEWER = "viewer-token-0123456789"
TOKENS = {"tokens": {"ann": {"token": ADMIN, "role": "admin"}, "vic": {"token": VIEWER}}}
YARD = f"rtsp://admin:{PASSWORD}@127.0.0.1:1/yard?key={PASSWORD}"


LEARNING: dict[str, float | bool] = {
    "trusted": True,
    "trusted_in_seconds": 0.0,
    "normal_seconds": 5400.0,
    "wanted_seconds": 86_400.0,
    "enough": False,
}


class Backend:
    """The router of a supervisor without processes, and a scorer that has one picture."""

    def __init__(self, run: RunInfo, router: CommandRouter) -> None:
        self.run_info = run
        self.router = router
        self.captured_at = time.time()
        self.age_seconds = 0.1
        self.orders: list[Request] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        workers = tuple(
            WorkerStatus(
                name, "running", 1, 0, cameras={"yard": "watching"}, learning={"yard": LEARNING}
            )
            for name in ("ingest:yard", "scorer", "sink")
        )
        endpoints = self.run_info.endpoints
        with ControlServer(endpoints) as port, ControlMember(endpoints, "scorer", 0) as scorer:
            while not self.stop.is_set():
                wait(0.02, port, scorer)
                for sender, message in port.poll(0.0):
                    if not isinstance(message, RevisionAck):
                        for to, answer in self.router.handle(sender, message, workers):
                            port.send(to, answer)
                for order in scorer.poll():
                    assert isinstance(order, Request)
                    scorer.answer(self._show(order))

    def _show(self, order: Request) -> Answer:
        self.orders.append(order)
        if order.command == "target_scores":
            rates = order.arguments["rates"]
            assert isinstance(rates, list)
            return Answer(order.id, "ok", {"scores": [2.0 / (1.0 + rate) for rate in rates]})
        if order.command != "picture":
            return Answer(order.id, "ok", {"scenes": []})
        return Answer(
            order.id,
            "ok",
            {"captured_at": self.captured_at, "age_seconds": self.age_seconds, "score": 0.4},
            anomaly_map=np.zeros((3, 4), np.float32),
            pixels=np.full((48, 64, 3), 99, np.uint8),
        )


class Gateway:
    """A gateway on its way."""

    def __init__(self, backend: Backend, url: str) -> None:
        self.backend = backend
        self.url = url

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client, with a token."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=bearer | headers, timeout=20)


@contextmanager
def gateway_run(
    folder: Path, caplog: pytest.LogCaptureFixture, api: Mapping[str, Any] | None = None
) -> Iterator[Gateway]:
    """Run a gateway and a sink for the camera "yard"."""
    caplog.set_level("INFO")
    with private_socket_folder() as sockets, ExitStack() as stack:
        run = run_info(sockets, folder)
        settings = {"enabled": True, "port": 0, **(api or {})}
        config = small_config({"yard": {"url": YARD}}, api=settings)
        router = CommandRouter(
            CameraRegistry.of(config), lambda registry: save_registry(folder, registry)
        )
        backend = Backend(run, router)
        stack.callback(backend.thread.join)
        stack.callback(backend.stop.set)
        backend.thread.start()
        for name, entry in (("sink", alert_worker.run), ("gateway", server.run)):
            context = worker_context(name, config, run)
            thread = threading.Thread(target=entry, args=(context,))
            stack.callback(_end, thread, context)
            thread.start()
        deadline = time.monotonic() + 20
        while not (found := re.findall(r"API on (\S+)", caplog.text)):
            assert time.monotonic() < deadline, "the gateway did not come up"
            time.sleep(0.02)
        yield Gateway(backend, found[-1])


def _end(thread: threading.Thread, context: WorkerContext) -> None:
    context.stop.set()
    thread.join(20)
    assert not thread.is_alive()
