"""The demo: its report is correct, and the password appears nowhere."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cameras.simulation import PlannedAnomaly
from pipeline.cli.demo_recorder import DemoRecorder
from pipeline.cli.demo_report import ReportedEvent, judge, planned_at, report_table
from pipeline.transport.messages import Live

CYCLIST = PlannedAnomaly("cyclist", 70.0, 6.0)
RUNNER = PlannedAnomaly("runner", 80.0, 6.0)
PLAN = (CYCLIST, RUNNER)


def told(began: float, ended: float | None, after: float = 0.6) -> ReportedEvent:
    return ReportedEvent(f"e{began}", began, began + after, ended)


def test_an_event_during_an_anomaly_catches_it() -> None:
    report = judge(PLAN, [told(71.0, 75.0)], until=120.0)
    first, second = report.judged
    assert first.seconds_to_detect == pytest.approx(1.6)
    assert second.event is None
    assert second.seconds_to_detect is None
    assert report.caught == 1
    assert report.false_alarms == ()


@pytest.mark.parametrize(
    ("began", "ended", "caught"),
    [
        (60.0, 69.9, None),
        (60.0, 70.5, CYCLIST),
        (77.4, 78.0, CYCLIST),
        (77.6, 79.0, None),
        (86.0, None, RUNNER),
        (90.0, None, None),
    ],
)
def test_what_an_event_belongs_to(
    began: float, ended: float | None, caught: PlannedAnomaly | None
) -> None:
    report = judge(PLAN, [told(began, ended)], until=120.0)
    assert [one.planned for one in report.judged if one.event] == ([caught] if caught else [])
    assert len(report.false_alarms) == (caught is None)


def test_an_event_that_never_ends_catches_no_more_than_was_watched() -> None:
    report = judge(PLAN, [told(71.0, None)], until=79.0)
    assert [one.planned for one in report.judged] == [CYCLIST]
    assert report.caught == 1


def test_an_event_over_two_anomalies_catches_both_the_second_at_once() -> None:
    report = judge(PLAN, [told(71.0, 85.0)], until=120.0)
    assert report.caught == 2
    assert report.judged[1].seconds_to_detect == 0.0


def test_while_an_event_goes_on_what_comes_later_is_no_reason_for_it() -> None:
    assert planned_at(PLAN, 60.0, None) == ()
    assert planned_at(PLAN, 75.0, None) == (CYCLIST,)


def test_the_table_says_what_was_missed() -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(report_table(judge(PLAN, [told(71.0, 75.0)], until=120.0)))
    console.file.close()
    rows = [re.split(r"\s{2,}", line.strip()) for line in console.export_text().splitlines()]
    assert ["cyclist", "70.0 s", "76.0 s", "yes", "1.6 s"] in rows
    assert ["runner", "80.0 s", "86.0 s", "missed"] in rows


def score(captured_at: float, value: float | None, dropped: int = 0) -> Live:
    body = {"scored_at": captured_at + 0.05, "captured_at": captured_at, "dropped": dropped}
    return Live("street", "score", {**body, "score": value})


def event(started_at: float, ended_at: float | None = None, *, suppressed: bool = False) -> Live:
    body = {"id": f"street-{started_at}", "started_at": started_at, "ended_at": ended_at}
    return Live("street", "event", {**body, "suppressed": suppressed})


def test_the_recorder_counts_from_the_start_of_the_scene() -> None:
    now = 1000.0
    recorder = DemoRecorder(PLAN, scene_started_at=990.0, clock=lambda: now)
    assert recorder.receive(score(1004.0, None)) == ""
    assert recorder.seconds_to_first_score is None
    assert recorder.latency_seconds is None
    for captured_at in (1008.0, 1020.0, 1090.0):
        recorder.receive(score(captured_at, 0.2, dropped=3))
    assert recorder.seconds_to_first_score == pytest.approx(8.05)
    assert recorder.latency_seconds == pytest.approx(0.05)
    assert (recorder.frames_scored, recorder.frames_dropped) == (3, 3)

    now = 1062.5
    assert recorder.receive(event(1062.0)) == "\n    planned now: cyclist"
    now = 1066.0
    assert recorder.receive(event(1062.0, 1065.0)) == ""
    now = 1091.0
    assert recorder.receive(event(1090.5)) == "\n    nothing is planned now"

    report = recorder.report(watched_seconds=120.0)
    assert [one.seconds_to_detect for one in report.judged] == [pytest.approx(2.5), None]
    assert [alarm.began_seconds for alarm in report.false_alarms] == [pytest.approx(100.5)]


def test_what_is_recorded_while_learning_is_neither_caught_nor_a_false_alarm() -> None:
    recorder = DemoRecorder(PLAN, scene_started_at=990.0, clock=lambda: 1062.0)
    assert recorder.receive(event(1020.0, suppressed=True)) == ""
    assert recorder.receive(event(1020.0, 1062.0, suppressed=True)) == ""
    assert recorder.report(120.0).false_alarms == ()
    assert recorder.report(120.0).caught == 0
    assert len(recorder.suppressed) == 1


def test_what_a_silent_pipeline_did_not_tell_is_missed() -> None:
    times = iter((1000.0, 1090.0, 1090.0))
    recorder = DemoRecorder(PLAN, scene_started_at=1000.0, clock=lambda: next(times))
    assert [one.event for one in recorder.report(120.0).judged] == [None, None]
    assert [one.planned for one in recorder.report(75.0).judged] == [CYCLIST]


def test_a_demo_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "demo", "--data-folder", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        page = ""
        for line in process.stdout:
            lines.append(line)
            if "street: adapting" in line:  # frames have come over RTSP, past its guard
                address = re.search(r"http://127\.0\.0\.1:\d+/", "".join(lines))
                assert address is not None
                page = httpx.get(address[0], timeout=20).text
                process.send_signal(signal.SIGINT)
                break
        rest, errors = process.communicate(timeout=60)
    output = "".join(lines) + rest
    assert process.returncode == 0, output + errors

    assert "<title>Vedette</title>" in page

    (folder,) = tmp_path.iterdir()
    configuration = (folder / "vedette.yaml").read_text()
    found = re.search(r"rtsp://demo:([^@]+)@127\.0\.0\.1:\d+/street", configuration)
    assert found is not None
    assert "rtsp://***@127.0.0.1" in output
    assert str(folder) in output
    assert "false alarms: 0" in output
    logs = "".join(path.read_text() for path in folder.rglob("*.log"))
    assert found[1] not in output + errors + logs
