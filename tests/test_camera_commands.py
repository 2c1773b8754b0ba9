"""What `vedette camera`, `event`, `status` and `token` print, of the answers of a service."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli import cameras
from pipeline.cli.main import app
from pipeline.cli.service_client import ServiceClient, ServiceClientError
from pipeline.gateway.tokens import create_token
from pipeline.runtime.camera_registry import ReloadDifference

EVENT = {
    "id": "door-1-2",
    "camera": "door",
    "started_at": 1_790_000_000.0,
    "ended_at": None,
    "zones": ["porch", "lawn"],
    "suppressed": False,
    "note": None,
    "snapshot": "/api/v1/events/door-1-2/snapshot.jpg",
}
SCENE = {
    "id": "1790000000000",
    "adapted_at": 1_790_000_000.0,
    "reason": "another light",
    "current": True,
    "used_at": 1_790_000_100.0,
    "light": {"luma": 97.2, "chroma": 3.1},
}
DATE = r"2026-09-\d\d \d\d:\d\d:\d\d [+-]\d{4}"


class Answering(ServiceClient):
    """A service that has one answer."""

    def __init__(self, answer: object) -> None:
        super().__init__("http://127.0.0.1:9")
        self.answer = answer

    def ask(self, *_: object, **__: object) -> Any:
        return self.answer


def test_scenes_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    cameras.history(Answering({"scenes": [SCENE]}), "door", None, False)
    line = capsys.readouterr().out.splitlines()[1]
    pattern = f"1790000000000 +in use +{DATE} +since {DATE} +luma 97, chroma 3 +another light"
    assert re.fullmatch(pattern, line.strip()), line


def test_an_event_is_shown_with_zone_and_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    terms = {"motion": 1.25, "residual": -0.1}
    cameras.show_event(Answering({**EVENT, "terms": terms}), "door-1-2", False)
    said = capsys.readouterr().out
    assert re.search(r"terms +motion \+1\.25, residual -0\.10", said)
    assert re.search(f"started at +{DATE}\n?", said)
    assert re.search("zones +porch, lawn", said)
    assert re.search("ended at +–", said)
    assert "http://127.0.0.1:9/api/v1/events/door-1-2/snapshot.jpg" in said


def test_processes_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    worker = {"name": "scorer", "phase": "running", "pid": 77, "restarts": 2, "reason": ""}
    cameras.show_service(Answering({"workers": [worker]}), False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["scorer", "running", "77", "2"]


def test_unusable_camera_is_an_error_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = {"state": "error", "reason": "given up after 5 restarts in 60 s"}
    with pytest.raises(ServiceClientError, match="door: error: given up after 5 restarts"):
        cameras.act(Answering(broken), "door", "enable")
    cameras.act(Answering({"state": "offline", "reason": "no route to host"}), "door", "adapt")
    assert capsys.readouterr().out == (
        "door: offline: no route to host\n  it adapts when its frames arrive\n"
    )


def test_tokens_are_listed_without_secrets(tmp_path: Path) -> None:
    made = create_token(tmp_path, "ann", "admin")
    create_token(tmp_path, "vic", "viewer")
    result = CliRunner().invoke(app, ["token", "list", "--data-folder", str(tmp_path)])
    assert result.output == "ann  admin\nvic  viewer\n"
    assert made not in result.output


def test_reload_is_summarised() -> None:
    change = ReloadDifference(("door",), (), ("yard", "lane"), ("gate",), ("api",))
    assert change.in_words == (
        "added door; changed yard, lane; 1 cameras unchanged; restart the service for api"
    )


@pytest.mark.parametrize("command", ["camera list", "event list", "status"])
def test_help_names_the_variable_of_the_token(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert "VEDETTE_TOKEN" in result.output
