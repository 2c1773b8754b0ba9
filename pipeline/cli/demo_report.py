"""What the demo planned against what was detected: hits, times to detect, false alarms.

Pure functions. All times are seconds of the scene, counted from its first frame.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from cameras.simulation import PlannedAnomaly

SLACK_SECONDS = 1.5
"""An event may begin this long after the end of its anomaly: clips and transport add delay."""


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """An event as a watcher receives it."""

    id: str
    began_seconds: float
    """When its first frame was captured."""
    reported_seconds: float
    """When its first message arrived."""
    ended_seconds: float | None
    """When its last frame was captured; None while it goes on."""


@dataclass(frozen=True, slots=True)
class AnomalyOutcome:
    """One planned anomaly, and whether it was detected."""

    planned: PlannedAnomaly
    event: ReportedEvent | None
    """The first event that overlaps it; None: it was missed."""

    @property
    def seconds_to_detect(self) -> float | None:
        """From its start until the message arrived; 0 if an event was going on; None: missed."""
        if self.event is None:
            return None
        return max(0.0, self.event.reported_seconds - self.planned.start_seconds)


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Result of a demo."""

    judged: tuple[AnomalyOutcome, ...]
    false_alarms: tuple[ReportedEvent, ...]
    """Events during which no anomaly was shown."""

    @property
    def caught(self) -> int:
        """Number of planned anomalies that were detected."""
        return sum(one.event is not None for one in self.judged)


def planned_at(
    planned: Iterable[PlannedAnomaly], began: float, ended: float | None
) -> tuple[PlannedAnomaly, ...]:
    """Anomalies shown during an event; empty: it is a false alarm."""
    return tuple(
        one
        for one in planned
        if began <= one.end_seconds + SLACK_SECONDS
        and (ended is None or ended >= one.start_seconds)
        # An event that goes on was not caused by what has not begun yet.
        and (ended is not None or began >= one.start_seconds)
    )


def judge(
    planned: Sequence[PlannedAnomaly], events: Sequence[ReportedEvent], until: float
) -> DemoReport:
    """Compare the plan with the events.

    Args:
        planned: The plan.
        events: In the order in which they began.
        until: How long the scene was watched; anomalies planned later are left out.
    """
    shown = [one for one in planned if one.start_seconds < until]
    ended = {
        event.id: until if event.ended_seconds is None else event.ended_seconds for event in events
    }
    return DemoReport(
        judged=tuple(
            AnomalyOutcome(
                one,
                next(
                    (e for e in events if planned_at([one], e.began_seconds, ended[e.id])),
                    None,
                ),
            )
            for one in shown
        ),
        false_alarms=tuple(
            event for event in events if not planned_at(shown, event.began_seconds, ended[event.id])
        ),
    )


def report_table(report: DemoReport) -> Table:
    """One row a planned anomaly."""
    table = Table(box=None, pad_edge=False, title="planned anomalies", title_justify="left")
    table.add_column("anomaly")
    table.add_column("from", justify="right")
    table.add_column("to", justify="right")
    table.add_column("caught")
    table.add_column("time to detect", justify="right")
    for one in report.judged:
        seconds = one.seconds_to_detect
        table.add_row(
            one.planned.kind.replace("_", " "),
            f"{one.planned.start_seconds:.1f} s",
            f"{one.planned.end_seconds:.1f} s",
            "missed" if seconds is None else "yes",
            "" if seconds is None else f"{seconds:.1f} s",
        )
    return table
