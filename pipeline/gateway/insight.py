"""Routes that explain a camera: single scores with their terms, and what a threshold would do."""

import time
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import Field

from pipeline.config import Camera
from pipeline.config.base import Section
from pipeline.events.event_settings import EventSettings, event_settings
from pipeline.gateway.alarm_preview import LEVELS, levels, watched_seconds
from pipeline.gateway.dependencies import Admin, TheService, Viewer
from pipeline.gateway.schemas import (
    AlarmsShown,
    CameraName,
    CameraShown,
    CamerasShown,
    FramesShown,
)
from pipeline.gateway.service import Service, ServiceError
from pipeline.transport.commands import GetOverview, SetThreshold

router = APIRouter(tags=["cameras"])

MOST_FRAMES = 3000
_LONGEST_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0
_PAGE = 10_000

Moment = Annotated[float, Query(ge=0, le=1e11, description="Unix seconds.")]


class Threshold(Section):
    """At which score events begin."""

    threshold: float = Field(ge=0.05, le=100)
    """In units of the score."""


@router.get("/cameras/{name}/frames", dependencies=[Viewer])
def scores_of_frames(
    name: CameraName, service: TheService, begin: Moment, end: Moment
) -> FramesShown:
    """Single scores and their terms, of an hour at most, as far as the score log reaches back."""
    if end - begin > _LONGEST_SECONDS:
        raise ServiceError("invalid", f"end: want at most {_LONGEST_SECONDS:g} s after begin")
    return FramesShown.model_validate({"frames": service.frames(name, begin, end, MOST_FRAMES)})


@router.get("/cameras/{name}/alarms", dependencies=[Viewer])
def alarms_by_threshold(
    name: CameraName,
    service: TheService,
    hours: Annotated[float, Query(gt=0, le=24, description="How far back.")] = 24.0,
) -> AlarmsShown:
    """What other thresholds would have raised, estimated from the score of each second."""
    settings = _settings(service, name)
    end = time.time()
    points = service.points(name, end - min(hours * 3600, _DAY_SECONDS), end, _PAGE)
    tried = levels(points, settings, (*LEVELS, settings.enter))
    return AlarmsShown.model_validate(
        {
            "threshold": settings.enter,
            "watched_seconds": watched_seconds(points),
            "zones": bool(settings.zones),
            "levels": [asdict(one) for one in tried],
        }
    )


@router.put("/cameras/{name}/threshold", dependencies=[Admin])
def set_threshold(
    name: CameraName, threshold: Annotated[Threshold, Body()], service: TheService
) -> CameraShown:
    """Let events begin at another score; holds over a restart, also for a camera of the file."""
    answer = service.ask(SetThreshold(name=name, threshold=threshold.threshold))
    return CameraShown.model_validate(answer.body)


def _settings(service: Service, name: str) -> EventSettings:
    for camera in CamerasShown.model_validate(service.ask(GetOverview()).body).cameras:
        if camera.name == name and camera.settings is not None:
            return event_settings(Camera.model_validate(camera.settings))
    raise ServiceError("unknown", f"camera {name}: there is none that can be used")
