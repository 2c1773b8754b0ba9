"""Requests that the alert sink serves while it runs: annotations of stored events."""

from collections.abc import Callable
from dataclasses import asdict, fields

from pipeline.storage.event_queries import Annotation, StoredEvent
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreError
from pipeline.transport.commands import Annotate, CommandError, arguments_of, read_command
from pipeline.transport.messages import Answer, Request


def handle_request(request: Request, store: EventStore, fail: Callable[[str, str], None]) -> Answer:
    """Execute a request, and answer it.

    Args:
        request: As received.
        store: Open for writing.
        fail: Called with the name of the part that failed, and the reason.
    """
    try:
        command = read_command(request.command, request.arguments)
        if not isinstance(command, Annotate):
            raise CommandError(f"{command.command}: not a command of the alert sink")
        changes = arguments_of(command)
        stored = store.annotate(changes.pop("event"), Annotation(**changes))
    except CommandError as error:
        return Answer(request.id, "invalid", problem=str(error))
    except StoreError as error:
        fail("store", str(error))
        return Answer(request.id, "failed", problem="the event store cannot be written")
    if stored is None:
        return Answer(request.id, "unknown", problem=f"event {command.event}: there is none")
    return Answer(request.id, "ok", {**asdict(stored.event), **_annotation_fields(stored)})


def _annotation_fields(stored: StoredEvent) -> dict[str, object]:
    return {field.name: getattr(stored, field.name) for field in fields(stored)[1:]}
