"""Records the events of a running demo beside what was planned."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from cameras.simulation import PlannedAnomaly
from pipeline.cli.demo_report import DemoReport, ReportedEvent, judge, planned_at
from pipeline.transport.messages import Live


class DemoRecorder:
    """Records events and scores, in seconds of the scene.

    `receive` is called in another thread; everything else is called after the run.
    """

    def __init__(
        self,
        planned: Sequence[PlannedAnomaly],
        scene_started_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin to record.

        Args:
            planned: What happens in the scene.
            scene_started_at: Wall clock of the scene's first frame, Unix seconds.
            clock: Unix seconds.
        """
        self._planned = planned
        self._scene_started_at = scene_started_at
        self._clock = clock
        self._began_at = clock()
        self._events: dict[str, ReportedEvent] = {}
        self._latencies: list[float] = []
        self.seconds_to_first_score: float | None = None
        """From the start of the pipeline; None: there was none."""
        self.suppressed: set[str] = set()
        """Ids of events without notification: those of the calibration window."""
        self.frames_dropped = 0
        """On the newest connection."""

    @property
    def frames_scored(self) -> int:
        """How many scores arrived."""
        return len(self._latencies)

    @property
    def latency_seconds(self) -> float | None:
        """Median from the arrival of a frame to its score; None: there was none."""
        return median(self._latencies) if self._latencies else None

    def receive(self, update: Live) -> str:
        """Take a live update; return, for a new event, what was planned at that time."""
        if update.kind == "score":
            self._receive_score(update.body)
            return ""
        return self._receive_event(update.body)

    def report(self, watched_seconds: float) -> DemoReport:
        """Compare all recorded events with the plan.

        Args:
            watched_seconds: How long the pipeline was to watch. Anomalies planned later are left
                out; an earlier one without an event is missed, whatever the reason.
        """
        events = sorted(self._events.values(), key=lambda event: event.began_seconds)
        until = min(self._clock(), self._began_at + watched_seconds)
        return judge(self._planned, events, self._in_scene(until))

    def _receive_score(self, body: dict[str, object]) -> None:
        scored_at, captured_at = body["scored_at"], body["captured_at"]
        assert isinstance(scored_at, float)
        assert isinstance(captured_at, float)
        dropped = body["dropped"]
        assert isinstance(dropped, int)
        self.frames_dropped = dropped
        if body["score"] is None:
            return
        if self.seconds_to_first_score is None:
            self.seconds_to_first_score = scored_at - self._began_at
        self._latencies.append(scored_at - captured_at)

    def _receive_event(self, body: dict[str, object]) -> str:
        name, started_at, ended_at = str(body["id"]), body["started_at"], body["ended_at"]
        assert isinstance(started_at, float)
        if body["suppressed"]:
            self.suppressed.add(name)
            return ""
        is_new = name not in self._events
        if is_new:
            now = self._in_scene(self._clock())
            self._events[name] = ReportedEvent(name, self._in_scene(started_at), now, None)
        event = self._events[name]
        if isinstance(ended_at, float):
            event = self._events[name] = replace(event, ended_seconds=self._in_scene(ended_at))
        if not is_new:
            return ""
        kinds = [
            one.kind.replace("_", " ")
            for one in planned_at(self._planned, event.began_seconds, event.ended_seconds)
        ]
        planned = f"planned now: {', '.join(kinds)}" if kinds else "nothing is planned now"
        return f"\n    {planned}"

    def _in_scene(self, unix_seconds: float) -> float:
        return unix_seconds - self._scene_started_at
