"""`vedette event …`: commands and arguments."""

from typing import Annotated, Literal

import typer

from pipeline.cli.service_options import DEFAULT_URL, CaFile, Json, Url

app = typer.Typer(no_args_is_help=True, help="List, show and label events of a running service.")

Event = Annotated[str, typer.Argument(help="Id of the event, as `event list` shows it.")]


@app.command("list")
def list_all(
    camera: Annotated[str | None, typer.Option(help="Only events of this camera.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of events.")] = 20,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """Show the newest events."""
    from pipeline.cli import cameras, service_client

    cameras.show_events(service_client.ServiceClient(url, ca_file), camera, limit, json)


@app.command()
def show(event: Event, url: Url = DEFAULT_URL, ca_file: CaFile = None, json: Json = False) -> None:
    """Show all data of one event."""
    from pipeline.cli import cameras, service_client

    cameras.show_event(service_client.ServiceClient(url, ca_file), event, json)


@app.command()
def ack(
    event: Event,
    undo: Annotated[bool, typer.Option("--undo", help="Take the acknowledgement back.")] = False,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
) -> None:
    """Acknowledge an event."""
    from pipeline.cli import cameras, service_client

    cameras.annotate(service_client.ServiceClient(url, ca_file), event, {"acknowledged": not undo})


@app.command()
def label(
    event: Event,
    what: Annotated[Literal["normal", "anomaly", "none"], typer.Argument(help="What it was.")],
    note: Annotated[str | None, typer.Option(help="Free text to store with it.")] = None,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
) -> None:
    """Label an event."""
    from pipeline.cli import cameras, service_client

    changes: dict[str, object] = {"label": None if what == "none" else what}
    if note is not None:
        changes["note"] = note
    cameras.annotate(service_client.ServiceClient(url, ca_file), event, changes)
