"""What a chaos run says of its promises, given what it found."""

from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.chaos.checks import Message, ObservedEvent, ProcessReading
from benchmarks.chaos.findings import Findings, Recovery
from benchmarks.chaos.report import judged, print_report
from benchmarks.chaos.schedule import Fault
from benchmarks.continuity import Continuity
from pipeline.events.score_record import ScoreRecord

METRICS = """\
vedette_sink_failures_total{sink="score_log"} 2.0
vedette_worker_restarts_total{worker="sink"} 1.0
"""
KILLED, BROKER = Fault(80, "kill sink", 0), Fault(90, "broker away", 10)


def good() -> Findings:
    """Findings of a run in which all was well."""
    messages = [
        Message(f"a-1-0:{kind}:{at}", kind, "a-1-0", at) for at, kind in ((1, "new"), (9, "end"))
    ]
    found = Findings(1, 20, ["a"], {}, 1000.0, 4, [KILLED, BROKER])
    found.recoveries = [Recovery(KILLED, 1080.0, 1080.0), Recovery(BROKER, 1090.0, 1100.0)]
    found.seen = [
        (1088.0, ScoreRecord("a", 1, 9, 86.0, 1086.0, 0.1, "ready", energy=0.1, threshold=1.0)),
    ]
    found.metrics, found.exit_code, found.kills = METRICS, 0, Counter(sink=1)
    found.events = [ObservedEvent("a-1-0", "a", 1030.0, 1032.0, suppressed=False)]
    found.journal = {"a-1-0"}
    found.scores = {"a": Continuity(frames=100, holes=2, connections=1)}
    found.shown = {"a": []}
    found.received = {name: [(1031.0, one) for one in messages] for name in ("mqtt", "webhook")}
    found.published_at = [1031.0, 1103.0]
    found.readings = [
        ProcessReading(seconds, "sink", 7, 90_000_000, 50) for seconds in range(0, 600, 5)
    ]
    return found


def broken(found: Findings) -> list[str]:
    """First words of the promises that were broken."""
    return [
        one.what.split()[0] + " " + one.what.split()[1] for one in judged(found) if not one.kept
    ]


def test_all_is_well() -> None:
    found = good()
    assert broken(found) == []
    assert [one.seconds_back for one in found.recoveries] == [8.0, 3.0]


def test_the_report_can_be_read() -> None:
    found, shown = good(), StringIO()
    print_report(Console(file=shown, width=110), found, judged(found))
    assert "kill sink" in shown.getvalue()
    assert "kept    every frame has one score, or is counted: 2 missing, 2 counted" in (
        shown.getvalue()
    )
    assert "BROKEN" not in shown.getvalue()


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ({"exit_code": 1}, "the service"),
        ({"ended_early": True}, "the service"),
        ({"kills": Counter()}, "no worker"),
        ({"published_at": [1031.0]}, "the service"),
        ({"seen": []}, "the service"),
        ({"scores": {"a": Continuity(frames=100, holes=3)}}, "every frame"),
        ({"scores": {"a": Continuity(frames=100, duplicates=1)}}, "every frame"),
        ({"scores": {"a": Continuity()}}, "every frame"),
        ({"journal": {"a-1-0", "a-1-9"}}, "every event"),
        ({"events": [ObservedEvent("a-1-0", "a", 1030.0, None, suppressed=False)]}, "every event"),
        ({"forged": 1}, "every webhook"),
        ({"waiting": 1}, "the outbox"),
        ({"leaks": ["logs/sink.log"]}, "no secret"),
        ({"left": ["process 7"]}, "nothing is"),
        (
            {
                "readings": [
                    ProcessReading(at, "sink", 7, 30_000 * at, 50) for at in range(0, 600, 5)
                ]
            },
            "memory does",
        ),
        (
            {
                "readings": [
                    ProcessReading(at, "sink", 7, 9, 50 + at // 20) for at in range(0, 600, 5)
                ]
            },
            "descriptors do",
        ),
    ],
)
def test_a_broken_promise_is_found(change: dict[str, object], promise: str) -> None:
    assert broken(replace(good(), **change)) == [promise]  # type: ignore[arg-type]


def test_a_message_that_one_receiver_never_got() -> None:
    found = good()
    found.received["webhook"].pop()
    assert broken(found) == ["webhook: begin"]


def test_secrets_are_looked_for_in_files_and_messages(tmp_path: Path) -> None:
    found = good()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sink.log").write_text("with planted-pass in it")
    (tmp_path / "fine").write_text("without")
    found.note_secrets(tmp_path, ["planted-pass"], [b"nothing", b"a planted-pass"])
    assert found.leaks == ["logs/sink.log", "MQTT"]
