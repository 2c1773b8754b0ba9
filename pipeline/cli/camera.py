"""`vedette camera …`: what its commands are called and take."""

from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Look at one camera.")


@app.callback()
def options() -> None:
    """Look at one camera."""


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="Address, as in the configuration.")],
    seconds: Annotated[float, typer.Option(min=1, max=600, help="For how long to watch.")] = 5.0,
    transport: Annotated[
        Literal["tcp", "udp"], typer.Option(help="How RTSP media travels.")
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
    """Look at a camera for a few seconds: what it sends, what that costs, how to configure it."""
    from pipeline.cli.probe import probe as implementation

    implementation(url, seconds, transport, timeout, guess, json)
