"""Routes about the machine: processes, latencies, storage, versions, the log, tokens."""

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from pydantic import Field

from pipeline.config.base import Name, Section
from pipeline.gateway.dependencies import Admin, TheService, Viewer
from pipeline.gateway.schemas import LogShown, NewTokenShown, SystemShown, TokensShown
from pipeline.gateway.service import ServiceError
from pipeline.gateway.tokens import Role, TokenError, create_token, generated_tokens, revoke_token
from pipeline.transport.commands import GetOverview

router = APIRouter(tags=["service"])

_LIBRARIES = ("vedette", "torch", "av", "opencv-python-headless", "numpy", "fastapi")
_TAIL_BYTES = 200_000
TokenName = Annotated[Name, InPath(description="Name of the token.")]


class NewToken(Section):
    """A token to be made."""

    name: Name
    """For people; a token of the same name is replaced."""
    role: Role = Field(default="viewer")


@router.get("/system", dependencies=[Viewer])
def show_system(service: TheService) -> SystemShown:
    """What the service runs on, and what it takes."""
    workers = service.ask(GetOverview()).body["workers"]
    assert isinstance(workers, list)
    usage = service.processes.measure([one["pid"] for one in workers if one["pid"]])
    record = service.config.record.model_dump(mode="json")
    return SystemShown.model_validate(
        {
            "versions": dict(_versions()),
            "started_at": service.run.started_ms / 1000,
            "processes": [
                {**one, **(asdict(usage[one["pid"]]) if one["pid"] in usage else {})}
                for one in workers
            ],
            "cameras": service.meter.cameras(),
            "storage": {**service.storage.read(), "record": record},
        }
    )


@router.get("/log", dependencies=[Admin])
def tail_of_the_log(
    service: TheService, lines: Annotated[int, Query(ge=1, le=1000)] = 200
) -> LogShown:
    """The newest lines of the logs of all processes, without credentials."""
    found: list[str] = []
    for path in (service.run.data_folder / "logs").glob("*.log"):
        found += _tail(path)
    return LogShown(lines=sorted(found)[-lines:])


@router.get("/tokens", dependencies=[Admin])
def list_tokens(service: TheService) -> TokensShown:
    """Who may use the API: names and roles."""
    given = {name: one.role for name, one in service.config.api.tokens.items()}
    try:
        made = generated_tokens(service.run.data_folder)
    except TokenError as error:
        raise ServiceError("failed", str(error)) from error
    tokens = [{"name": name, "role": role, "origin": "made"} for name, role in made.items()]
    tokens += [{"name": name, "role": role, "origin": "file"} for name, role in given.items()]
    return TokensShown.model_validate({"tokens": tokens})


@router.post("/tokens", dependencies=[Admin], status_code=201)
def make_token(token: NewToken, service: TheService) -> NewTokenShown:
    """Make a token; it is told only now. The first one closes the API to everybody else."""
    if token.name in service.config.api.tokens:
        raise ServiceError("conflict", f"token {token.name}: comes from the configuration file")
    try:
        made = create_token(service.run.data_folder, token.name, token.role)
    except (TokenError, OSError) as error:
        raise ServiceError("failed", f"the token cannot be kept: {error}") from error
    return NewTokenShown(name=token.name, role=token.role, token=made)


@router.delete("/tokens/{token}", dependencies=[Admin], status_code=204)
def remove_token(token: TokenName, service: TheService) -> None:
    """Revoke a made token; its sessions end."""
    try:
        revoke_token(service.run.data_folder, token)
    except TokenError as error:
        raise ServiceError("unknown", str(error)) from error
    except OSError as error:
        raise ServiceError("failed", f"that cannot be kept: {error.strerror}") from error


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for library in _LIBRARIES:
        try:
            yield library, importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = text.splitlines()[1 if size > _TAIL_BYTES else 0 :]
    # A traceback goes with the line above it: only lines that begin with a time are kept.
    return [line[:600] for line in lines if line[:2] == "20"]
