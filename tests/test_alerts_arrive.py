"""Real Prometheus scrapes a real service; what its rules find arrives at Alertmanager's webhook."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy_tools import tool
from http_receiver import Receiver, receiving
from makers import walking_box, write_video
from monitoring_files import dashboard_expressions
from pipeline_run import PipelineRun, pipeline_run
from prometheus_server import WINDOW, alertmanager, prometheus
from test_metrics_of_a_run import ELSEWHERE

from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.video_file import VideoFile

CAMERAS = ("gate", "yard")
WAIT_SECONDS = 120.0
"""How long an alert may take to arrive."""
LATE_SECONDS = 3.0
"""How long the scorer stands still at a time: longer than VedetteScorerLagging allows."""


def arrived(receiver: Receiver, path: str, status: str, **labels: str) -> bool:
    """Whether an alert with these labels has come to this path of the webhook."""
    with receiver.changed:
        posts = list(receiver.posts)
    return any(
        alert["status"] == status and labels.items() <= alert["labels"].items()
        for post in posts
        if post.path == path
        for alert in json.loads(post.body)["alerts"]
    )


@contextmanager
def slow_scorer(run: PipelineRun) -> Iterator[None]:
    """Stop the scorer again and again, each time until it has scored a frame of each camera."""
    scorer, over = run.pid("scorer"), threading.Event()
    assert scorer is not None

    def hinder() -> None:
        while not over.is_set():
            before = [len(run.scores(camera)) for camera in CAMERAS]
            os.kill(scorer, signal.SIGSTOP)
            over.wait(LATE_SECONDS)
            os.kill(scorer, signal.SIGCONT)
            while not over.wait(0.05) and not all(
                len(run.scores(camera)) > count
                for camera, count in zip(CAMERAS, before, strict=True)
            ):
                pass

    thread = threading.Thread(target=hinder)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def empty_panels(query: object) -> list[str]:
    """Expressions of the dashboard that find nothing, though a quiet service has their metrics."""
    assert callable(query)
    return [
        expression.place
        for expression in dashboard_expressions()
        if not query(expression.text.replace("[1m]", f"[{WINDOW}]"))
        and not any(name in expression.text for name in (*ELSEWHERE, "trusted"))
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lost_camera_and_a_slow_scorer_are_alerted(tmp_path: Path) -> None:
    if os.environ.get("FAIL_WITHOUT_DEPLOY_TOOLS") != "1":
        pytest.skip("needs a machine that is not busy; FAIL_WITHOUT_DEPLOY_TOOLS=1 runs it")
    tool("prometheus")
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(150), frames_per_second=10)
    with (
        RtspServer(
            {"street": Mount(lambda: VideoFile(clip, "live"), frames_per_second=10)}
        ) as server,
        receiving() as receiver,
        alertmanager(tmp_path, receiver.port) as alertmanager_port,
    ):
        sources = {
            "gate": {"url": server.address("street"), "stall_timeout": 5},
            "yard": {"url": str(clip), "loop": True, "policy": "newest"},
        }
        with (
            pipeline_run(tmp_path, sources) as run,
            prometheus(tmp_path, run.supervisor.metrics_port, alertmanager_port) as watching,
        ):
            run.wait_for(lambda: all(len(run.scores(name)) > 40 for name in sources))
            with slow_scorer(run):
                lagging = {"alertname": "VedetteScorerLagging", "camera": "yard"}
                run.wait_for(
                    lambda: arrived(receiver, "/warning", "firing", **lagging), WAIT_SECONDS
                )
            run.wait_for(lambda: arrived(receiver, "/warning", "resolved", **lagging), WAIT_SECONDS)

            server.stop()
            down = {"alertname": "VedetteCameraDown", "camera": "gate"}
            run.wait_for(lambda: arrived(receiver, "/critical", "firing", **down), WAIT_SECONDS)
            server.start()
            run.wait_for(lambda: arrived(receiver, "/critical", "resolved", **down), WAIT_SECONDS)
            assert empty_panels(watching.query) == []
            assert not arrived(receiver, "/critical", "firing", **{**down, "camera": "yard"})
            assert not arrived(receiver, "/critical", "firing", alertname="VedetteDown")
