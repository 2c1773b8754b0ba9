"""The metrics of real processes through the endpoint: each is true, or a test elsewhere sets it."""

import re
from pathlib import Path

import pytest
from http_receiver import receiving
from makers import walking_box, write_video
from mqtt_broker import free_port
from pipeline_run import PipelineRun, pipeline_run
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from test_control import tell
from test_notifiers import change, config, hook

from pipeline.notifiers import open_notifiers
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.commands import Attach, Detach, SetEnabled

MEASURED = {
    "camera_up": 'vedette_camera_up{camera="door"} 1.0',
    "camera_state": 'vedette_camera_state{camera="door",state="watching"} 1.0',
    "frames_received": 'vedette_frames_received_total{camera="door"}',
    "last_frame_timestamp_seconds": 'vedette_last_frame_timestamp_seconds{camera="door"}',
    "frames_scored": 'vedette_frames_scored_total{camera="door"}',
    "batch_size": "vedette_batch_size_count",
    "adaptations": 'vedette_adaptations_total{camera="door",result="ok"} 1.0',
    "scene_age_seconds": 'vedette_scene_age_seconds{camera="door"}',
    "anomaly_score": 'vedette_anomaly_score{camera="door"}',
    "anomaly_threshold": 'vedette_anomaly_threshold{camera="door"}',
    "stage_latency_seconds": 'vedette_stage_latency_seconds_count{stage="score"}',
    "queue_depth": 'vedette_queue_depth{camera="door",stage="score"}',
    "end_to_end_latency_seconds": 'vedette_end_to_end_latency_seconds_count{camera="door"}',
    "event_active": 'vedette_event_active{camera="door"}',
    "storage_used_bytes": "vedette_storage_used_bytes",
    "storage_free_bytes": "vedette_storage_free_bytes",
    "events_accepted_as_normal": 'vedette_events_accepted_as_normal{camera="door"}',
    "reconnects": 'vedette_reconnects_total{camera="gate",reason="refused"}',
    "normal_seconds": 'vedette_normal_seconds{camera="door"}',
    "trusted": 'vedette_camera_trusted{camera="door"}',
    "build_info": "vedette_build_info{",
}
"""What a service that watches a camera shows: the beginning of a line."""
MAY_BE_ZERO = {
    "queue_depth",
    "event_active",
    "events_accepted_as_normal",
    "anomaly_score",
    "normal_seconds",
    "trusted",
}
ELSEWHERE = {
    "frames_dropped": "test_decoder",
    "view_changes": "test_view_changes",
    "light_changes": "test_scene_bank",
    "frames_suppressed": "test_view_changes",
    "events": "test_alert_sink",
    "events_absorbed": "test_absorption",
    "sink_failures": "test_alert_sink",
    "outbox_messages": "test_notifiers",
    "outbox_oldest_seconds": "test_notifiers",
    "outbox_dropped": "test_metrics_of_a_run",
    "outbox_parked": "test_metrics_of_a_run",
    "degraded": "test_full_disk",
    "discontinuities": "test_discontinuities",
    "retention_deleted": "test_retention",
    "worker_restarts": "test_supervisor",
}
"""What a quiet service has nothing of, and the test that sets it."""


def test_every_metric_has_a_test() -> None:
    names = {name for name in vars(Metrics(CollectorRegistry())) if name != "registry"}
    assert names == MEASURED.keys() | ELSEWHERE.keys()
    for name, module in ELSEWHERE.items():
        text = (Path(__file__).parent / f"{module}.py").read_text()
        assert re.search(rf"\b(vedette_)?{name}(_total)?\b", text), f"{name} in {module}.py"


def test_messages_that_are_dropped_are_counted(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry())
    settings = config(webhooks=hook(free_port()), outbox={"max_messages": 1})
    with open_notifiers(settings, tmp_path, metrics) as notifiers:
        for kind in ("new", "end"):
            notifiers.notify(change(kind, 5), None, None)
    labels = {"sink": "webhook:x", "reason": "count"}
    assert metrics.registry.get_sample_value("vedette_outbox_dropped_total", labels) == 1


def test_messages_that_are_put_aside_are_counted(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry())
    with receiving() as receiver:
        receiver.answer = lambda number: (422, {})
        settings = config(webhooks=hook(receiver.port))
        with open_notifiers(settings, tmp_path, metrics) as notifiers:
            notifiers.notify(change("new", 5), None, None)
            receiver.wait(1)
    with open_notifiers(config(webhooks=hook(receiver.port)), tmp_path, metrics) as notifiers:
        notifiers.tick()
    value = metrics.registry.get_sample_value("vedette_outbox_parked", {"sink": "webhook:x"})
    assert value == 1


def value_of(text: str, begin: str) -> float | None:
    lines = [line for line in text.splitlines() if line.startswith(begin)]
    return float(lines[0].rpartition(" ")[2]) if lines else None


def cameras_shown(run: PipelineRun) -> set[str]:
    return {
        sample.labels["camera"]
        for family in text_string_to_metric_families(run.metrics())
        for sample in family.samples
        if "camera" in sample.labels
    }


@pytest.mark.timeout(240)
def test_a_service_says_what_is_true_also_of_cameras_that_go(tmp_path: Path) -> None:
    video = tmp_path / "door.mp4"
    write_video(video, frames_per_second=10, pictures=walking_box(100))
    source = {"url": str(video), "loop": True}
    api = {"enabled": True, "port": 0, "allow_file_roots": [str(tmp_path)]}
    gate = {"url": "rtsp://127.0.0.1:1/gate"}
    with pipeline_run(tmp_path, {"door": source, "gate": gate}, api=api) as run:
        run.wait_for(lambda: bool(run.supervisor.metrics_port))
        run.wait_for(
            lambda: all(value_of(run.metrics(), begin) is not None for begin in MEASURED.values())
        )
        text = run.metrics()
        for name, begin in MEASURED.items():
            assert value_of(text, begin) is not None, begin
            if name not in MAY_BE_ZERO:
                assert (value_of(text, begin) or 0) > 0, begin
        assert value_of(text, 'vedette_camera_up{camera="gate"}') == 0
        assert value_of(text, 'vedette_camera_state{camera="gate",state="offline"}') == 1
        assert (value_of(text, "vedette_storage_free_bytes") or 0) > 1e6

        attached = tell(run, Attach(name="yard", camera={"source": source}))
        assert attached.status == "ok", attached
        run.wait_for(lambda: value_of(run.metrics(), 'vedette_camera_up{camera="yard"}') == 1)
        assert tell(run, SetEnabled(name="door", enabled=False)).status == "ok"
        state = 'vedette_camera_state{camera="door",state="disabled"}'
        run.wait_for(lambda: value_of(run.metrics(), state) == 1)
        text = run.metrics()
        for gone in ("camera_up", "queue_depth", "anomaly_score", "scene_age_seconds"):
            assert value_of(text, f'vedette_{gone}{{camera="door"') is None, gone
        assert (value_of(text, MEASURED["frames_scored"]) or 0) > 0
        assert tell(run, Detach(name="yard")).status == "ok"
        run.wait_for(lambda: cameras_shown(run) == {"door", "gate"})
        assert tell(run, SetEnabled(name="door", enabled=True)).status == "ok"
        run.wait_for(lambda: value_of(run.metrics(), 'vedette_camera_up{camera="door"}') == 1)
