"""Routes of the events."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from pipeline.config.base import Name
from pipeline.gateway.dependencies import Admin, Linked, TheService, Viewer
from pipeline.gateway.schemas import EventPatch, EventPath, EventShown, EventsShown
from pipeline.gateway.service import FileKind, Service
from pipeline.storage.event_queries import EventQuery
from pipeline.transport.commands import Annotate

router = APIRouter(tags=["events"])

UnixTime = Annotated[float | None, Query(ge=0, le=1e11)]


def _content(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/events", dependencies=[Viewer])
def list_events(
    service: TheService,
    camera: Annotated[Name | None, Query()] = None,
    zone: Annotated[Name | None, Query()] = None,
    begin: UnixTime = None,
    end: UnixTime = None,
    active: bool | None = None,
    suppressed: bool | None = None,
    acknowledged: bool | None = None,
    label: Literal["normal", "anomaly", "none"] | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> EventsShown:
    """A page of events, newest first; times are Unix seconds, `end` is excluded."""
    query = EventQuery(
        camera=camera,
        zone=zone,
        begin=begin,
        end=end,
        active=active,
        suppressed=suppressed,
        acknowledged=acknowledged,
        label=label,
        limit=limit,
        cursor=cursor,
    )
    return EventsShown.model_validate(service.events(query))


@router.get("/events/{event}", dependencies=[Viewer])
def show_event(event: EventPath, service: TheService) -> EventShown:
    """One event."""
    return _event(service, event)


@router.patch("/events/{event}", dependencies=[Admin])
def annotate_event(event: EventPath, change: EventPatch, service: TheService) -> EventShown:
    """Acknowledge, label or annotate an event; one labelled normal is normal in its scene."""
    service.ask(Annotate(event=event, **change.model_dump(exclude_unset=True)))
    if "label" in change.model_fields_set:
        service.apply_label(event)
    return _event(service, event)


@router.get(
    "/events/{event}/snapshot.jpg",
    dependencies=[Linked],
    responses=_content("image/jpeg"),
    response_class=FileResponse,
)
def event_snapshot(event: EventPath, service: TheService) -> FileResponse:
    """The frame with the highest score."""
    return _file(service, event, "snapshot", "image/jpeg")


@router.get(
    "/events/{event}/heatmap.jpg",
    dependencies=[Linked],
    responses=_content("image/jpeg"),
    response_class=FileResponse,
)
def event_heatmap(event: EventPath, service: TheService) -> FileResponse:
    """The frame with the highest score, with the anomaly map overlaid."""
    return _file(service, event, "heatmap", "image/jpeg")


@router.get(
    "/events/{event}/clip.mp4",
    dependencies=[Linked],
    responses=_content("video/mp4"),
    response_class=FileResponse,
)
def event_clip(event: EventPath, service: TheService) -> FileResponse:
    """The clip of the event; 404 if there is none."""
    return _file(service, event, "clip", "video/mp4")


def _event(service: Service, event: str) -> EventShown:
    return EventShown.model_validate(service.shown(service.event(event)))


def _file(service: Service, event: str, kind: FileKind, media_type: str) -> FileResponse:
    return FileResponse(service.file(event, kind), media_type=media_type)
