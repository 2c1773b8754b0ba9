"""Options of all commands that call a running service."""

from pathlib import Path
from typing import Annotated

import typer

URL_VARIABLE = "VEDETTE_URL"
DEFAULT_URL = "http://127.0.0.1:8470"

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar=URL_VARIABLE,
        help="Address of the service; a token, if it requires one, goes into VEDETTE_TOKEN.",
    ),
]
CaFile = Annotated[
    Path | None, typer.Option(help="Certificate to trust, of a service with a self-signed one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
