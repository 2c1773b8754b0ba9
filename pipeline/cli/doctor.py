"""`vedette doctor`: check this machine, and give advice."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.config import Config, ConfigError, TransportSection, load_config
from pipeline.config.api import Api
from pipeline.config.model import MetricsSection, Scoring, Storage
from pipeline.config.retention import Record
from pipeline.doctor import machine, places, software, speed
from pipeline.doctor.check import Check, run_check
from pipeline.transport.topics import ports_from

_DEFAULT_PATH = Path("vedette.yaml")
_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def doctor(config_path: Path | None, as_json: bool) -> None:
    """Run all checks, and print a line for each.

    Args:
        config_path: Configuration whose folders, ports and weights are checked; None: vedette.yaml
            if there is one, else the defaults.
        as_json: Print one JSON object in place of text.

    Raises:
        SystemExit: with 1, something fails.
    """
    # As for the workers, and before torch is loaded: it affects the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    config, first = _configuration(config_path)
    found = [first]
    _print(first, as_json)
    for name, check in _checks(config):
        found.append(run_check(name, check))
        _print(found[-1], as_json)
    failed = any(check.verdict == "fail" for check in found)
    if as_json:
        verdict = "fail" if failed else "ok"
        print(json.dumps({"verdict": verdict, "checks": [asdict(one) for one in found]}, indent=2))
    if failed:
        raise SystemExit(1)


def _configuration(path: Path | None) -> tuple[Config | None, Check]:
    if path is None and not _DEFAULT_PATH.exists():
        return None, Check("configuration", "ok", "none given, the defaults are checked")
    path = path or _DEFAULT_PATH
    try:
        config = load_config(path)
    except (ConfigError, OSError) as error:
        text = "; ".join(str(error).splitlines())
        return None, Check("configuration", "fail", text, "correct it; defaults are checked")
    return config, Check("configuration", "ok", f"{path}: {len(config.cameras)} cameras")


def _checks(config: Config | None) -> list[tuple[str, Callable[[], Check]]]:
    """Names and checks, in the order of the output."""
    scoring = config.scoring if config else Scoring()
    folder = (config.storage if config else Storage()).folder
    record = config.record if config else Record()
    metrics = config.metrics if config else MetricsSection()
    api = config.api if config else Api()
    transport = config.transport if config else TransportSection()
    cameras = len(config.cameras) if config else 1
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("versions", software.versions),
        *((f"codec {name}", partial(software.codec, name)) for name in ("h264", "hevc", "mjpeg")),
        ("accelerator", partial(software.accelerator, scoring.device)),
        ("weights", partial(software.weights, scoring.weights)),
        ("speed", partial(speed.speed, config)),
        ("machine", partial(machine.cores_and_memory, cameras)),
        ("shared memory", machine.shared_memory),
        ("open files", partial(machine.open_files, cameras)),
        ("clocks", machine.clocks),
        ("data folder", partial(places.data_folder, folder, record.min_free_gb)),
        ("file system", partial(places.file_system, folder)),
        ("encryption", partial(software.encryption, transport)),
    ]
    if config is not None:
        checks.append(("frame rates", partial(software.frame_rates, config)))
    if transport.kind == "ipc":
        checks.append(("sockets", places.temporary_files))
    else:
        for number in dict.fromkeys(ports_from(transport.port)):
            check = partial(places.port, "transport", transport.host, number, folder)
            checks.append(("port of transport", check))
    for what, server in (("metrics", metrics), ("api", api)):
        if server.enabled:
            check = partial(places.port, what, server.host, server.port, folder)
            checks.append((f"port of {what}", check))
    return checks


def _print(check: Check, as_json: bool) -> None:
    if as_json:
        return
    print(f"{_MARKS[check.verdict]}  {check.name}: {check.found}")
    if check.advice:
        print(f"      → {check.advice}")
