"""Routes before a camera is attached: what does an address send, and who is on the network?"""

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
from pipeline.gateway.schemas import DevicesShown, ProbeShown
from pipeline.gateway.service import ServiceError

router = APIRouter(tags=["cameras"], dependencies=[Admin])

_SECONDS = 2.0
_STALL_SECONDS = 8.0
_DEADLINE_SECONDS = 30.0
_SURVEY_SECONDS = 3.0
_AT_ONCE = threading.BoundedSemaphore(2)


class Candidate(Section):
    """A source that may become a camera."""

    url: str = Field(default="", max_length=2000, repr=False)
    """As in the configuration; {VEDETTE_CAMERA_…} stands for a secret."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP media travels."""


class Asker(Section):
    """Who asks the devices for their streams."""

    user: str = Field(default="", max_length=64)
    """Empty: nobody in particular."""
    password: str = Field(default="", max_length=128, repr=False)
    """Goes to the devices as a digest only."""


@router.post("/probe")
def probe_source(candidate: Candidate, service: TheService) -> ProbeShown:
    """Look at a source for two seconds: what it sends, what that costs, one picture."""
    config = service.config
    source = {"url": candidate.url, "transport": candidate.transport}
    try:
        camera = read_camera("probe", {"source": source}, config, config.api.allow_file_roots)
    except RuntimeCameraError as error:
        problem = str(error).removeprefix("camera probe: source.url: ")
        return ProbeShown.model_validate({"problem": {"code": "malformed", "message": problem}})
    if not _AT_ONCE.acquire(blocking=False):
        raise ServiceError("unavailable", "want at most two probes at a time, try again")
    try:
        return ProbeShown.model_validate(_probe(camera.source.url, candidate.transport))
    finally:
        _AT_ONCE.release()


@router.post("/discover")
def discover_devices(asker: Asker) -> DevicesShown:
    """Ask the local network for cameras that speak ONVIF."""
    login = OnvifLogin(asker.user, asker.password) if asker.user else None
    try:
        devices = onvif.discover_devices(None, login, _SURVEY_SECONDS)
    except OnvifError as error:
        raise ServiceError("unavailable", f"the network cannot be asked: {error}") from error
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
            stderr=subprocess.DEVNULL,  # what libraries print may hold the address
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{redact(url)}: no answer within {_DEADLINE_SECONDS:g} s"
        return {"problem": {"code": "timeout", "message": message}}
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        message = f"{redact(url)}: what it sends cannot be decoded (the decoder crashed)"
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
