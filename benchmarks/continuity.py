"""Check that the score log of a camera has every frame once. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.events.score_record import ScoreRecord


@dataclass(slots=True)
class Continuity:
    """Counts of a score log."""

    frames: int = 0
    """Frames that have a score."""
    dropped: int = 0
    """Frames that the pipeline reported as dropped, in all connections."""
    duplicates: int = 0
    """Second scores of a frame, and scores after that of a later frame."""
    holes: int = 0
    """Frames that are missing but not reported as dropped, or present but reported as dropped."""
    connections: int = 0

    @property
    def whole(self) -> bool:
        """Whether every frame that was not reported as dropped has exactly one score."""
        return self.frames > 0 and self.duplicates == 0 and self.holes == 0


def continuity(records: Iterable[ScoreRecord], pass_frames: int | None = None) -> Continuity:
    """Count missing and duplicate frames.

    Args:
        records: Of one camera, in the order of the log.
        pass_frames: Frames of each pass of a looped recording: all passes but the last are
            complete, and none drops a frame. None: a live camera, whose connections end anywhere.
    """
    found = Continuity()
    last: ScoreRecord | None = None
    for record in records:
        if last is not None and record.position <= last.position:
            found.duplicates += 1
            continue
        found.frames += 1
        if last is None or record.connection != last.connection:
            if last is not None and pass_frames is not None:
                skipped = record.connection - last.connection - 1
                found.holes += pass_frames * skipped + abs(pass_frames - 1 - last.index)
            found.connections += 1
            expected, dropped_before = 0, 0
        else:
            expected, dropped_before = last.index + 1, last.dropped
        dropped = record.dropped - dropped_before
        found.dropped += dropped
        found.holes += abs(record.index - expected - (dropped if pass_frames is None else 0))
        last = record
    return found
