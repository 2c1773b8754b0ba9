"""All Prometheus metrics of the house: the only place that knows their names.

Labels are `camera` and small enumerations; nothing that grows with time is a label. Every worker
makes one `Metrics` on its own registry; a series that two workers both have is summed where it is a
counter or a histogram, and so gauges carry a label that only one worker uses (the camera), or
belong to one worker: no gauge has a sample before it is set.
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
            "Frames without a score (reason: replaced, unusable, late, damaged)",
            ["camera", "reason"],
            registry=registry,
        )
        self.reconnects = Counter(
            "vedette_reconnects",
            "Connections lost or not made (reason: code of the source error)",
            ["camera", "reason"],
            registry=registry,
        )
        self.last_frame_timestamp_seconds = Gauge(
            "vedette_last_frame_timestamp_seconds",
            "Arrival of the newest frame, Unix seconds",
            ["camera"],
            registry=registry,
        )
        # Scoring worker.
        self.frames_scored = Counter(
            "vedette_frames_scored",
            "Frames whose score the sink has kept",
            ["camera"],
            registry=registry,
        )
        self.batch_size = Histogram(
            "vedette_batch_size",
            "Clips scored together",
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
            "Views that are another one, or show nothing "
            "(kind: moved, covered, defocused, frozen, black, constant)",
            ["camera", "kind"],
            registry=registry,
        )
        self.light_changes = Counter(
            "vedette_light_changes",
            "Lights that became other ones and stayed (result: kept, switched, adapting, refused)",
            ["camera", "result"],
            registry=registry,
        )
        self.frames_held = Counter(
            "vedette_frames_held",
            "Frames whose score could alert nobody (reason: light, stale)",
            ["camera", "reason"],
            registry=registry,
        )
        self.picture_cuts = Counter(
            "vedette_picture_cuts",
            "Seams in the pictures of a connection (cut, jump, gap) that no clip reaches over",
            ["camera"],
            registry=registry,
        )
        self.events_remembered = Gauge(
            "vedette_events_remembered",
            "Events that the memory of the scene holds as normal",
            ["camera"],
            registry=registry,
        )
        self.anomaly_score = Gauge(
            "vedette_anomaly_score",
            "Newest calibrated score: 0 = median of normal, 1 = threshold",
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
            "1 once the scene is calibrated; before, nobody is notified of its events",
            ["camera"],
            registry=registry,
        )
        self.normal_seconds = Gauge(
            "vedette_normal_seconds",
            "Normal stream time that the threshold rests on",
            ["camera"],
            registry=registry,
        )
        # Several workers: the stages of a frame's way.
        self.stage_latency_seconds = Histogram(
            "vedette_stage_latency_seconds",
            "Time a frame spends in a stage",
            ["stage"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "vedette_queue_depth",
            "Frames waiting before a stage",
            ["camera", "stage"],
            registry=registry,
        )
        # Alert sink.
        self.end_to_end_latency_seconds = Histogram(
            "vedette_end_to_end_latency_seconds",
            "From the arrival of a frame to its score being kept",
            ["camera"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.events = Counter(
            "vedette_events",
            "Events begun",
            ["camera"],
            registry=registry,
        )
        self.events_absorbed = Counter(
            "vedette_events_absorbed",
            "Events that went on for so long that they count as normal",
            ["camera"],
            registry=registry,
        )
        self.event_active = Gauge(
            "vedette_event_active",
            "1 while an event goes on",
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
            "Messages that wait for a receiver",
            ["sink"],
            registry=registry,
        )
        self.outbox_oldest_seconds = Gauge(
            "vedette_outbox_oldest_seconds",
            "Age of the oldest message that waits, 0 without any",
            ["sink"],
            registry=registry,
        )
        self.outbox_dropped = Counter(
            "vedette_outbox_dropped",
            "Messages dropped before a receiver took them (reason: age, count, bytes)",
            ["sink", "reason"],
            registry=registry,
        )
        self.outbox_parked = Gauge(
            "vedette_outbox_parked",
            "Messages put aside that a receiver does not take, kept until they are too old",
            ["sink"],
            registry=registry,
        )
        self.degraded = Gauge(
            "vedette_degraded",
            "1 while a part does not do all it should (part: store, journal, outbox, …)",
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
            "1 while frames arrive, 0 while the camera is offline or stale; none if it is disabled",
            ["camera"],
            registry=registry,
        )
        self.camera_state = Gauge(
            "vedette_camera_state",
            "1 for the state that the camera is in, 0 for the others",
            ["camera", "state"],
            registry=registry,
        )
        self.worker_restarts = Counter(
            "vedette_worker_restarts",
            "Restarts of a worker that died or fell silent",
            ["worker"],
            registry=registry,
        )
        self.build_info = Gauge(
            "vedette_build_info",
            "Always 1; the version is in the label",
            ["version"],
            registry=registry,
        )
        # A gauge without labels has a sample from the start, in every worker: the 0 of those that
        # never set it would hide the value of the one that does. `snapshot` leaves NaN out.
        for gauge in vars(self).values():
            if isinstance(gauge, Gauge) and not gauge._labelnames:
                gauge.set(math.nan)

    def show_cameras(
        self, states: Mapping[str, str], arriving: Set[str], possible: Sequence[str]
    ) -> None:
        """Set the state of all cameras; those that are not named lose their series.

        Args:
            states: Name → state.
            arriving: Names of those whose frames arrive.
            possible: All states that there are.
        """
        self.camera_up.clear()
        self.camera_state.clear()
        for camera, now in states.items():
            for state in possible:
                self.camera_state.labels(camera, state).set(state == now)
            if now != "disabled":
                self.camera_up.labels(camera).set(camera in arriving and now != "stale")

    def forget_camera(self, camera: str) -> None:
        """Remove all series of a camera that is no more."""
        for metric in vars(self).values():
            if "camera" in getattr(metric, "_labelnames", ()):
                metric.remove_by_labels({"camera": camera})
