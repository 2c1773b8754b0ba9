"""Routes of the cameras."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import JsonValue

from pipeline.gateway.dependencies import Admin, TheService, Viewer
from pipeline.gateway.schemas import (
    AdaptRequest,
    CameraName,
    CameraShown,
    CamerasShown,
    NewCamera,
    ScenePath,
    ScenesShown,
    ScoresShown,
)
from pipeline.gateway.service import Service, ServiceError
from pipeline.storage.score_history import MAX_POINTS
from pipeline.transport.commands import (
    AdaptCamera,
    Attach,
    Change,
    Detach,
    GetOverview,
    ListScenes,
    Restore,
    SetEnabled,
)

router = APIRouter(tags=["cameras"])

Age = Annotated[float, Query(ge=0.1, le=3600, description="Maximum age of the frame in seconds.")]
Patch = Annotated[
    dict[str, JsonValue],
    Body(description="JSON merge patch (RFC 7386) for the camera as it was attached."),
]
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
_CHUNK_SECONDS = 3600.0


@router.get("/cameras", dependencies=[Viewer])
def list_cameras(service: TheService) -> CamerasShown:
    """All cameras with their states."""
    return CamerasShown.model_validate(service.ask(GetOverview()).body)


@router.post("/cameras", dependencies=[Admin], status_code=201)
def attach_camera(camera: NewCamera, service: TheService) -> CameraShown:
    """Attach a camera; the others are not affected, and it is stored."""
    answer = service.ask(Attach(name=camera.name, camera=camera.camera))
    return CameraShown.model_validate(answer.body)


@router.get("/cameras/{name}", dependencies=[Viewer])
def show_camera(name: CameraName, service: TheService) -> CameraShown:
    """One camera."""
    return _camera(service, name)


@router.patch("/cameras/{name}", dependencies=[Admin])
def change_camera(name: CameraName, patch: Patch, service: TheService) -> CameraShown:
    """Change an attached camera; a key that is null returns to the setting for all cameras."""
    return CameraShown.model_validate(service.ask(Change(name=name, patch=patch)).body)


@router.delete("/cameras/{name}", dependencies=[Admin], status_code=204)
def detach_camera(name: CameraName, service: TheService) -> None:
    """Remove an attached camera; its events and scenes remain stored."""
    service.ask(Detach(name=name))


@router.post("/cameras/{name}/enable", dependencies=[Admin])
def enable_camera(name: CameraName, service: TheService) -> CameraShown:
    """Enable a camera."""
    return CameraShown.model_validate(service.ask(SetEnabled(name=name, enabled=True)).body)


@router.post("/cameras/{name}/disable", dependencies=[Admin])
def disable_camera(name: CameraName, service: TheService) -> CameraShown:
    """Disable a camera until it is enabled again."""
    return CameraShown.model_validate(service.ask(SetEnabled(name=name, enabled=False)).body)


@router.post("/cameras/{name}/adapt", dependencies=[Admin], status_code=202)
def adapt_camera(
    name: CameraName, service: TheService, request: AdaptRequest | None = None
) -> CameraShown:
    """Adapt to the scene again; it should be normal meanwhile."""
    service.ask(AdaptCamera(name=name, replace=[] if request is None else request.replace))
    return _camera(service, name)


@router.get("/cameras/{name}/scenes", dependencies=[Viewer])
def list_scenes(name: CameraName, service: TheService) -> ScenesShown:
    """The stored scenes of a camera."""
    return ScenesShown.model_validate(service.ask(ListScenes(name=name)).body)


@router.post("/cameras/{name}/scenes/{scene}/restore", dependencies=[Admin], status_code=202)
def restore_scene(name: CameraName, scene: ScenePath, service: TheService) -> CameraShown:
    """Use an earlier scene."""
    service.ask(Restore(name=name, scene=scene))
    return _camera(service, name)


@router.get(
    "/cameras/{name}/latest.jpg",
    dependencies=[Viewer],
    responses=_JPEG,
    response_class=Response,
)
def latest_picture(name: CameraName, service: TheService, max_age: Age = 10.0) -> Response:
    """The newest frame; 503 if it is older than `max_age`."""
    return _picture(service, name, False, max_age)


@router.get(
    "/cameras/{name}/heatmap.jpg",
    dependencies=[Viewer],
    responses=_JPEG,
    response_class=Response,
)
def latest_heatmap(name: CameraName, service: TheService, max_age: Age = 10.0) -> Response:
    """The newest frame with the anomaly map overlaid; 503 if it is older than `max_age`."""
    return _picture(service, name, True, max_age)


@router.get("/cameras/{name}/scores", dependencies=[Viewer])
def score_history(
    name: CameraName,
    service: TheService,
    begin: Annotated[float | None, Query(ge=0, le=1e11, description="Unix seconds.")] = None,
    end: Annotated[float | None, Query(ge=0, le=1e11, description="Not included.")] = None,
    minutes: Annotated[bool, Query(description="Minutes, not seconds.")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_POINTS)] = MAX_POINTS,
) -> ScoresShown:
    """The score history of a camera, by default of the last hour."""
    until = time.time() if end is None else end
    since = until - _CHUNK_SECONDS if begin is None else begin
    scores = service.scores(name, since, until, 60 if minutes else 1, limit)
    return ScoresShown.model_validate({"scores": scores})


def _camera(service: Service, name: str) -> CameraShown:
    for camera in CamerasShown.model_validate(service.ask(GetOverview()).body).cameras:
        if camera.name == name:
            return camera
    raise ServiceError("unknown", f"camera {name}: there is none")


def _picture(service: Service, name: str, with_heatmap: bool, max_age: float) -> Response:
    picture, captured_at = service.picture(name, with_heatmap, max_age)
    headers = {"X-Captured-At": f"{captured_at:.3f}"}
    return Response(picture, media_type="image/jpeg", headers=headers)
