"""`vedette camera …` and `vedette event …`: carried out over the REST API."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from rich.console import Console
from rich.table import Table

from pipeline.cli.service_client import ServiceClient, ServiceClientError


def add(client: ServiceClient, name: str, url: str | None, file: Path | None) -> None:
    """Attach a camera, of an address or of a YAML file with all its settings.

    Raises:
        ServiceClientError: the service refuses, or the file is no mapping.
        OSError: the file cannot be read.
    """
    camera: dict[str, Any] = _read_camera(file) if file else {}
    if url is not None:
        camera["source"] = {**_source(camera), "url": url}
    shown = client.ask("POST", "/cameras", {"name": name, "camera": camera})
    print(f"{name}: attached, {shown['state']}")


def show_all(client: ServiceClient, as_json: bool) -> None:
    """Print all cameras, and below them the degraded parts of the service."""
    cameras = client.ask("GET", "/cameras")["cameras"]
    if as_json:
        print(json.dumps(cameras, ensure_ascii=False))
        return
    table = Table("camera", "state", "trusted", "source", "from", box=None, pad_edge=False)
    for one in cameras:
        state = f"{one['state']}: {one['reason']}" if one["reason"] else one["state"]
        url = one["settings"]["source"]["url"] if one["settings"] else ""
        table.add_row(one["name"], state, trust(one["learning"]), url, one["origin"])
    _console().print(table, markup=False)
    for worker in client.ask("GET", "/service")["workers"]:
        for part, reason in worker["degraded"].items():
            print(f"degraded: {worker['name']}: {part}: {reason}")


def trust(learning: Mapping[str, Any] | None) -> str:
    """How much normal video a camera has seen, as text."""
    if learning is None:
        return ""
    if not learning["trusted"]:
        return f"in {learning['trusted_in_seconds']:.0f} s"
    hours, wanted = learning["normal_seconds"] / 3600, learning["wanted_seconds"] / 3600
    return "yes" if learning["enough"] else f"yes, {hours:.1f} of {wanted:.1f} h seen"


def show(client: ServiceClient, name: str) -> None:
    """Print one camera as JSON."""
    print(json.dumps(client.ask("GET", _path(name)), indent=2, ensure_ascii=False))


def act(client: ServiceClient, name: str, action: str) -> None:
    """Adapt, enable or disable a camera.

    Raises:
        ServiceClientError: the service refuses, or the camera cannot work.
    """
    shown = client.ask("POST", f"{_path(name)}/{action}")
    _say_state(name, shown)
    if action == "adapt" and shown["state"] in ("offline", "stale", "starting"):
        print("  it adapts when its frames arrive")


def _say_state(name: str, shown: Mapping[str, Any]) -> None:
    """Print the state of a camera; state `error` is an error of the command."""
    reason = f": {shown['reason']}" if shown["reason"] else ""
    if shown["state"] == "error":
        raise ServiceClientError(f"{name}: error{reason}")
    print(f"{name}: {shown['state']}{reason if shown['state'] == 'offline' else ''}")


def remove(client: ServiceClient, name: str) -> None:
    """Remove a camera that was attached."""
    client.ask("DELETE", _path(name))
    print(f"{name}: removed; its events and scenes stay")


def history(client: ServiceClient, name: str, restore: str | None, as_json: bool) -> None:
    """Print the scenes of a camera, or restore an earlier one."""
    if restore is not None:
        place = f"{_path(name)}/scenes/{quote(restore, safe='')}/restore"
        _say_state(name, client.ask("POST", place))
        return
    scenes = client.ask("GET", f"{_path(name)}/scenes")["scenes"]
    if as_json:
        print(json.dumps(scenes, ensure_ascii=False))
        return
    if not scenes:
        print(f"{name}: no scene so far")
        return
    table = Table("scene", "", "adapted", "last used", "light", "why", box=None, pad_edge=False)
    for one in scenes:
        light = one["light"]
        table.add_row(
            one["id"],
            "in use" if one["current"] else "",
            local_time(one["adapted_at"]),
            "since " + local_time(one["used_at"]) if one["current"] else local_time(one["used_at"]),
            ", ".join(f"{name} {value:.0f}" for name, value in light.items()) if light else "",
            one["reason"],
        )
    _console().print(table, markup=False)


def show_events(client: ServiceClient, camera: str | None, limit: int, as_json: bool) -> None:
    """Print the newest events, newest first."""
    events = client.ask("GET", "/events", camera=camera, limit=limit)["events"]
    if as_json:
        print(json.dumps(events, ensure_ascii=False))
        return
    table = Table(
        "event", "zones", "began", "seconds", "peak", "", "note", box=None, pad_edge=False
    )
    for one in events:
        began = local_time(one["started_at"])
        marks = [
            *(["goes on"] if one["ended_at"] is None else []),
            *(["seen"] if one["acknowledged_at"] is not None else []),
            *([one["label"]] if one["label"] else []),
            *([_suppressed(one["suppressed_by"])] if one["suppressed"] else []),
        ]
        seconds, peak = f"{one['duration_seconds']:.1f}", f"{one['peak_score']:.2f}"
        zones, note = ", ".join(one["zones"]), one["note"] or ""
        table.add_row(one["id"], zones, began, seconds, peak, ", ".join(marks), note)
    _console().print(table, markup=False)


def show_event(client: ServiceClient, event: str, as_json: bool) -> None:
    """Print all fields of one event."""
    shown = client.ask("GET", f"/events/{quote(event, safe='')}")
    if as_json:
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    table = Table.grid(padding=(0, 2))
    for key, value in shown.items():
        if key.endswith("_at"):
            value = None if value is None else local_time(value)
        elif key in ("snapshot", "heatmap", "clip") and value is not None:
            value = f"{client.url}{value}"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list):
            value = ", ".join(value)
        elif isinstance(value, dict):
            value = ", ".join(f"{name} {part:+.2f}" for name, part in value.items())
        table.add_row(key.replace("_", " "), "–" if value in (None, "") else str(value))
    _console().print(table, markup=False, highlight=False)


def show_service(client: ServiceClient, as_json: bool) -> None:
    """Print the processes of the service."""
    workers = client.ask("GET", "/service")["workers"]
    if as_json:
        print(json.dumps(workers, ensure_ascii=False))
        return
    table = Table("process", "phase", "pid", "restarts", "reason", box=None, pad_edge=False)
    for one in workers:
        pid = "" if one["pid"] is None else str(one["pid"])
        table.add_row(one["name"], one["phase"], pid, str(one["restarts"]), one["reason"])
    _console().print(table, markup=False)


def local_time(seconds: float) -> str:
    """Unix seconds as date, time and zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def annotate(client: ServiceClient, event: str, changes: Mapping[str, object]) -> None:
    """Acknowledge or label an event."""
    shown = client.ask("PATCH", f"/events/{quote(event, safe='')}", dict(changes))
    seen = "seen" if shown["acknowledged_at"] is not None else "not seen"
    accepted = ", accepted as normal" if shown["accepted_as_normal"] else ""
    print(f"{event}: {seen}, label {shown['label'] or 'none'}{accepted}")


def _suppressed(by: str) -> str:
    return "learning" if by == "calibrating" else f"suppressed ({by})"


def _path(name: str) -> str:
    return f"/cameras/{quote(name, safe='')}"


def _source(camera: Mapping[str, Any]) -> Mapping[str, Any]:
    source = camera.get("source", {})
    return source if isinstance(source, Mapping) else {}


def _read_camera(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        # Not the error's own text: it quotes the line, and that may hold a password.
        raise ServiceClientError(f"{file}: not valid YAML") from None
    if not isinstance(found, dict):
        raise ServiceClientError(f"{file}: want the settings of one camera, as below its name")
    return found


def _console() -> Console:
    # A pipe has no width: 200 columns instead of 80 keep the table whole.
    console = Console()
    return console if console.is_terminal else Console(width=200)
