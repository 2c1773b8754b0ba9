"""`vedette demo`: the pipeline on a synthetic street over real RTSP, compared with its plan."""

import secrets
import sys
import time
from pathlib import Path

from rich.console import Console

from cameras.address import redact
from cameras.simulation import open_synthetic, planned_demo
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.source import SourceOptions
from pipeline.cli.demo_recorder import DemoRecorder
from pipeline.cli.demo_report import DemoReport, report_table
from pipeline.cli.run import watch
from pipeline.config import Api, load_config
from pipeline.runtime.local_engine import local_service
from pipeline.runtime.signals import stop_on_signals
from pipeline.telemetry.logs import Redactor, secrets_of, set_up_logging
from pipeline.transport.listening import listen

CAMERA = "street"
FRAMES_PER_SECOND = 15
_TURN_SECONDS = 0.2

_CONFIGURATION = """\
# Written by `vedette demo`. The camera, its user and its password existed for the time of the demo.
cameras:
  {camera}:
    source: {{url: "{address}"}}
detect: {{fps: 10}}
# Ten clips in eight seconds, so that there is something to see soon.
adapt: {{frames: 10, interval: 0.8, calibrate: 45}}
# Short anomalies are five seconds apart here, and each shall raise an event. One false alarm in
# ten minutes is far too much for a camera that runs for years, and little for two minutes.
alert: {{target_false_alarms_per_day: 144, min_duration: 0.5, merge_gap: 1.5, cooldown: 0}}
metrics: {{port: 0}}
"""
_DASHBOARD = """\
# The dashboard, for this machine only.
api: {{enabled: true, port: {port}}}
"""


def demo(seconds: float, seed: int, data_folder: Path, dashboard: bool = True) -> None:
    """Watch a synthetic street for a while, and report what was detected.

    Args:
        seconds: Ends by itself after so long.
        seed: Which street is drawn, 0 or more.
        data_folder: Gets a folder of its own for every demo.
        dashboard: Serve the dashboard on loopback meanwhile.

    Raises:
        ValueError: the seed is negative.
        OSError: the data folder cannot be written.
        SystemExit: with 1, a worker was given up.
    """
    street = open_synthetic(
        f"synthetic:street?seed={seed}&plan=demo&fps={FRAMES_PER_SECOND}", SourceOptions()
    )
    stop = stop_on_signals()
    console = Console()
    folder = data_folder / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True)
    authentication = RtspAuthentication("demo", secrets.token_urlsafe(9))
    mounts = {CAMERA: Mount(lambda: street, frames_per_second=FRAMES_PER_SECOND)}
    with RtspServer(mounts, authentication=authentication) as server:
        _say(console, "Drawing a street …")
        while not street.started.wait(_TURN_SECONDS) and not stop.is_set():
            pass
        address = server.address(CAMERA)
        config_path = folder / "vedette.yaml"
        text = _CONFIGURATION.format(camera=CAMERA, address=address)
        port = _dashboard_port() if dashboard else None
        config_path.write_text(text if port is None else text + _DASHBOARD.format(port=port))
        config = load_config(config_path)
        level = "WARNING"
        redactor = Redactor(secrets_of(config.model_dump(mode="json")))
        set_up_logging("vedette", redactor, level=level, folder=folder / "logs")
        planned = planned_demo(seconds)
        _say(console, f"A synthetic street is streamed at {redact(address)}")
        _say(console, f"Configuration, events and pictures: {folder}")
        if port is not None:
            _say(console, f"Look at it in a browser: http://127.0.0.1:{port}/")
        if planned:
            _say(
                console,
                f"Nothing out of place happens in the first {planned[0].start_seconds:.0f} s; "
                "Ctrl-C ends the demo.",
            )
        recorder = DemoRecorder(planned, street.started_at or time.time())
        with local_service(config, folder, level) as supervisor:
            outcome = watch(supervisor, config, stop, console, seconds, recorder.receive)
    _sum_up(console, recorder, recorder.report(seconds))
    for name, why in outcome.failed.items():
        print(f"vedette: {name}: {why}", file=sys.stderr)
    if outcome.failed:
        raise SystemExit(1)


def _dashboard_port() -> int:
    """The usual port where it is free, else any that is."""
    for port in (Api().port, 0):
        try:
            with listen("127.0.0.1", port) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    raise OSError("127.0.0.1: want a free port for the dashboard, got none; use --no-dashboard")


def _sum_up(console: Console, recorder: DemoRecorder, report: DemoReport) -> None:
    """Print detections, false alarms, and speed."""
    console.print()
    if report.judged:
        console.print(report_table(report))
        console.print()
        _say(console, f"caught: {report.caught} of {len(report.judged)} planned anomalies")
    when = ", ".join(f"at {event.began_seconds:.1f} s" for event in report.false_alarms)
    _say(console, f"false alarms: {len(report.false_alarms)}{f' ({when})' if when else ''}")
    if recorder.suppressed:
        _say(console, f"recorded while learning the scene: {len(recorder.suppressed)}")
    first, latency = recorder.seconds_to_first_score, recorder.latency_seconds
    _say(console, f"first score: {'none' if first is None else f'after {first:.1f} s'}")
    if latency is not None:
        _say(
            console,
            f"frames: {recorder.frames_scored} scored, {recorder.frames_dropped} dropped, "
            f"{latency * 1000:.0f} ms from a frame's arrival to its score (median)",
        )


def _say(console: Console, line: str) -> None:
    # Soft wrap: a path that is broken over lines cannot be clicked or copied.
    console.print(line, highlight=False, markup=False, soft_wrap=True)
