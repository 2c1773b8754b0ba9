"""`vedette token …`: tokens of the REST API."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Create and revoke tokens of the REST API.")

Name = Annotated[str, typer.Argument(help="Name of the token, for people.")]
Folder = Annotated[Path, typer.Option(help="As that of `vedette run`.")]
_FOLDER = Path("vedette-data")


@app.command()
def create(
    name: Name,
    role: Annotated[
        Literal["viewer", "admin"], typer.Option(help="viewer: read only; admin: may change, too.")
    ] = "viewer",
    data_folder: Folder = _FOLDER,
) -> None:
    """Print a new token, once; only its hash is stored. It replaces one of the same name."""
    from pydantic import TypeAdapter, ValidationError

    from pipeline.config.base import Name as CheckedName
    from pipeline.gateway.tokens import create_token

    try:
        TypeAdapter(CheckedName).validate_python(name)
    except ValidationError:
        wanted = 'want 1 to 64 letters, digits, "_" or "-"'
        raise typer.BadParameter(f"got {name!r:.80}, {wanted}") from None
    print(create_token(data_folder, name, role))


@app.command("list")
def list_all(data_folder: Folder = _FOLDER) -> None:
    """Show the names and roles of all tokens; the tokens themselves are not stored."""
    from pipeline.gateway.tokens import generated_tokens

    for name, role in generated_tokens(data_folder).items():
        print(f"{name}  {role}")


@app.command()
def revoke(name: Name, data_folder: Folder = _FOLDER) -> None:
    """Revoke a token; a running service refuses it from then on."""
    from pipeline.gateway.tokens import revoke_token

    revoke_token(data_folder, name)
