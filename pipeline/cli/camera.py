"""`vedette camera …`: names and options of its commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.service_options import DEFAULT_URL, CaFile, Json, Url

app = typer.Typer(no_args_is_help=True, help="Probe cameras, or manage those of a running service.")

Name = Annotated[str, typer.Argument(help="Name of the camera.")]


@app.callback()
def options() -> None:
    """Probe cameras, or manage those of a running service.

    All but discover and probe call a running service (api.enabled), with the token in
    VEDETTE_TOKEN where it asks for one.
    """


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="Address, as in the configuration.")],
    seconds: Annotated[float, typer.Option(min=1, max=600, help="For how long to watch.")] = 5.0,
    transport: Annotated[
        Literal["tcp", "udp"], typer.Option(help="Transport of RTSP media.")
    ] = "tcp",
    timeout: Annotated[
        float, typer.Option(min=0.5, help="Seconds without a picture that are too long.")
    ] = 10.0,
    guess: Annotated[
        bool,
        typer.Option("--guess", help="Also try the usual paths of a smaller stream at that host."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read a camera for a few seconds: what it sends, what that costs, how to configure it."""
    from pipeline.cli.probe import probe as implementation

    implementation(url, seconds, transport, timeout, guess, json)


@app.command()
def discover(
    user: Annotated[
        str | None, typer.Option(help="User name for the streams, or {VEDETTE_…}.")
    ] = None,
    password: Annotated[
        str | None, typer.Option(help="{VEDETTE_…}, written as in an address (@ as %40).")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.5, max=60, help="Seconds to wait for an answer.")
    ] = 4.0,
    interface: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="IPv4 address of the interface to ask on."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Ask only this device, without multicast."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find cameras that speak ONVIF, and the streams they offer.

    User and password are tried on every device that answers; it gets a digest of them only.
    """
    from pipeline.cli.discover import discover as implementation

    if (user is None) != (password is None):
        raise typer.BadParameter("want --user and --password, or neither")
    if host is not None and interface is not None:
        raise typer.BadParameter("want --host or --interface, not both")
    implementation(user, password, timeout, interface, host, json)


@app.command()
def add(
    name: Name,
    source: Annotated[str | None, typer.Argument(help="Its address, as in the file.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="YAML with the settings of the camera.")
    ] = None,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
) -> None:
    """Watch one more camera from now on.

    {VEDETTE_CAMERA_…} in the address is looked up by the service, and not kept there.
    """
    from pipeline.cli import cameras, service_client

    if source is None and file is None:
        raise typer.BadParameter("want SOURCE, or --file")
    cameras.add(service_client.ServiceClient(url, ca_file), name, source, file)


@app.command("list")
def list_all(url: Url = DEFAULT_URL, ca_file: CaFile = None, json: Json = False) -> None:
    """List all cameras and their states."""
    from pipeline.cli import cameras, service_client

    cameras.show_all(service_client.ServiceClient(url, ca_file), json)


@app.command()
def show(name: Name, url: Url = DEFAULT_URL, ca_file: CaFile = None) -> None:
    """Show one camera with all its settings, as JSON."""
    from pipeline.cli import cameras, service_client

    cameras.show(service_client.ServiceClient(url, ca_file), name)


@app.command()
def adapt(name: Name, url: Url = DEFAULT_URL, ca_file: CaFile = None) -> None:
    """Adapt a camera to its scene again; the scene should be normal meanwhile."""
    from pipeline.cli import cameras, service_client

    cameras.act(service_client.ServiceClient(url, ca_file), name, "adapt")


@app.command()
def enable(name: Name, url: Url = DEFAULT_URL, ca_file: CaFile = None) -> None:
    """Watch a camera again."""
    from pipeline.cli import cameras, service_client

    cameras.act(service_client.ServiceClient(url, ca_file), name, "enable")


@app.command()
def disable(name: Name, url: Url = DEFAULT_URL, ca_file: CaFile = None) -> None:
    """Stop watching a camera until it is enabled again."""
    from pipeline.cli import cameras, service_client

    cameras.act(service_client.ServiceClient(url, ca_file), name, "disable")


@app.command()
def remove(name: Name, url: Url = DEFAULT_URL, ca_file: CaFile = None) -> None:
    """Remove a camera that was added; its events and scenes stay."""
    from pipeline.cli import cameras, service_client

    cameras.remove(service_client.ServiceClient(url, ca_file), name)


@app.command()
def history(
    name: Name,
    restore: Annotated[str | None, typer.Option(help="Scene to restore.")] = None,
    url: Url = DEFAULT_URL,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """List the scenes that a camera had, or restore an earlier one."""
    from pipeline.cli import cameras, service_client

    cameras.history(service_client.ServiceClient(url, ca_file), name, restore, json)
