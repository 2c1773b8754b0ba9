"""Injects the scheduled faults into a running service."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rich.console import Console

from benchmarks.chaos.findings import Recovery
from benchmarks.chaos.schedule import Absence, Fault, Trouble
from benchmarks.chaos.service import ServiceProcess, fetch
from benchmarks.chaos.world import Broker, Disk, WebhookReceiver
from cameras.simulation.rtsp_server import RtspServer

_TURN_SECONDS = 0.05


class World:
    """Injects faults, and records when each was over."""

    def __init__(
        self,
        service: ServiceProcess,
        servers: Mapping[str, RtspServer],
        broker: Broker,
        webhook: WebhookReceiver,
        disk: Disk,
        api_port: int,
    ) -> None:
        self._service = service
        self._servers = servers
        self._broker = broker
        self._webhook = webhook
        self._disk = disk
        self._api_port = api_port
        self._waiting_for_api: Recovery | None = None

    def run(self, faults: Sequence[Fault], seconds: float, console: Console) -> list[Recovery]:
        """Run a schedule; ends early if the service does."""
        recoveries = [Recovery(fault) for fault in faults]
        due: list[tuple[float, str, Callable[[], None]]] = []
        for one in recoveries:
            due.append((one.fault.at_seconds, one.fault.name, partial(self._begin, one)))
            due.append((one.fault.until_seconds, "", partial(self._end, one)))
        due.sort(key=lambda act: act[0])
        began_at = time.monotonic()
        while (passed := time.monotonic() - began_at) < seconds and not self._service.ended:
            while due and due[0][0] <= passed:
                _, name, act = due.pop(0)
                if name:
                    console.print(f"{passed:7.1f} s  {name}", highlight=False, markup=False)
                act()
            self._look_at_api()
            time.sleep(_TURN_SECONDS)
        return recoveries

    def _begin(self, recovery: Recovery) -> None:
        recovery.began_at = time.time()
        fault, service = recovery.fault, self._service
        kind: Trouble | Absence = fault.kind
        match kind:
            case "kill ingest":
                recovery.began_at = service.kill(f"ingest:{fault.camera}")
            case "kill scorer" | "kill sink" | "kill gateway":
                recovery.began_at = service.kill(kind.removeprefix("kill "))
                if kind == "kill gateway":
                    self._waiting_for_api = recovery
            case "rtsp stalls":
                self._servers[fault.camera].stall()
            case "rtsp resets":
                self._servers[fault.camera].reset_clients()
            case "rtsp away":
                self._servers[fault.camera].stop()
            case "disk full":
                self._disk.fill()
            case "broker away":
                self._broker.stop()
            case "webhook away":
                self._webhook.stop()
            case "webhook hangs up":
                self._webhook.hangs_up = True

    def _end(self, recovery: Recovery) -> None:
        fault = recovery.fault
        match fault.kind:
            case "rtsp stalls":
                self._servers[fault.camera].resume()
            case "rtsp away":
                self._servers[fault.camera].start()
            case "disk full":
                self._disk.free()
            case "broker away":
                self._broker.start()
            case "webhook away":
                self._webhook.start()
            case "webhook hangs up":
                self._webhook.hangs_up = False
        recovery.over_at = time.time() if fault.seconds else recovery.began_at

    def _look_at_api(self) -> None:
        recovery = self._waiting_for_api
        if recovery is not None and fetch(self._api_port, "/api/v1/cameras") is not None:
            recovery.back_at = time.time()
            self._waiting_for_api = None
