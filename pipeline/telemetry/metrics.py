"""All Prometheus metrics of the service: the only place that defines their names.

Labels are `camera` and small enumerations; nothing that grows with time is a label. Every worker
creates one `Metrics` on its own registry. A series of two workers is summed if it is a counter or a
histogram; therefore a gauge has a label that only one worker uses (the camera), or belongs to one
worker: no gauge has a sample before it is set.
"""

import math
from collections.abc import Mapping, Sequence, Set

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one process, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        # Ingest workers.
        self.frames_received = Counter(
            "vedette_frames_received",
            "Frames decoded, before sampling",
            ["camera"],
            registry=registry,
        )
        self.frames_dropped = Counter(
            "vedette_frames_dropped",
            "Frames that were not scored (reason: replaced, unusable, late, damaged)",
            ["camera", "reason"],
            registry=registry,
        )
        self.reconnects = Counter(
            "vedette_reconnects",
            "Connections lost or failed (reason: code of the source error)",
            ["camera", "reason"],
            registry=registry,
        )
        self.last_frame_timestamp_seconds = Gauge(
            "vedette_last_frame_timestamp_seconds",
            "Arrival time of the newest frame, Unix seconds",
            ["camera"],
            registry=registry,
        )
        # Scoring worker.
        self.frames_scored = Counter(
            "vedette_frames_scored",
            "Frames whose score the sink has stored",
            ["camera"],
            registry=registry,
        )
        self.batch_size = Histogram(
            "vedette_batch_size",
            "Clips scored in one batch",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.adaptations = Counter(
            "vedette_adaptations",
            "Adaptations to a scene (result: ok, failed, resumed)",
            ["camera", "result"],
            registry=registry,
        )
        self.scene_age_seconds = Gauge(
            "vedette_scene_age_seconds",
            "Time since the scene was adapted",
            ["camera"],
            registry=registry,
        )
        self.view_changes = Counter(
            "vedette_view_changes",
            "Detected changes of the view and unusable views "
            "(kind: moved, covered, defocused, frozen, black, constant)",
            ["camera", "kind"],
            registry=registry,
        )
        self.light_changes = Counter(
            "vedette_light_changes",
            "Lasting changes of the illumination (result: kept, switched, adapting, refused)",
            ["camera", "result"],
            registry=registry,
        )
        self.frames_suppressed = Counter(
            "vedette_frames_suppressed",
            "Frames whose score was suppressed: it raised no alert (reason: light, stale)",
            ["camera", "reason"],
            registry=registry,
        )
        self.discontinuities = Counter(
            "vedette_discontinuities",
            "Discontinuities of a stream (cut, exposure jump, gap); no clip spans one",
            ["camera"],
            registry=registry,
        )
        self.events_accepted_as_normal = Gauge(
            "vedette_events_accepted_as_normal",
            "Events accepted as normal in the current scene",
            ["camera"],
            registry=registry,
        )
        self.anomaly_score = Gauge(
            "vedette_anomaly_score",
            "Newest calibrated anomaly score: 0 = median of normal, 1 = threshold",
            ["camera"],
            registry=registry,
        )
        self.anomaly_threshold = Gauge(
            "vedette_anomaly_threshold",
            "Energy at which the score is 1",
            ["camera"],
            registry=registry,
        )
        self.trusted = Gauge(
            "vedette_camera_trusted",
            "1 once the scene is calibrated; before, no notifications of its events are sent",
            ["camera"],
            registry=registry,
        )
        self.normal_seconds = Gauge(
            "vedette_normal_seconds",
            "Normal stream time from which the threshold was estimated, seconds",
            ["camera"],
            registry=registry,
        )
        # Several workers: the stages that a frame passes through.
        self.stage_latency_seconds = Histogram(
            "vedette_stage_latency_seconds",
            "Time a frame spends in a stage",
            ["stage"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "vedette_queue_depth",
            "Frames queued before a stage",
            ["camera", "stage"],
            registry=registry,
        )
        # Alert sink.
        self.end_to_end_latency_seconds = Histogram(
            "vedette_end_to_end_latency_seconds",
            "Time from the arrival of a frame until its score is stored",
            ["camera"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.events = Counter(
            "vedette_events",
            "Events started",
            ["camera"],
            registry=registry,
        )
        self.events_absorbed = Counter(
            "vedette_events_absorbed",
            "Events accepted as normal because of their duration or recurrence",
            ["camera"],
            registry=registry,
        )
        self.event_active = Gauge(
            "vedette_event_active",
            "1 while an event is active",
            ["camera"],
            registry=registry,
        )
        self.sink_failures = Counter(
            "vedette_sink_failures",
            "Failed writes and deliveries (sink: store, snapshot, …)",
            ["sink"],
            registry=registry,
        )
        self.outbox_messages = Gauge(
            "vedette_outbox_messages",
            "Messages queued for a receiver",
            ["sink"],
            registry=registry,
        )
        self.outbox_oldest_seconds = Gauge(
            "vedette_outbox_oldest_seconds",
            "Age of the oldest queued message, 0 if there is none",
            ["sink"],
            registry=registry,
        )
        self.outbox_dropped = Counter(
            "vedette_outbox_dropped",
            "Messages dropped before a receiver accepted them (reason: age, count, bytes)",
            ["sink", "reason"],
            registry=registry,
        )
        self.outbox_parked = Gauge(
            "vedette_outbox_parked",
            "Messages that a receiver refuses, kept apart until they are too old",
            ["sink"],
            registry=registry,
        )
        self.degraded = Gauge(
            "vedette_degraded",
            "1 while a part is degraded (part: store, journal, outbox, …)",
            ["part"],
            registry=registry,
        )
        self.storage_used_bytes = Gauge(
            "vedette_storage_used_bytes",
            "Size of the data folder",
            registry=registry,
        )
        self.storage_free_bytes = Gauge(
            "vedette_storage_free_bytes",
            "Free space of the file system with the data folder",
            registry=registry,
        )
        self.retention_deleted = Counter(
            "vedette_retention_deleted",
            "Events whose files were deleted (reason: age, size, free)",
            ["reason"],
            registry=registry,
        )
        # Supervisor.
        self.camera_up = Gauge(
            "vedette_camera_up",
            "1 while frames arrive, 0 while the camera is offline or stale; absent if disabled",
            ["camera"],
            registry=registry,
        )
        self.camera_state = Gauge(
            "vedette_camera_state",
            "1 for the current state of the camera, 0 for the other states",
            ["camera", "state"],
            registry=registry,
        )
        self.worker_restarts = Counter(
            "vedette_worker_restarts",
            "Restarts of a worker after a crash or a heartbeat timeout",
            ["worker"],
            registry=registry,
        )
        self.build_info = Gauge(
            "vedette_build_info",
            "Always 1; the label contains the version",
            ["version"],
            registry=registry,
        )
        # A gauge without labels has a sample from the start, in every worker: the 0 of workers that
        # never set it would hide the value of the one that does. `snapshot` omits NaN.
        for gauge in vars(self).values():
            if isinstance(gauge, Gauge) and not gauge._labelnames:
                gauge.set(math.nan)

    def show_cameras(
        self, states: Mapping[str, str], arriving: Set[str], possible: Sequence[str]
    ) -> None:
        """Set the state of all cameras; the series of other cameras are removed.

        Args:
            states: Name → state.
            arriving: Names of the cameras whose frames arrive.
            possible: All possible states.
        """
        self.camera_up.clear()
        self.camera_state.clear()
        for camera, now in states.items():
            for state in possible:
                self.camera_state.labels(camera, state).set(state == now)
            if now != "disabled":
                self.camera_up.labels(camera).set(camera in arriving and now != "stale")

    def remove_camera(self, camera: str) -> None:
        """Remove all series of a removed camera."""
        for metric in vars(self).values():
            if "camera" in getattr(metric, "_labelnames", ()):
                metric.remove_by_labels({"camera": camera})
