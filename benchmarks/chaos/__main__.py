"""Inject faults around and inside a running service, and check its guarantees.

    python -m benchmarks.chaos --minutes 20 --calm 8 --seed 1

`vedette run` with cameras of synthetic streets (RTSP over TCP and UDP, a file and a folder of
images, looped), a real mosquitto with a subscriber, and a webhook receiver that verifies
signatures, all on the loopback interface. By a random schedule, RTSP servers stall, reset and stop,
every worker is killed, receivers stop, and the disk is full. Then nothing fails for some minutes,
in which every worker runs long enough to measure its growth. The exit status is 1 where a guarantee
is broken. The number of detected anomalies is reported, but not checked.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.chaos.faults import World
from benchmarks.chaos.findings import Findings
from benchmarks.chaos.report import judged, print_report
from benchmarks.chaos.schedule import schedule
from benchmarks.chaos.service import (
    ServiceProcess,
    fetch,
    stored_events,
    wait_for,
    waiting_messages,
)
from benchmarks.chaos.streets import FRAMES_PER_SECOND, Reel, draw_street, write_film
from benchmarks.chaos.world import (
    Broker,
    Disk,
    Subscriber,
    WebhookReceiver,
    free_port,
)
from benchmarks.three_cameras import leftovers
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer

DETECT_FRAMES_PER_SECOND = 4
PASSWORD_VARIABLE = "VEDETTE_CHAOS_PASSWORD"
PASSWORD = "planted-chaos-pass"
SECRET = "planted-chaos-signing-key"
ALERT = {
    "target_false_alarms_per_day": 96, "min_duration": 0.5, "merge_gap": 1.5, "cooldown": 3.0
}  # fmt: skip
_SETTLE_SECONDS = 120.0
_WIDTH = 110


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--calm", type=float, default=8.0, help="minutes afterwards in which nothing fails"
    )
    parser.add_argument("--cameras", type=int, default=6, help="3 or more; two are recordings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same as one object")
    parser.add_argument(
        "--disk",
        choices=("tmpfs", "limit"),
        default="tmpfs" if os.getuid() == 0 else "limit",
        help="how the disk is full: a small file system (root only), or a limit of file sizes",
    )
    options = parser.parse_args()
    if options.cameras < 3 or options.minutes < 2 or options.calm < 0:
        parser.error("want 3 cameras and 2 minutes at least, and no less than 0 minutes of calm")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))  # always unmount
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    with tempfile.TemporaryDirectory(prefix="vedette-chaos-") as folder:
        findings = run(Path(folder), options, console)
    promises = judged(findings)
    print_report(console, findings, promises)
    if options.json:
        found = {**findings.as_json(), "promises": [asdict(one) for one in promises]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if all(one.kept for one in promises) else 1)


def run(folder: Path, options: argparse.Namespace, console: Console) -> Findings:
    """Draw the streets, run the service with faults, and collect the results."""
    live = [f"gate{number}" for number in range(1, options.cameras - 1)]
    cameras = [*live, "film", "pictures"]
    console.print(f"Drawing {len(cameras)} streets …")
    streets = {name: folder / f"{name}-street" for name in cameras}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(draw_street, streets.values(), range(1, len(cameras) + 1)))
    write_film(folder / "film.mp4", streets["film"])
    os.environ[PASSWORD_VARIABLE] = PASSWORD
    before = leftovers()
    faults = schedule(options.seed, options.minutes, cameras, live)
    scratch = folder / "tmp"
    scratch.mkdir()
    with ExitStack() as stack:
        disk = stack.enter_context(
            Disk(folder / "disk", options.disk, lambda: [service.pid, *service.workers().values()])
        )
        data_folder = disk.folder / "data"
        service = ServiceProcess(folder / "vedette.yaml", data_folder, scratch)
        broker = Broker(folder / "broker")
        stack.callback(broker.stop)
        broker.start()
        subscriber = Subscriber(broker.port)
        stack.callback(subscriber.close)
        webhook = WebhookReceiver(SECRET)
        stack.callback(webhook.stop)
        webhook.start()
        shown_at = time.time()
        servers = {
            name: stack.enter_context(
                RtspServer(
                    {
                        "street": Mount(
                            partial(Reel, streets[name], shown_at),
                            frames_per_second=FRAMES_PER_SECOND,
                        )
                    },
                    authentication=RtspAuthentication("chaos", PASSWORD),
                )
            )
            for name in live
        }
        ports = {"metrics": free_port(), "api": free_port()}
        recordings = {"film": folder / "film.mp4", "pictures": streets["pictures"]}
        config = configuration(servers, recordings, data_folder, ports, broker.port, webhook.port)
        (folder / "vedette.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        findings = Findings(
            options.seed,
            options.minutes,
            live,
            recordings,
            shown_at,
            DETECT_FRAMES_PER_SECOND,
            faults,
        )
        world = World(service, servers, broker, webhook, disk, ports["api"])
        service.start()
        try:
            console.print(f"{len(faults)} faults in {options.minutes:g} minutes …")
            findings.recoveries = world.run(faults, options.minutes * 60.0, console)
            wait_for(lambda: service.ended, options.calm * 60.0)
            settled = wait_for(
                lambda: service.ended or waiting_messages(data_folder) == 0, _SETTLE_SECONDS
            )
            findings.metrics = fetch(ports["metrics"], "/metrics") or ""
            findings.ended_early = service.ended
        finally:
            findings.exit_code = service.stop()
        if not settled or waiting_messages(data_folder):
            # Messages that could not be delivered before the end are delivered by the next run.
            after = ServiceProcess(folder / "vedette.yaml", data_folder, scratch)
            after.start()
            wait_for(lambda: after.ended or waiting_messages(data_folder) == 0, _SETTLE_SECONDS)
            after.stop()
            service.pids |= after.pids
            service.seen += after.seen
        findings.collect(service, data_folder, waiting_messages(data_folder), ALERT)
        findings.events = stored_events(data_folder)
        findings.note_secrets(data_folder, (PASSWORD, SECRET), subscriber.payloads)
        time.sleep(1.0)  # for messages that the broker has not delivered yet
        findings.received = {"mqtt": [*subscriber.received], "webhook": [*webhook.received]}
        findings.published_at = [*subscriber.published_at]
        findings.forged = webhook.forged
    findings.note_left(before, service.pids, scratch, ports)
    return findings


def configuration(
    servers: Mapping[str, RtspServer],
    recordings: Mapping[str, Path],
    data_folder: Path,
    ports: Mapping[str, int],
    broker_port: int,
    webhook_port: int,
) -> dict[str, object]:
    """Configuration of `vedette run`; the cameras' password comes from the environment."""
    cameras: dict[str, object] = {}
    for number, (name, server) in enumerate(servers.items()):
        url = f"rtsp://chaos:{{{PASSWORD_VARIABLE}}}@127.0.0.1:{server.port}/street"
        transport = ("tcp", "udp")[number % 2]
        cameras[name] = {"source": {"url": url, "transport": transport, "stall_timeout": 5}}
    for name, path in recordings.items():
        cameras[name] = {"source": {"url": str(path), "loop": True, "pace": "live"}}
    return {
        "detect": {"fps": DETECT_FRAMES_PER_SECOND},
        "adapt": {"frames": 10, "interval": 0.5, "calibrate": 15},
        "alert": ALERT,
        "scoring": {"threads": 1},
        "storage": {"folder": str(data_folder)},
        "record": {"min_free_gb": 0, "pre_capture": 2, "post_capture": 2, "longest": 20},
        "metrics": {"port": ports["metrics"]},
        "api": {"enabled": True, "port": ports["api"]},
        "mqtt": {"enabled": True, "port": broker_port},
        "webhooks": {
            "office": {
                "url": f"http://127.0.0.1:{webhook_port}/hook",
                "secret": SECRET,
                "timeout": 5,
                "max_rate": 50,
            }
        },
        "cameras": cameras,
    }


if __name__ == "__main__":
    main()
