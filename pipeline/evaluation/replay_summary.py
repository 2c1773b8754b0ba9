"""Summary of a replay in one line."""

from pipeline.evaluation.replay import ReplayedFrame
from pipeline.events.event import Event
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord


class ReplaySummary:
    """Counts frames and events; the events are those of the live pipeline without its cool-down."""

    def __init__(self, camera: str) -> None:
        """Start before the first frame.

        Args:
            camera: Name of the recording.
        """
        self._camera = camera
        self._tracker = EventTracker(EventSettings(cooldown_seconds=0.0))
        self._ended: list[Event] = []
        self.frames = 0
        self.seconds = 0.0
        """Stream time of the newest frame."""
        self.damaged = 0
        """Number of damaged frames, which are not scored."""

    def take(self, frame: ReplayedFrame) -> None:
        """Take the next frame."""
        self.frames += 1
        self.seconds = frame.pts_seconds
        record = ScoreRecord(
            camera=self._camera,
            connection=0,
            index=frame.index,
            pts_seconds=frame.pts_seconds,
            captured_at=frame.pts_seconds,
            score=frame.judgement.score,
            state=frame.judgement.state,
        )
        changes = self._tracker.update(record)
        self._ended += [change.event for change in changes if change.kind == "end"]

    def take_damaged(self, count: int) -> None:
        """Count damaged frames."""
        self.damaged += count

    def events(self) -> list[Event]:
        """All events in order, including an open one."""
        going_on = self._tracker.active
        return self._ended if going_on is None else [*self._ended, going_on]

    def line(self, took_seconds: float) -> str:
        """Summary line at the end.

        Args:
            took_seconds: Wall time of the replay.
        """
        pace = f"{self.frames} frames in {took_seconds:.1f} s"
        rate = f"{self.frames / took_seconds:.1f} frames/s"
        if self.damaged:
            rate += f"; {self.damaged} damaged frames not scored"
        events = self.events()
        if not events:
            return f"{pace}, {rate}; no event above the threshold"
        count = "1 event" if len(events) == 1 else f"{len(events)} events"
        return f"{pace}, {rate}; {count} above the threshold: {', '.join(map(_span, events))}"


def _span(event: Event) -> str:
    begin = event.started_pts_seconds
    return f"{begin:.1f} to {begin + event.duration_seconds:.1f} s"
