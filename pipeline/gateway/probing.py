"""Routes used before a camera is attached: probe an address, discover cameras of the network."""

import json
import subprocess
import sys
import threading
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from cameras import onvif
from cameras.address import redact
from cameras.onvif import Device, OnvifError, OnvifLogin
from pipeline.config.base import Section
from pipeline.config.runtime_camera import RuntimeCameraError, read_camera
from pipeline.gateway.dependencies import Admin, TheService
from pipeline.gateway.machine_schemas import DevicesShown, ProbeShown
from pipeline.gateway.service import ServiceError

router = APIRouter(tags=["cameras"], dependencies=[Admin])

_SECONDS = 2.0
_STALL_SECONDS = 8.0
_DEADLINE_SECONDS = 30.0
_DISCOVERY_SECONDS = 3.0
_CONCURRENT = threading.BoundedSemaphore(2)


class Candidate(Section):
    """A source that may become a camera."""

    url: str = Field(default="", max_length=2000, repr=False)
    """As in the configuration; {VEDETTE_CAMERA_…} is a placeholder of a secret."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP media travels."""


class DeviceLogin(Section):
    """The login for the devices."""

    user: str = Field(default="", max_length=64)
    """Empty: without a login."""
    password: str = Field(default="", max_length=128, repr=False)
    """Sent to the devices only as a digest."""


@router.post("/probe")
def probe_source(candidate: Candidate, service: TheService) -> ProbeShown:
    """Read a source for two seconds: its stream, the cost of decoding, and one frame."""
    config = service.config
    source = {"url": candidate.url, "transport": candidate.transport}
    try:
        camera = read_camera("probe", {"source": source}, config, config.api.allow_file_roots)
    except RuntimeCameraError as error:
        problem = str(error).removeprefix("camera probe: source.url: ")
        return ProbeShown.model_validate({"problem": {"code": "malformed", "message": problem}})
    if not _CONCURRENT.acquire(blocking=False):
        raise ServiceError("unavailable", "want at most two probes at a time, try again")
    try:
        return ProbeShown.model_validate(_probe(camera.source.url, candidate.transport))
    finally:
        _CONCURRENT.release()


@router.post("/discover")
def discover_devices(device_login: DeviceLogin) -> DevicesShown:
    """Search the local network for cameras with ONVIF."""
    login = OnvifLogin(device_login.user, device_login.password) if device_login.user else None
    try:
        devices = onvif.discover_devices(None, login, _DISCOVERY_SECONDS)
    except OnvifError as error:
        raise ServiceError("unavailable", f"the network cannot be searched: {error}") from error
    return DevicesShown.model_validate({"devices": [_device(one) for one in devices]})


def _probe(url: str, transport: str) -> dict[str, Any]:
    order = {
        "address": url,
        "transport": transport,
        "timeout_seconds": _STALL_SECONDS,
        "seconds": _SECONDS,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.gateway.probe_process"],
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries may print the address
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{redact(url)}: no answer within {_DEADLINE_SECONDS:g} s"
        return {"problem": {"code": "timeout", "message": message}}
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        message = f"{redact(url)}: its stream cannot be decoded (the decoder crashed)"
        return {"problem": {"code": "codec", "message": message}}
    return found


def _device(device: Device) -> dict[str, Any]:
    return {
        "service": redact(device.service),
        "name": device.name,
        "maker": " ".join(filter(None, (device.manufacturer, device.model))),
        "needs_login": device.needs_login,
        "problem": device.problem,
        "streams": [
            {"name": one.name, "url": redact(one.address), "size_hw": one.size_hw}
            for one in device.profiles
            if one.address
        ],
    }
