"""Routes of the service itself: health, processes, configuration, live updates."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from pipeline.config import config_schema
from pipeline.config.base import Name
from pipeline.gateway.dependencies import Admin, TheFeed, TheService, Viewer
from pipeline.gateway.live import Kind, LiveFeed, stream
from pipeline.gateway.schemas import Health, Reloaded, ServiceShown
from pipeline.gateway.service import ServiceError
from pipeline.telemetry.health import TOLERATED
from pipeline.transport.commands import GetOverview, Reload

router = APIRouter(tags=["service"])

_READY_SECONDS = 2.0
_RELOAD_SECONDS = 15.0
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `score`, `event` and `state`, each with a JSON object.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/healthz")
def alive() -> Health:
    """Liveness of the gateway; needs no token."""
    return Health(ok=True)


@router.get("/readyz")
def ready(service: TheService, response: Response) -> Health:
    """Whether every worker runs or has finished and loses no data; 503 if not. Needs no token."""
    try:
        workers = service.ask(GetOverview(), _READY_SECONDS).body["workers"]
        shown = ServiceShown.model_validate({"workers": workers}).workers
        good = all(
            worker.phase in ("running", "finished") and not (worker.degraded.keys() - TOLERATED)
            for worker in shown
        )
    except ServiceError:
        good = False
    response.status_code = 200 if good else 503
    return Health(ok=good)


@router.get("/api/v1/service", dependencies=[Viewer])
def show_service(service: TheService) -> ServiceShown:
    """The processes of the service."""
    return ServiceShown.model_validate(service.ask(GetOverview()).body)


@router.get("/api/v1/config/schema.json", dependencies=[Viewer])
def configuration_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    schema: dict[str, Any] = json.loads(config_schema())
    return schema


@router.post("/api/v1/config/reload", dependencies=[Admin])
def reload_configuration(service: TheService) -> Reloaded:
    """Read the configuration file again; cameras that have not changed are not affected."""
    return Reloaded.model_validate(service.ask(Reload(), _RELOAD_SECONDS).body)


@router.get(
    "/api/v1/live",
    dependencies=[Viewer],
    responses=_STREAM,
    response_class=StreamingResponse,
)
async def live_updates(
    feed: TheFeed,
    camera: Annotated[Name | None, Query(description="Only updates of this camera.")] = None,
    kind: Annotated[list[Kind] | None, Query(description="Only updates of these kinds.")] = None,
) -> StreamingResponse:
    """Stream scores, events and states; a slow client receives only the newest."""
    kinds = frozenset(kind or ("score", "event", "state"))
    feed.check_room()
    updates = _updates(feed, camera, kinds)
    return StreamingResponse(updates, media_type="text/event-stream")


async def _updates(feed: LiveFeed, camera: str | None, kinds: frozenset[str]) -> AsyncIterator[str]:
    with feed.watching(camera, kinds) as watcher:
        async for text in stream(watcher):
            yield text
