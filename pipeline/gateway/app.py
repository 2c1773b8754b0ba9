"""The REST API as a FastAPI application; the routes are in cameras, events and system."""

import importlib.metadata
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware

from pipeline.config.base import NAME_PATTERN
from pipeline.gateway import (
    cameras,
    events,
    insight,
    live_socket,
    login,
    machine,
    pages,
    probing,
    scenes,
    system,
)
from pipeline.gateway.authentication import Authenticator, DeniedError
from pipeline.gateway.dependencies import State
from pipeline.gateway.live import LiveFeed, TooManyWatchersError
from pipeline.gateway.middleware import RequestMiddleware
from pipeline.gateway.picture_feed import PictureFeed
from pipeline.gateway.schemas import Problem
from pipeline.gateway.service import Service, ServiceError
from pipeline.transport.messages import AnswerStatus

LOG = logging.getLogger(__name__)

STATUS: dict[AnswerStatus, int] = {
    "invalid": 422,
    "unknown": 404,
    "conflict": 409,
    "unavailable": 503,
    "failed": 507,
}
_KINDS = {"name": "camera"}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "Malformed request: what was got and what is wanted."},
    "default": {"model": Problem, "description": "Why it failed; docs/api.md lists the codes."},
}


def create_app(
    service: Service, guard: Authenticator, feed: LiveFeed, pictures: PictureFeed
) -> FastAPI:
    """Create the application; the caller starts and closes the feeds."""
    app = FastAPI(
        title="Vedette",
        summary="Watches fixed cameras and reports anomalies in their scenes.",
        version=_version(),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it would load code from another host
        redoc_url=None,
        responses=_PROBLEMS,
        middleware=[Middleware(RequestMiddleware, guard=guard)],
        strict_content_type=True,
    )
    app.state.vedette = State(service, guard, feed, pictures)
    app.include_router(cameras.router, prefix="/api/v1")
    app.include_router(events.router, prefix="/api/v1")
    app.include_router(system.router)
    for router in (
        login.router,
        insight.router,
        probing.router,
        machine.router,
        scenes.router,
    ):
        app.include_router(router, prefix="/api/v1")
    app.include_router(live_socket.router)
    app.include_router(pages.router)
    app.add_exception_handler(DeniedError, _denied)
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(TooManyWatchersError, _crowded)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _fault)
    return app


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document as in docs/openapi.json, without the version of the package."""
    # Only the routes are read.
    app = create_app(None, None, None, None)  # type: ignore[arg-type]
    document = app.openapi()
    document["info"]["version"] = "1"
    return document


def _version() -> str:
    try:
        return importlib.metadata.version("vedette")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "unknown"


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _denied(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DeniedError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_seconds is not None:
        headers["Retry-After"] = f"{error.retry_seconds:.0f}"
    return _problem(error.status, str(error), headers)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return _problem(STATUS[error.status], str(error))


def _crowded(_request: Request, error: Exception) -> JSONResponse:
    return _problem(503, str(error))


def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()[:5]
    # A malformed name of a camera, event or scene cannot exist: 404, as for an unknown one.
    unknown = [str(one["loc"][1]) for one in problems if one["loc"][0] == "path"]
    if unknown:
        kinds = [_KINDS.get(name, name) for name in unknown]
        return _problem(404, "; ".join(f"{kind}: there is none of that name" for kind in kinds))
    # Fields and what is wanted, never the values: one may be a password.
    found = [
        f"{'.'.join(str(part)[:64] for part in one['loc'])}: {_wanted(one)}" for one in problems
    ]
    return _problem(422, "; ".join(found))


def _wanted(problem: dict[str, Any]) -> str:
    """Describe a problem; a pattern is replaced by its meaning."""
    if problem.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return 'want 1 to 64 letters, digits, "_" or "-"'
    return str(problem["msg"])


def _fault(_request: Request, error: Exception) -> JSONResponse:
    LOG.error("fault in a request: %s", error, exc_info=error)
    return _problem(500, "internal error; the log of the service has the details")
