"""What the benchmark of three cameras counts in a score log."""

from benchmarks.continuity import continuity
from pipeline.events.score_record import ScoreRecord


def log(*places: tuple[int, int, int]) -> list[ScoreRecord]:
    """A log of (connection, index, dropped)."""
    return [
        ScoreRecord("a", connection, index, 0.0, 0.0, None, "ready", dropped=dropped)
        for connection, index, dropped in places
    ]


def test_live_camera_may_drop_what_it_counts() -> None:
    found = continuity(log((5, 0, 0), (5, 3, 2), (5, 4, 2), (9, 1, 1), (9, 2, 1)))
    assert found.whole
    assert (found.frames, found.dropped, found.connections) == (5, 3, 2)


def test_live_camera_that_loses_a_frame_in_silence() -> None:
    found = continuity(log((5, 0, 0), (5, 3, 1), (5, 4, 1)))
    assert (found.holes, found.whole) == (1, False)


def test_more_reported_than_missing_is_no_better() -> None:
    assert continuity(log((5, 0, 0), (5, 1, 1))).holes == 1


def test_twice_and_too_late() -> None:
    found = continuity(log((5, 0, 0), (5, 1, 0), (5, 1, 0), (5, 0, 0), (5, 2, 0)))
    assert (found.duplicates, found.holes, found.whole) == (2, 0, False)


def test_passes_of_a_recording() -> None:
    whole = log((5, 0, 0), (5, 1, 0), (6, 0, 0), (6, 1, 0), (7, 0, 0))
    assert continuity(whole, pass_frames=2).whole
    assert continuity(whole[1:], pass_frames=2).holes == 1
    assert continuity(log((5, 0, 0), (6, 0, 0)), pass_frames=2).holes == 1
    assert continuity(log((5, 0, 0), (5, 1, 0), (7, 0, 0)), pass_frames=2).holes == 2
    assert continuity(log((5, 0, 0), (5, 2, 1), (6, 0, 0)), pass_frames=3).holes == 1


def test_an_empty_log_is_not_whole() -> None:
    assert not continuity([]).whole
