"""Real Prometheus and Alertmanager for tests: Debian's, on loopback, with the shipped rules."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from deploy_tools import DEPLOY, tool
from monitoring_files import RULES
from mqtt_broker import free_port

WINDOW = "10s"
"""What the time windows of the shipped rules become."""


def with_short_times(rules: str) -> str:
    """The rules with short windows and without the wait before an alert fires."""
    rules = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", rules)
    return re.sub(r"^( *for:).*$", r"\1 1s", rules, flags=re.MULTILINE)


class Prometheus:
    """A server that scrapes one service every second."""

    def __init__(self, port: int) -> None:
        self.port = port

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression gives now."""
        words = urllib.parse.urlencode({"query": expression})
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{words}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


@contextmanager
def prometheus(folder: Path, service_port: int, alertmanager_port: int) -> Iterator[Prometheus]:
    """Prometheus with the shipped configuration and rules; only ports and times are others."""
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{service_port}"]}]
    (manager,) = configuration["alerting"]["alertmanagers"]
    manager["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    (folder / RULES.name).write_text(with_short_times(RULES.read_text()))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    arguments = (
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with _running("prometheus", arguments, port):
        yield Prometheus(port)


@contextmanager
def alertmanager(folder: Path, receiver_port: int) -> Iterator[int]:
    """Alertmanager with the shipped routes; yields its port."""
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    text = text.replace("http://alert-receiver:8080", f"http://127.0.0.1:{receiver_port}")
    text = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)
    (folder / "alertmanager.yml").write_text(text)
    port = free_port()
    arguments = (
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    with _running("prometheus-alertmanager", arguments, port):
        yield port


@contextmanager
def _running(name: str, arguments: tuple[str, ...], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [tool(name), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120  # it synchronises files to a disk that may be busy
        while not _is_ready(port):
            assert process.poll() is None, f"{name} ended"
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
