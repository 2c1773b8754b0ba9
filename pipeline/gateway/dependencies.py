"""Dependencies of the routes: the service, the live feed and the authorisation."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from pipeline.gateway.authentication import Authenticator, DeniedError
from pipeline.gateway.live import LiveFeed
from pipeline.gateway.picture_feed import PictureFeed
from pipeline.gateway.service import Service
from pipeline.gateway.sessions import COOKIE, CSRF_HEADER
from pipeline.gateway.tokens import Caller, Role

_BEARER = HTTPBearer(auto_error=False, description="A token; not required if there are none.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True, slots=True)
class State:
    """The objects that the routes use."""

    service: Service
    guard: Authenticator
    feed: LiveFeed
    pictures: PictureFeed


def _state(request: HTTPConnection) -> State:
    state: State = request.app.state.vedette
    return state


def _service(state: Annotated[State, Depends(_state)]) -> Service:
    return state.service


def _feed(state: Annotated[State, Depends(_state)]) -> LiveFeed:
    return state.feed


def _admit(
    request: Request, credentials: HTTPAuthorizationCredentials | None, role: Role
) -> Caller:
    guard = _state(request).guard
    if credentials is not None:
        return guard.admit(role, address_of(request), credentials.credentials)
    safe = request.method in ("GET", "HEAD")
    return guard.admit_session(
        role, request.cookies.get(COOKIE), request.headers.get(CSRF_HEADER), safe
    )


def address_of(request: HTTPConnection) -> str:
    """Address of the client."""
    return request.client.host if request.client else "unknown"


def viewer(request: Request, credentials: _Credentials) -> Caller:
    """Authorise a caller that may read."""
    return _admit(request, credentials, "viewer")


def _admin(request: Request, credentials: _Credentials) -> Caller:
    return _admit(request, credentials, "admin")


def _viewer_or_link(
    request: Request,
    credentials: _Credentials,
    service: Annotated[Service, Depends(_service)],
    expires: Annotated[
        str | None, Query(max_length=20, description="Expiry of a signed link.")
    ] = None,
    signature: Annotated[str | None, Query(max_length=64, description="Its signature.")] = None,
) -> None:
    if signature is None:
        _admit(request, credentials, "viewer")
    elif not service.is_linked(request.url.path, expires or "", signature):
        raise DeniedError(403, "want a complete link that has not expired, got another one")


TheState = Annotated[State, Depends(_state)]
TheService = Annotated[Service, Depends(_service)]
TheFeed = Annotated[LiveFeed, Depends(_feed)]
Viewer = Depends(viewer)
"""For routes that only read."""
Linked = Depends(_viewer_or_link)
"""For files that messages link to: requires a token or a signed link."""
Admin = Depends(_admin)
"""For routes that change something."""
