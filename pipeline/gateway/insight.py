"""Routes that explain a camera: single scores with their terms, and previews of its sensitivity."""

import time
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import Field

from pipeline.config import Camera
from pipeline.config.base import Section
from pipeline.events.event_settings import event_settings
from pipeline.gateway.alarm_preview import RATES, levels, watched_seconds
from pipeline.gateway.dependencies import Admin, TheService, Viewer
from pipeline.gateway.schemas import (
    AlarmsShown,
    CameraName,
    CameraShown,
    CamerasShown,
    FramesShown,
)
from pipeline.gateway.service import Service, ServiceError
from pipeline.transport.commands import (
    GetOverview,
    GetTargetScores,
    SetTarget,
    SetThreshold,
)

router = APIRouter(tags=["cameras"])

MOST_FRAMES = 3000
_LONGEST_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0
_PAGE = 10_000

UnixTime = Annotated[float, Query(ge=0, le=1e11, description="Unix seconds.")]


class Threshold(Section):
    """The score at which events begin."""

    threshold: float = Field(ge=0.05, le=100)
    """In units of the score."""


class Sensitivity(Section):
    """The target rate of false alarms."""

    false_alarms_per_day: float = Field(gt=0, le=1440)


@router.get("/cameras/{name}/frames", dependencies=[Viewer])
def scores_of_frames(
    name: CameraName, service: TheService, begin: UnixTime, end: UnixTime
) -> FramesShown:
    """Single scores with their terms, an hour at most, as far as the score log reaches back."""
    if end - begin > _LONGEST_SECONDS:
        raise ServiceError("invalid", f"end: want at most {_LONGEST_SECONDS:g} s after begin")
    return FramesShown.model_validate({"frames": service.frames(name, begin, end, MOST_FRAMES)})


@router.get("/cameras/{name}/alarms", dependencies=[Viewer])
def alarms_by_target(
    name: CameraName,
    service: TheService,
    hours: Annotated[float, Query(gt=0, le=24, description="How far back.")] = 24.0,
) -> AlarmsShown:
    """The events that other target rates of false alarms would have raised, an estimate."""
    camera = _camera(service, name)
    settings, target = event_settings(camera), camera.alert.target_false_alarms_per_day
    end = time.time()
    points = service.points(name, end - min(hours * 3600, _DAY_SECONDS), end, _PAGE)
    thresholds = _thresholds(service, name, settings.enter, target)
    tried = {one.threshold: asdict(one) for one in levels(points, settings, thresholds.values())}
    return AlarmsShown.model_validate(
        {
            "false_alarms_per_day": target,
            "calibrated": bool(thresholds),
            "watched_seconds": watched_seconds(points),
            "zones": bool(settings.zones),
            "levels": [
                {"false_alarms_per_day": rate, **tried[threshold]}
                for rate, threshold in thresholds.items()
            ],
        }
    )


@router.put("/cameras/{name}/sensitivity", dependencies=[Admin])
def set_sensitivity(
    name: CameraName, sensitivity: Annotated[Sensitivity, Body()], service: TheService
) -> CameraShown:
    """Set the target rate of false alarms; also for a camera of the file, and stored."""
    rate = sensitivity.false_alarms_per_day
    answer = service.ask(SetTarget(name=name, false_alarms_per_day=rate))
    return CameraShown.model_validate(answer.body)


@router.put("/cameras/{name}/threshold", dependencies=[Admin])
def set_threshold(
    name: CameraName, threshold: Annotated[Threshold, Body()], service: TheService
) -> CameraShown:
    """Set the score at which events begin; also for a camera of the file, and stored."""
    answer = service.ask(SetThreshold(name=name, threshold=threshold.threshold))
    return CameraShown.model_validate(answer.body)


def _thresholds(service: Service, name: str, enter: float, target: float) -> dict[float, float]:
    """Target rate → present score at which events would begin; empty: not yet calibrated."""
    rates = sorted({*RATES, target})
    try:
        scores = service.ask(GetTargetScores(name=name, rates=rates)).body["scores"]
    except ServiceError as error:
        if error.status != "unavailable":
            raise
        scores = None
    if not isinstance(scores, list):
        return {}
    found = {rate: enter * score for rate, score in zip(rates, scores, strict=True)}
    return {**found, target: enter}


def _camera(service: Service, name: str) -> Camera:
    for camera in CamerasShown.model_validate(service.ask(GetOverview()).body).cameras:
        if camera.name == name and camera.settings is not None:
            return Camera.model_validate(camera.settings)
    raise ServiceError("unknown", f"camera {name}: there is no usable one")
