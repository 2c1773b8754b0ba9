"""Routes of the session of a browser: log in, show, log out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from pipeline.config.base import Section
from pipeline.gateway.dependencies import TheState, Viewer, address_of, viewer
from pipeline.gateway.schemas import Shown
from pipeline.gateway.service import ServiceError
from pipeline.gateway.sessions import COOKIE, SESSION_SECONDS, LoginSession
from pipeline.gateway.tokens import Caller, Role

router = APIRouter(tags=["session"])


class LoginRequest(Section):
    """The credentials of a login."""

    token: str = Field(default="", max_length=256, repr=False)
    """A token of the API."""


class SessionShown(Shown):
    """The session of a request."""

    name: str
    """Name of the token."""
    role: Role
    open: bool
    """Whether every user of this machine is an admin, because there is no token."""
    csrf: str | None
    """Required in the header `X-Vedette-CSRF` of requests that change something; null: none is."""
    expires_at: float | None
    """End of the session, Unix seconds; null: never."""


@router.get("/session")
def show_session(
    request: Request, state: TheState, caller: Annotated[Caller, Depends(viewer)]
) -> SessionShown:
    """The session of this request."""
    session = state.guard.session(request.cookies.get(COOKIE))
    return _shown(caller, state.guard.open, session)


@router.post("/session")
def log_in(
    login: LoginRequest, request: Request, response: Response, state: TheState
) -> SessionShown:
    """Log in with a token; sets the cookie of the session."""
    if state.guard.open:
        return _shown(state.guard.admit("viewer", address_of(request), None), True, None)
    try:
        cookie, session = state.guard.log_in(address_of(request), login.token)
    except OSError as error:
        raise ServiceError("failed", f"the session cannot be stored: {error.strerror}") from error
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _shown(session.caller, False, session)


@router.delete("/session", dependencies=[Viewer], status_code=204)
def log_out(request: Request, response: Response, state: TheState) -> None:
    """Log out."""
    if (cookie := request.cookies.get(COOKIE)) is not None:
        try:
            state.guard.log_out(cookie)
        except OSError as error:
            raise ServiceError(
                "failed", f"the session cannot be closed: {error.strerror}"
            ) from error
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _shown(caller: Caller, is_open: bool, session: LoginSession | None) -> SessionShown:
    return SessionShown(
        name=caller.name,
        role=caller.role,
        open=is_open,
        csrf=None if session is None else session.csrf,
        expires_at=None if session is None else session.expires_at,
    )
