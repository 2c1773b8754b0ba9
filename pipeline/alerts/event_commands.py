"""What a person may ask of the alert sink while it runs: to add something to a stored event."""

from collections.abc import Callable
from dataclasses import asdict, fields

from pipeline.storage.database import StoreError
from pipeline.storage.event_queries import Annotation, StoredEvent
from pipeline.storage.store import EventStore
from pipeline.transport.commands import Annotate, CommandError, arguments_of, read_command
from pipeline.transport.messages import Answer, Request


def carry_out(request: Request, store: EventStore, fail: Callable[[str, str], None]) -> Answer:
    """Do what a person asks for, and say what became of it.

    Args:
        request: As it came.
        store: Open for writing.
        fail: Told the name of what failed and why.
    """
    try:
        command = read_command(request.command, request.arguments)
        if not isinstance(command, Annotate):
            raise CommandError(f"{command.command}: the sink does not serve it")
        changes = arguments_of(command)
        stored = store.annotate(changes.pop("event"), Annotation(**changes))
    except CommandError as error:
        return Answer(request.id, "invalid", problem=str(error))
    except StoreError as error:
        fail("store", str(error))
        return Answer(request.id, "failed", problem="the event store cannot be written")
    if stored is None:
        return Answer(request.id, "unknown", problem=f"event {command.event}: there is none")
    return Answer(request.id, "ok", {**asdict(stored.event), **_beside(stored)})


def _beside(stored: StoredEvent) -> dict[str, object]:
    return {field.name: getattr(stored, field.name) for field in fields(stored)[1:]}
