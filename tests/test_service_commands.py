"""End to end: `vedette run`, a reload of the configuration, commands to the service."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from makers import small_scorer

from models.checkpoint import save_checkpoint

PASSWORD = "planted-pass"
SERVICE = """
api: {{enabled: true, port: 0}}
metrics: {{port: 0}}
detect: {{height: 48, width: 64}}
adapt: {{frames: 3, interval: 0.2, calibrate: 1}}
scoring: {{weights: {weights}, device: cpu, threads: 1}}
cameras: {cameras}
"""


def vedette(*arguments: str, url: str = "", token: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VEDETTE_URL": url, "VEDETTE_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        capture_output=True,
        text=True,
        env={name: value for name, value in environment.items() if value},
        timeout=60,
        check=False,
    )


class Service:
    """`vedette run` in a process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; fails in time where it never does."""
        deadline = time.monotonic() + 90
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def url(self) -> str:
        """Where the API is."""
        self.until(lambda: "API on http" in self.log.read_text())
        return re.findall(r"API on (\S+)", self.log.read_text())[-1]


@contextmanager
def service(folder: Path, config: Path) -> Iterator[Service]:
    log = folder / "run.log"
    environment = {**os.environ, "VEDETTE_CAMERA_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "pipeline", "run", "-c", str(config)]
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [*command, "--data-folder", str(folder / "data")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process,
    ):
        try:
            yield Service(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_commands_and_reload(tmp_path: Path) -> None:
    weights = tmp_path / "small"
    save_checkpoint(small_scorer().model, weights, {})
    config = tmp_path / "vedette.yaml"
    config.write_text(SERVICE.format(weights=weights, cameras="{}"))
    with service(tmp_path, config) as running:
        url = running.url()
        running.until(lambda: vedette("camera", "list", url=url).returncode == 0)
        address = "rtsp://admin:{VEDETTE_CAMERA_PASSWORD}@127.0.0.1:1/x"
        added = vedette("camera", "add", "door", address, url=url)
        assert (added.stdout, added.stderr) == ("door: attached, starting\n", "")
        assert vedette("camera", "add", "street", "synthetic:street", url=url).returncode == 0
        twice = vedette("camera", "add", "street", "synthetic:street", url=url)
        assert twice.stderr == "vedette: camera street: want a new name, got one in use (409)\n"
        running.until(lambda: "adapted to 3 clips" in running.log.read_text())

        config.write_text(
            SERVICE.format(weights=weights, cameras="{lane: {source: 'synthetic:street'}}")
        )
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: "lane" in vedette("camera", "list", url=url).stdout)
        config.write_text("cameras: {lane: {sauce: 3}}")
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: "nothing changes" in running.log.read_text())
        listed = vedette("camera", "list", url=url).stdout
        assert [line.split()[0] for line in listed.splitlines()] == [
            "camera",
            "lane",
            "door",
            "street",
        ]
        assert vedette("camera", "disable", "lane", url=url).stdout == "lane: disabled\n"
        assert vedette("camera", "remove", "street", url=url).returncode == 0
        assert vedette("event", "list", url=url).returncode == 0
        assert "there is none" in vedette("event", "ack", "street-1-1", url=url).stderr

        folder = ("--data-folder", str(tmp_path / "data"))
        token = vedette("token", "create", "ann", "--role", "admin", *folder).stdout.strip()
        refused = vedette("camera", "list", url=url)
        assert refused.returncode == 1
        assert "got none; set VEDETTE_TOKEN (401)" in refused.stderr
        shown = json.loads(vedette("camera", "show", "door", url=url, token=token).stdout)
        assert shown["settings"]["source"]["url"] == "rtsp://***@127.0.0.1:1/x"
        pid = running.process.pid
    assert not Path(f"/proc/{pid}").exists()
    kept = (path for path in (tmp_path / "data").rglob("*") if path.is_file())
    for path in (*kept, tmp_path / "run.log"):
        assert PASSWORD.encode() not in path.read_bytes(), path
        assert token.encode() not in path.read_bytes(), path


def test_no_service(tmp_path: Path) -> None:
    refused = vedette("camera", "list", url="http://127.0.0.1:9")
    assert refused.returncode == 1
    assert refused.stderr.startswith("vedette: no service at http://127.0.0.1:9 (")
    assert len(refused.stderr.splitlines()) == 1
    bad = vedette("token", "create", "a b", "--data-folder", str(tmp_path))
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr


def test_exposed_service_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text("{api: {enabled: true, host: 0.0.0.0}, cameras: {}}")
    refused = vedette("run", "-c", str(config), "--data-folder", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert "other machines can reach, and no tokens" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
