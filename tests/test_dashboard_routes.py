"""Routes of the dashboard: support frames of scenes, the outbox, latencies of the stages."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from gateway_run import Gateway, gateway_run
from prometheus_client import CollectorRegistry

from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import OUTBOX_NAME, Bounds, OutboxMessage
from pipeline.scenes.scene_paths import HEAD, SUPPORT, id_of
from pipeline.scenes.support_clips import SupportClips, encode
from pipeline.telemetry.merging import MergedMetrics, snapshot
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.stage_latencies import StageLatency, quantile, stage_latencies


@pytest.fixture
def gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Gateway]:
    with gateway_run(tmp_path, caplog) as gateway:
        yield gateway


def write_scene(folder: Path, brightness: int) -> None:
    """A scene of three clips; the newest frame of clip n has the grey level 9 n + brightness."""
    folder.mkdir(parents=True)
    clips = np.zeros((3, 5, 24, 32, 3), np.uint8)
    for number in range(3):
        clips[number, -1] = 9 * number + brightness
    (folder / SUPPORT).write_bytes(encode(SupportClips(clips, (0.0, 1.0, 2.0), 0.1)))
    (folder / HEAD).write_text("{}")


def grey_of(jpeg: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean())


def test_frames_of_the_scene_in_use_and_of_an_earlier_one(gateway: Gateway, tmp_path: Path) -> None:
    write_scene(tmp_path / "scenes" / "yard", 100)
    write_scene(tmp_path / "scenes" / "yard" / "history" / "1000", 200)
    current = id_of(tmp_path / "scenes" / "yard")
    with gateway.client() as client:
        base = "/api/v1/cameras/yard/scenes"
        for scene, brightness in ((current, 100), ("1000", 200)):
            pictures = client.get(f"{base}/{scene}/support").json()["pictures"]
            greys = [grey_of(client.get(path).content) for path in pictures]
            assert greys == pytest.approx([brightness, brightness + 9, brightness + 18], abs=2)
        for wrong in ("1001/support", f"{current}/support/3.jpg", "..%2f..%2fyard/support"):
            assert client.get(f"{base}/{wrong}").status_code == 404
        (tmp_path / "scenes" / "yard" / SUPPORT).write_bytes(b"torn")
        answer = client.get(f"{base}/{current}/support")
        assert answer.status_code == 404
        assert str(tmp_path) not in answer.text


def test_selected_frames_are_replaced(gateway: Gateway) -> None:
    with gateway.client() as client:
        adapt = "/api/v1/cameras/yard/adapt"
        assert client.post(adapt).status_code == 202
        assert client.post(adapt, json={"replace": [0, 2]}).status_code == 202
        assert client.post(adapt, json={"replace": [-1]}).status_code == 422
    orders = [one.arguments for one in gateway.backend.orders if one.command == "adapt"]
    assert [one.get("replace") for one in orders] == [[], [0, 2]]


def test_outbox_shows_what_waits_and_what_was_refused(gateway: Gateway, tmp_path: Path) -> None:
    def message(event: str, at: float) -> OutboxMessage:
        return OutboxMessage("webhook:office", f"{event}:new", event, "new", 0, "{}", at)

    with gateway.client() as client:
        assert client.get("/api/v1/outbox").json() == {"sinks": []}
        with Outbox(tmp_path / OUTBOX_NAME, Bounds()) as outbox:
            for number in range(3):
                outbox.put(message(f"yard-1-{number}", 1000.0 + number))
            outbox.refused(message("yard-1-0", 1000.0), "answered 400")
            (sink,) = client.get("/api/v1/outbox").json()["sinks"]
        assert (sink["sink"], sink["waiting"], sink["oldest_at"]) == ("webhook:office", 2, 1001.0)
        refusal = {"event": "yard-1-0", "reason": "answered 400", "created_at": 1000.0}
        assert (sink["refused"], sink["refusals"]) == (1, [refusal])
        (tmp_path / OUTBOX_NAME).write_bytes(b"no database" * 1000)
        assert client.get("/api/v1/outbox").status_code == 503


def test_latency_of_each_stage_over_all_workers() -> None:
    merged = MergedMetrics()
    for worker, seconds in (("scorer", 0.02), ("other", 0.04)):
        metrics = Metrics(CollectorRegistry())
        metrics.stage_latency_seconds.labels("score").observe(seconds)
        merged.update(worker, 1, snapshot(metrics.registry))
    (score,) = stage_latencies(merged.collect())
    assert score == StageLatency(
        "score", 2, pytest.approx(0.03), pytest.approx(0.025), pytest.approx(0.0475)
    )
    assert quantile([(1.0, 4.0), (2.0, 8.0), (float("inf"), 10.0)], 0.75) == pytest.approx(1.875)
    assert quantile([(1.0, 4.0), (float("inf"), 10.0)], 0.9) == 1.0
