"""A running service with its API, its cameras, and access to its results."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from benchmarks.attaching.findings import SeenScore, first
from benchmarks.chaos.checks import ObservedEvent, metric
from benchmarks.chaos.service import ServiceProcess, fetch, stored_events
from benchmarks.chaos.world import free_port
from cameras.simulation.rtsp_server import RtspAuthentication, RtspServer
from pipeline.cli.service_client import ServiceClient, ServiceClientError
from pipeline.events.score_record import ScoreRecord

AUTHENTICATION = RtspAuthentication("bench", "street-corner")
PATIENCE_SECONDS = 300.0
_PASSWORD_VARIABLE = "VEDETTE_CAMERA_BENCH_PASSWORD"
_LOOK_SECONDS = 0.05
_TURN_SECONDS = 0.1


def address(server: RtspServer, path: str) -> str:
    """Address of a mount, with the password as in a configuration file."""
    return f"rtsp://{AUTHENTICATION.user}:{{{_PASSWORD_VARIABLE}}}@127.0.0.1:{server.port}/{path}"


class Station:
    """`vedette run` as a process of its own, otherwise with default settings."""

    def __init__(
        self,
        folder: Path,
        cameras: Mapping[str, object],
        weights: str,
        frames_per_second: float,
    ) -> None:
        """Write its configuration.

        Args:
            folder: Not there yet.
            cameras: As in the file.
            weights: Shipped name or path.
            frames_per_second: How often each camera is to be scored.
        """
        folder.mkdir()
        os.environ[_PASSWORD_VARIABLE] = AUTHENTICATION.password
        self._metrics_port, self._api_port = free_port(), free_port()
        self._data_folder, self._config_path = folder / "data", folder / "vedette.yaml"
        config = {
            "detect": {"fps": frames_per_second},
            "scoring": {"weights": weights},
            "storage": {"folder": str(self._data_folder)},
            "record": {"min_free_gb": 0},
            "metrics": {"port": self._metrics_port},
            "api": {"enabled": True, "port": self._api_port},
            "cameras": dict(cameras),
        }
        self._config_path.write_text(yaml.safe_dump(config, sort_keys=False))
        self._url = f"http://127.0.0.1:{self._api_port}"
        self._remote = ServiceClient(self._url)
        self.service = self._plan()

    def __enter__(self) -> Self:
        """Start the service."""
        self.service.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.service.stop()

    def restart(self) -> float:
        """Stop the service and start it again; when it was started, Unix seconds."""
        self.service.stop()
        self.service = self._plan()
        started_at = time.time()
        self.service.start()
        return started_at

    def states(self) -> dict[str, str]:
        """State of each camera from the API; empty while the API does not answer."""
        with suppress(ServiceClientError):
            shown = self._remote.ask("GET", "/cameras")["cameras"]
            return {one["name"]: one["state"] for one in shown}
        return {}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the API.

        Raises:
            ServiceClientError: the API refuses it.
        """
        return self._remote.ask(method, path, body)

    def command(self, *arguments: str) -> None:
        """Run `vedette camera …` on the service.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        line = [sys.executable, "-m", "pipeline", "camera", *arguments, "--url", self._url]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)

    def records(self, camera: str) -> list[ScoreRecord]:
        """All scores of a camera that were seen so far, once each."""
        return [record for _, record in [*self.service.seen] if record.camera == camera]

    def events(self) -> list[ObservedEvent]:
        """All events in the store."""
        return stored_events(self._data_folder)

    def metric(self, name: str, **labels: str) -> int:
        """Sum of the series with these labels."""
        return int(metric(fetch(self._metrics_port, "/metrics") or "", name, **labels))

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it does not hold in time, or the service has ended.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline or self.service.ended:
                raise TimeoutError(f"timed out waiting for {what}; {json.dumps(self.states())}")
            time.sleep(_TURN_SECONDS)

    def wait_for_score(
        self, what: str, camera: str, since: float, wanted: Callable[[ScoreRecord], bool]
    ) -> SeenScore:
        """Wait for a score of a frame that came at `since`, Unix seconds, or later.

        Raises:
            TimeoutError: as `wait_for`.
        """
        found: SeenScore | None = None

        def has_come() -> bool:
            nonlocal found
            found = first(self.service.seen, camera, since, wanted)
            return found is not None

        self.wait_for(f"{what} of {camera}", has_come)
        assert found is not None
        return found

    def _plan(self) -> ServiceProcess:
        scratch = self._config_path.with_name("tmp")
        scratch.mkdir(exist_ok=True)
        return ServiceProcess(self._config_path, self._data_folder, scratch, _LOOK_SECONDS)
