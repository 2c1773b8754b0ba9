"""Routes of the frames that scenes were adapted to."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as InPath

from pipeline.gateway.dependencies import TheService, Viewer
from pipeline.gateway.schemas import CameraName, ScenePath, SupportShown
from pipeline.gateway.service import Service, ServiceError
from pipeline.scenes.scene_paths import SUPPORT, folder_of
from pipeline.scenes.support_clips import SupportClipsError, newest_frames

router = APIRouter(tags=["cameras"])

ClipNumber = Annotated[int, InPath(ge=0, le=1000, description="Number of the clip, from 0.")]
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/cameras/{name}/scenes/{scene}/support", dependencies=[Viewer])
def show_support(name: CameraName, scene: ScenePath, service: TheService) -> SupportShown:
    """The frames that a scene was adapted to."""
    count = len(_frames(service, name, scene))
    base = f"/api/v1/cameras/{name}/scenes/{scene}/support"
    return SupportShown(pictures=[f"{base}/{number}.jpg" for number in range(count)])


@router.get(
    "/cameras/{name}/scenes/{scene}/support/{clip}.jpg",
    dependencies=[Viewer],
    responses=_JPEG,
    response_class=Response,
)
def support_picture(
    name: CameraName, scene: ScenePath, clip: ClipNumber, service: TheService
) -> Response:
    """The newest frame of a clip that a scene was adapted to."""
    frames = _frames(service, name, scene)
    if clip >= len(frames):
        raise ServiceError("unknown", f"scene {scene}: want a clip below {len(frames)}, got {clip}")
    return Response(frames[clip], media_type="image/jpeg")


def _frames(service: Service, camera: str, scene: str) -> list[bytes]:
    scenes: Path = service.run.data_folder / "scenes"
    folder = folder_of(scenes, camera, scene)
    if folder is None:
        raise ServiceError("unknown", f"camera {camera}: has no scene {scene}")
    try:
        return newest_frames(folder / SUPPORT)
    except SupportClipsError:  # the message has the path
        problem = f"scene {scene}: its frames are not stored, or damaged"
        raise ServiceError("unknown", problem) from None
