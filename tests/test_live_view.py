"""What a person sees of a running Vedette."""

from io import StringIO

from rich.console import Console

from pipeline.cli.live_view import LiveView, event_line, score_bar


def body(index: int, score: float | None = 0.5, **more: object) -> dict[str, object]:
    return {
        "connection": 1,
        "index": index,
        "captured_at": 100.0,
        "scored_at": 100.25,
        "dropped": 0,
        "state": "ready",
        "progress": "",
        "score": score,
        **more,
    }


def drawn(view: LiveView) -> str:
    console = Console(file=StringIO(), width=160)
    console.print(view.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_row_says_all_that_matters() -> None:
    view = LiveView(["street", "yard"])
    view.update_status("street", "watching")
    for index in range(30):
        view.update_score("street", body(index, score=1.25), now=index / 10)
    view.update_score("yard", body(0, None, state="collecting", progress="3/10"), now=0.0)
    street, yard = drawn(view).splitlines()[1:]
    for text in ("street", "watching", "ready", "1.25", "10.0", "250 ms"):
        assert text in street
    for text in ("yard", "starting", "collecting 3/10"):
        assert text in yard


def test_dropped_frames_do_not_count_as_scored() -> None:
    view = LiveView(["street"])
    for number in range(20):
        view.update_score("street", body(number * 3, dropped=number * 2), now=number / 10)
    assert view.rows["street"].frames_per_second == 10.0
    assert view.rows["street"].dropped == 38


def test_another_connection_begins_another_rate() -> None:
    view = LiveView(["street"])
    for index in range(100, 120):
        view.update_score("street", body(index), now=index / 10)
    view.update_score("street", body(0, connection=2), now=12.0)
    assert view.rows["street"].frames_per_second is None


def test_a_status_is_reported_once() -> None:
    view = LiveView(["street"])
    assert view.update_status("street", "offline: refused")
    assert not view.update_status("street", "offline: refused")
    assert view.update_status("street", "adapting: 1/10")
    assert not view.update_status("street", "adapting: 2/10")
    assert view.update_status("street", "watching: 1/60 s")
    assert not view.update_status("street", "watching")
    assert view.update_status("street", "offline: timeout")


def test_bar() -> None:
    assert score_bar(None).plain == "·" * 16 + "│" + "·" * 8
    assert score_bar(0.75).plain == "█" * 12 + "·" * 4 + "│" + "·" * 8
    assert score_bar(99.0).plain == "█" * 16 + "│" + "█" * 8
    assert score_bar(-3.0).plain == score_bar(None).plain
    assert {str(span.style) for span in score_bar(1.0).spans} >= {"red"}


def event(change: str, **more: object) -> dict[str, object]:
    return {
        "camera": "street",
        "change": change,
        "peak_score": 2.345,
        "duration_seconds": 4.0,
        "suppressed_by": "cooldown" if change == "suppressed" else None,
        "snapshot": None,
        "heatmap": None,
        **more,
    }


def test_events_in_words_with_their_pictures() -> None:
    line = event_line(event("new", heatmap="/data/events/street/1/heatmap.jpg"))
    assert line == "street: event began, score 2.35\n    /data/events/street/1/heatmap.jpg"
    assert event_line(event("end")) == "street: event ended after 4.0 s, highest score 2.35"
    assert "no notification is sent" in (event_line(event("suppressed")) or "")
    outside = event_line(event("suppressed", suppressed_by="schedule")) or ""
    assert "outside of the schedule" in outside
    assert "continues into the hours of the schedule" in (event_line(event("released")) or "")
    assert event_line(event("update")) is None
