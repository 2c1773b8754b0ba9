"""Routes of the machine: processes, latencies, storage, versions, the log, tokens."""

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
from pipeline.gateway.machine_schemas import (
    LogShown,
    NewTokenShown,
    OutboxShown,
    SystemShown,
    TokensShown,
)
from pipeline.gateway.service import ServiceError
from pipeline.gateway.tokens import Role, TokenError, create_token, generated_tokens, revoke_token
from pipeline.notifiers.outbox_message import OUTBOX_NAME
from pipeline.notifiers.outbox_reader import OutboxUnreadableError, read_outbox, sinks_of
from pipeline.transport.commands import GetLatencies, GetOverview

router = APIRouter(tags=["service"])

_LIBRARIES = ("vedette", "torch", "av", "opencv-python-headless", "numpy", "fastapi")
_TAIL_BYTES = 200_000
TokenName = Annotated[Name, InPath(description="Name of the token.")]


class NewToken(Section):
    """A token to create."""

    name: Name
    """For people; a token of the same name is replaced."""
    role: Role = Field(default="viewer")


@router.get("/system", dependencies=[Viewer])
def show_system(service: TheService) -> SystemShown:
    """Versions, processes, latencies and storage of the service."""
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
            "stages": service.ask(GetLatencies()).body["stages"],
            "storage": {**service.storage.read(), "record": record},
        }
    )


@router.get("/outbox", dependencies=[Viewer])
def show_outbox(service: TheService) -> OutboxShown:
    """Messages that wait for receivers, and those that receivers do not accept."""
    path = service.run.data_folder / OUTBOX_NAME
    try:
        sinks = read_outbox(path, sinks_of(service.config))
    except OutboxUnreadableError as error:
        raise ServiceError("unavailable", str(error)) from error
    return OutboxShown.model_validate({"sinks": [asdict(one) for one in sinks]})


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
    """Names and roles of all tokens."""
    given = {name: one.role for name, one in service.config.api.tokens.items()}
    try:
        created = generated_tokens(service.run.data_folder)
    except TokenError as error:
        raise ServiceError("failed", str(error)) from error
    tokens = [{"name": name, "role": role, "origin": "created"} for name, role in created.items()]
    tokens += [{"name": name, "role": role, "origin": "file"} for name, role in given.items()]
    return TokensShown.model_validate({"tokens": tokens})


@router.post("/tokens", dependencies=[Admin], status_code=201)
def add_token(token: NewToken, service: TheService) -> NewTokenShown:
    """Create a token; it is returned only once. With the first one, every request needs a token."""
    if token.name in service.config.api.tokens:
        raise ServiceError("conflict", f"token {token.name}: comes from the configuration file")
    try:
        created = create_token(service.run.data_folder, token.name, token.role)
    except (TokenError, OSError) as error:
        raise ServiceError("failed", f"the token cannot be stored: {error}") from error
    return NewTokenShown(name=token.name, role=token.role, token=created)


@router.delete("/tokens/{token}", dependencies=[Admin], status_code=204)
def remove_token(token: TokenName, service: TheService) -> None:
    """Revoke a token that was created at run time; its sessions end."""
    try:
        revoke_token(service.run.data_folder, token)
    except TokenError as error:
        raise ServiceError("unknown", str(error)) from error
    except OSError as error:
        raise ServiceError("failed", f"the change cannot be stored: {error.strerror}") from error


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
    # Only lines that begin with a time: a traceback belongs to the line above it.
    return [line[:600] for line in lines if line[:2] == "20"]
