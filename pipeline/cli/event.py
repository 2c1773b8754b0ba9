"""`vedette event …`: what its commands are called and take."""

from typing import Annotated, Literal

import typer

from pipeline.cli.service_options import DEFAULT_URL, CaFile, Json, Url

app = typer.Typer(no_args_is_help=True, help="Look at the events of a running service.")

Event = Annotated[str, typer.Argument(help="Id of the event, as `event list` shows it.")]


@app.command("list")
def list_all(
    camera: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most events.")] = 20,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """Show the newest events."""
    from pipeline.cli import cameras, service_client

    cameras.show_events(service_client.ServiceClient(url, ca_file), camera, limit, json)


@app.command()
def show(event: Event, url: Url = DEFAULT_URL, ca_file: CaFile = None, json: Json = False) -> None:
    """Show all that is known of one event."""
    from pipeline.cli import cameras, service_client

    cameras.show_event(service_client.ServiceClient(url, ca_file), event, json)


@app.command()
def ack(
    event: Event,
    undo: Annotated[bool, typer.Option("--undo", help="Nobody has seen it after all.")] = False,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
) -> None:
    """Say that somebody has seen an event."""
    from pipeline.cli import cameras, service_client

    cameras.annotate(service_client.ServiceClient(url, ca_file), event, {"acknowledged": not undo})


@app.command()
def label(
    event: Event,
    what: Annotated[Literal["normal", "anomaly", "none"], typer.Argument(help="What it was.")],
    note: Annotated[str | None, typer.Option(help="Free text beside it.")] = None,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
) -> None:
    """Say what an event was."""
    from pipeline.cli import cameras, service_client

    changes: dict[str, object] = {"label": None if what == "none" else what}
    if note is not None:
        changes["note"] = note
    cameras.annotate(service_client.ServiceClient(url, ca_file), event, changes)
