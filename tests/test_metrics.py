import json
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.runtime.metrics_server import MetricsServer
from pipeline.telemetry.health import WorkerStatus, readiness
from pipeline.telemetry.merging import MergedMetrics, snapshot
from pipeline.telemetry.metrics import Metrics

NAMES = {
    "vedette_camera_up",
    "vedette_frames_received_total",
    "vedette_frames_dropped_total",
    "vedette_frames_scored_total",
    "vedette_reconnects_total",
    "vedette_last_frame_timestamp_seconds",
    "vedette_stage_latency_seconds",
    "vedette_end_to_end_latency_seconds",
    "vedette_queue_depth",
    "vedette_batch_size",
    "vedette_anomaly_score",
    "vedette_anomaly_threshold",
    "vedette_camera_trusted",
    "vedette_normal_seconds",
    "vedette_picture_cuts_total",
    "vedette_events_absorbed_total",
    "vedette_events_remembered",
    "vedette_events_total",
    "vedette_event_active",
    "vedette_adaptations_total",
    "vedette_scene_age_seconds",
    "vedette_view_changes_total",
    "vedette_frames_held_total",
    "vedette_light_changes_total",
    "vedette_sink_failures_total",
    "vedette_outbox_messages",
    "vedette_outbox_oldest_seconds",
    "vedette_outbox_dropped_total",
    "vedette_storage_used_bytes",
    "vedette_storage_free_bytes",
    "vedette_retention_deleted_total",
    "vedette_worker_restarts_total",
    "vedette_build_info",
}
LABELS = {"camera", "reason", "kind", "stage", "result", "sink", "worker", "version"}


def fresh() -> Metrics:
    return Metrics(CollectorRegistry())


def over_the_wire(metrics: Metrics) -> list[list[object]]:
    samples: list[list[object]] = json.loads(json.dumps(snapshot(metrics.registry)))
    return samples


def read(merged: MergedMetrics) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(merged)
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_names_are_those_of_the_documentation() -> None:
    families = fresh().registry.collect()
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    assert names == NAMES
    assert all(family.documentation for family in families)


def test_labels_are_few_and_small() -> None:
    metrics = fresh()
    labels = {
        label
        for metric in vars(metrics).values()
        if not isinstance(metric, CollectorRegistry)
        for label in metric._labelnames
    }
    assert labels == LABELS


def test_snapshot_leaves_out_what_json_cannot_say() -> None:
    metrics = fresh()
    metrics.anomaly_score.labels("front").set(float("nan"))
    metrics.anomaly_threshold.labels("front").set(2.5)
    names = [name for name, _, _ in over_the_wire(metrics)]
    assert "vedette_anomaly_score" not in names
    assert "vedette_anomaly_threshold" in names


def test_counters_and_histograms_never_go_down_over_restarts() -> None:
    merged = MergedMetrics()
    expected = 0
    for incarnation in range(1, 4):
        metrics = fresh()
        merged.update("ingest:front", incarnation, over_the_wire(metrics))
        for _ in range(5):
            metrics.frames_received.labels("front").inc()
            metrics.stage_latency_seconds.labels("decode").observe(0.003)
            expected += 1
            merged.update("ingest:front", incarnation, over_the_wire(metrics))
            values = read(merged)
            assert values["vedette_frames_received_total", "camera=front"] == expected
            assert values["vedette_stage_latency_seconds_count", "stage=decode"] == expected
            assert (
                values["vedette_stage_latency_seconds_bucket", "le=+Inf,stage=decode"] == expected
            )
        if incarnation == 1:
            merged.worker_died("ingest:front")
            assert read(merged)["vedette_frames_received_total", "camera=front"] == expected


def test_workers_add_up() -> None:
    merged = MergedMetrics()
    for worker, number in (("ingest:front", 2), ("ingest:back", 3)):
        metrics = fresh()
        metrics.stage_latency_seconds.labels("decode").observe(number)
        metrics.frames_received.labels(worker.removeprefix("ingest:")).inc(number)
        merged.update(worker, 1, over_the_wire(metrics))
    values = read(merged)
    assert values["vedette_stage_latency_seconds_sum", "stage=decode"] == 5.0
    assert values["vedette_stage_latency_seconds_count", "stage=decode"] == 2.0
    assert values["vedette_frames_received_total", "camera=front"] == 2.0


def test_gauges_die_with_their_worker_and_its_camera_is_down() -> None:
    merged, metrics = MergedMetrics(), fresh()
    metrics.camera_up.labels("front").set(1)
    metrics.queue_depth.labels("front", "mailbox").set(4)
    merged.update("ingest:front", 1, over_the_wire(metrics))
    assert read(merged)["vedette_queue_depth", "camera=front,stage=mailbox"] == 4.0
    merged.worker_died("ingest:front")
    values = read(merged)
    assert ("vedette_queue_depth", "camera=front,stage=mailbox") not in values
    assert values["vedette_camera_up", "camera=front"] == 0.0


@pytest.mark.parametrize(
    "sample",
    [[], ["vedette_camera_up"], ["other", {}, 1.0], ["vedette_camera_up", {"camera": 1}, 1.0], "x"],
)
def test_foreign_samples_are_ignored(sample: list[object]) -> None:
    merged = MergedMetrics()
    before = read(merged)
    merged.update("scorer", 1, [sample])
    assert read(merged) == before


def test_server_answers() -> None:
    merged, metrics = MergedMetrics(), fresh()
    metrics.events.labels('a "quoted" camera').inc()
    merged.update("sink", 1, over_the_wire(metrics))
    registry = CollectorRegistry()
    registry.register(merged)
    alive = True
    with MetricsServer(
        "127.0.0.1", 0, registry, lambda: alive, lambda: (False, "sink: starting\n")
    ) as server:
        url = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
        events = next(family for family in families if family.name == "vedette_events")
        assert events.samples[0].labels == {"camera": 'a "quoted" camera'}
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok\n"
        alive = False
        for path, status in (("/healthz", 503), ("/readyz", 503), ("/secrets", 404)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(url + path, timeout=5)
            assert refused.value.code == status
            refused.value.close()
        with pytest.raises(
            OSError, match=f"metrics at 127.0.0.1:{server.port}: Address already in use"
        ):
            MetricsServer(
                "127.0.0.1", server.port, registry, lambda: True, lambda: (True, "")
            ).__enter__()


def test_readiness_wants_every_worker() -> None:
    running = WorkerStatus("scorer", "running", 1, 0)
    dead = WorkerStatus("sink", "waiting", None, 1, "SIGKILL")
    assert readiness([running]) == (True, "scorer: running\n")
    assert readiness([running, dead]) == (False, "scorer: running\nsink: waiting (SIGKILL)\n")
