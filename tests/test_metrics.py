import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.doctor import places
from pipeline.runtime.metrics_server import MetricsServer
from pipeline.telemetry.health import WorkerStatus, readiness
from pipeline.telemetry.merging import MergedMetrics, snapshot
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import CameraState

NAMES = {
    "vedette_camera_state",
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
    "vedette_discontinuities_total",
    "vedette_events_absorbed_total",
    "vedette_events_accepted_as_normal",
    "vedette_events_total",
    "vedette_event_active",
    "vedette_adaptations_total",
    "vedette_scene_age_seconds",
    "vedette_view_changes_total",
    "vedette_frames_suppressed_total",
    "vedette_light_changes_total",
    "vedette_sink_failures_total",
    "vedette_outbox_messages",
    "vedette_outbox_parked",
    "vedette_degraded",
    "vedette_outbox_oldest_seconds",
    "vedette_outbox_dropped_total",
    "vedette_storage_used_bytes",
    "vedette_storage_free_bytes",
    "vedette_retention_deleted_total",
    "vedette_worker_restarts_total",
    "vedette_build_info",
}
STATES = get_args(CameraState)
LABELS = {
    "camera",
    "reason",
    "kind",
    "stage",
    "result",
    "sink",
    "state",
    "worker",
    "version",
    "part",
}


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


def test_labels_are_few_and_bounded() -> None:
    metrics = fresh()
    labels = {
        label
        for metric in vars(metrics).values()
        if not isinstance(metric, CollectorRegistry)
        for label in metric._labelnames
    }
    assert labels == LABELS


def test_snapshot_omits_values_that_json_cannot_represent() -> None:
    metrics = fresh()
    metrics.anomaly_score.labels("front").set(float("nan"))
    metrics.anomaly_threshold.labels("front").set(2.5)
    names = [name for name, _, _ in over_the_wire(metrics)]
    assert "vedette_anomaly_score" not in names
    assert "vedette_anomaly_threshold" in names


def test_counters_and_histograms_never_decrease_over_restarts() -> None:
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
            merged.worker_ended("ingest:front")
            assert read(merged)["vedette_frames_received_total", "camera=front"] == expected


def test_counters_of_workers_are_summed() -> None:
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


def test_gauges_end_with_their_worker() -> None:
    merged, metrics = MergedMetrics(), fresh()
    metrics.queue_depth.labels("front", "mailbox").set(4)
    merged.update("ingest:front", 1, over_the_wire(metrics))
    assert read(merged)["vedette_queue_depth", "camera=front,stage=mailbox"] == 4.0
    merged.worker_ended("ingest:front")
    assert ("vedette_queue_depth", "camera=front,stage=mailbox") not in read(merged)


@pytest.mark.parametrize("name", sorted(vars(Metrics(CollectorRegistry()))))
@pytest.mark.parametrize("place", range(4))
def test_merged_endpoint_shows_the_values_of_one_worker(name: str, place: int) -> None:
    """For every metric and every worker: each worker has all families."""
    workers = ["ingest:front", "scorer", "sink", "gateway"]
    merged, teller = MergedMetrics(), fresh()
    metric = getattr(teller, name)
    if isinstance(metric, CollectorRegistry):
        return
    labels = dict.fromkeys(metric._labelnames, "x")
    child = metric.labels(**labels) if labels else metric
    match metric:
        case Gauge():
            child.set(7)
        case Counter():
            child.inc(7)
        case Histogram():
            child.observe(7)
    for number, worker in enumerate(workers):
        merged.update(worker, 1, over_the_wire(teller if number == place else fresh()))
    suffix = {Gauge: "", Counter: "_total", Histogram: "_sum"}[type(metric)]
    shown = ",".join(f"{label}=x" for label in sorted(labels))
    assert read(merged)[metric._name + suffix, shown] == 7.0


def test_states_of_cameras_and_which_are_up() -> None:
    metrics = fresh()
    states = {"a": "watching", "b": "stale", "c": "disabled", "d": "offline", "e": "starting"}
    metrics.show_cameras({"gone": "watching"}, {"gone"}, STATES)
    metrics.show_cameras(states, {"a", "b", "e"}, STATES)
    merged = MergedMetrics()
    merged.update("supervisor", 0, over_the_wire(metrics))
    values = read(merged)
    up = {labels: value for (name, labels), value in values.items() if name == "vedette_camera_up"}
    assert up == {"camera=a": 1.0, "camera=b": 0.0, "camera=d": 0.0, "camera=e": 1.0}
    states_shown = {
        labels
        for (name, labels), value in values.items()
        if name == "vedette_camera_state" and value == 1.0
    }
    assert states_shown == {f"camera={camera},state={state}" for camera, state in states.items()}
    assert sum(name == "vedette_camera_state" for name, _ in values) == len(states) * len(STATES)


def test_removed_camera_has_no_series_and_a_disabled_one_no_gauges() -> None:
    merged = MergedMetrics()
    scorer, ingest, supervisor = fresh(), fresh(), fresh()
    for camera in ("kept", "off", "gone"):
        scorer.queue_depth.labels(camera, "score").set(2)
        scorer.frames_scored.labels(camera).inc(3)
        ingest.frames_received.labels(camera).inc(4)
        supervisor.camera_state.labels(camera, "disabled").set(1)
    scorer.batch_size.observe(1)
    merged.update("ingest:gone", 1, over_the_wire(ingest))
    merged.worker_ended("ingest:gone")
    merged.update("scorer", 1, over_the_wire(scorer))
    merged.update("supervisor", 1, over_the_wire(supervisor))
    merged.show_cameras({"kept": True, "off": True, "gone": True})
    assert len([1 for _, labels in read(merged) if labels.startswith("camera=gone")]) == 4
    merged.show_cameras({"kept": True, "off": False})
    values = read(merged)
    assert values["vedette_batch_size_count", ""] == 1.0
    of_off = {name for name, labels in values if "camera=off" in labels}
    assert of_off == {
        "vedette_frames_scored_total",
        "vedette_frames_received_total",
        "vedette_camera_state",
    }
    assert values["vedette_queue_depth", "camera=kept,stage=score"] == 2.0
    assert not [labels for _, labels in values if "camera=gone" in labels]
    merged.show_cameras({"kept": True, "off": True, "gone": True})
    assert ("vedette_frames_received_total", "camera=gone") not in read(merged)


def test_worker_removes_all_series_of_a_camera() -> None:
    metrics = fresh()
    for camera in ("kept", "gone"):
        metrics.queue_depth.labels(camera, "score").set(2)
        metrics.frames_dropped.labels(camera, "unusable").inc()
        metrics.events.labels(camera).inc()
    metrics.remove_camera("gone")
    text = json.dumps(snapshot(metrics.registry))
    assert '"kept"' in text
    assert '"gone"' not in text


@pytest.mark.parametrize(
    "sample",
    [[], ["vedette_camera_up"], ["other", {}, 1.0], ["vedette_camera_up", {"camera": 1}, 1.0], "x"],
)
def test_unknown_samples_are_ignored(sample: list[object]) -> None:
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
        for path in ("/metrics", "/healthz"):
            head = urllib.request.Request(url + path, method="HEAD")
            with (
                urllib.request.urlopen(head, timeout=5) as short,
                urllib.request.urlopen(url + path, timeout=5) as whole,
            ):
                assert (short.status, short.read()) == (200, b"")
                assert short.headers["Content-Type"] == whole.headers["Content-Type"]
                assert int(short.headers["Content-Length"]) > 0
        alive = False
        for path, status in (("/healthz", 503), ("/readyz", 503), ("/secrets", 404)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(url + path, timeout=5)
            assert refused.value.code == status
            refused.value.close()
        with pytest.raises(
            OSError,
            match=f"metrics.host, metrics.port: cannot listen on 127.0.0.1:{server.port}: address "
            "already in use",
        ):
            MetricsServer(
                "127.0.0.1", server.port, registry, lambda: True, lambda: (True, "")
            ).__enter__()


def test_readiness_needs_every_worker() -> None:
    running = WorkerStatus("scorer", "running", 1, 0)
    dead = WorkerStatus("sink", "waiting", None, 1, "SIGKILL")
    assert readiness([running]) == (True, "scorer: running\n")
    assert readiness([running, dead]) == (False, "scorer: running\nsink: waiting (SIGKILL)\n")


def test_server_listens_on_ipv6_as_the_doctor_says() -> None:
    check = places.port("metrics", "::1", 0, Path("/nonexistent"))
    if check.verdict != "ok":
        pytest.skip("this machine has no IPv6")
    server = MetricsServer("::1", 0, CollectorRegistry(), lambda: True, lambda: (True, "all\n"))
    with server, urllib.request.urlopen(f"http://[::1]:{server.port}/readyz", timeout=5) as answer:
        assert answer.read() == b"all\n"


def test_doctor_refuses_what_run_refuses() -> None:
    nowhere = "192.0.2.1"  # for documentation: of no machine
    check = places.port("metrics", nowhere, 0, Path("/nonexistent"))
    with pytest.raises(OSError, match=r"metrics\.host, metrics\.port: cannot listen"):
        MetricsServer(nowhere, 0, CollectorRegistry(), lambda: True, lambda: (True, "")).__enter__()
    assert check.verdict == "fail"
