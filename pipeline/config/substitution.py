"""`{VEDETTE_…}` inside strings: the only way from the environment into the configuration."""

import os
import re
from pathlib import Path

PREFIX = "VEDETTE_"
SECRETS_FOLDER = Path("/run/secrets")
_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")


class SubstitutionError(Exception):
    """A placeholder that has no value; the text says which and what is wanted."""


def substitute(text: str, secrets_folder: Path = SECRETS_FOLDER) -> str:
    """Replace each `{VEDETTE_…}` by its value, as it is.

    The environment comes first, then the file of that name among the secrets of the container
    engine, without the line break at its end.

    Raises:
        SubstitutionError: another name than VEDETTE_…, or no such variable and no such secret.
    """
    return _PLACEHOLDER.sub(lambda found: _lookup(found[1], secrets_folder), text)


def _lookup(name: str, secrets_folder: Path) -> str:
    if not name.startswith(PREFIX):
        raise SubstitutionError(f"got {{{name}}}, want a name that starts with {PREFIX}")
    if name in os.environ:
        return os.environ[name]
    secret = secrets_folder / name
    try:
        return secret.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise SubstitutionError(
            f"{{{name}}} has no value; want an environment variable {name} or a file {secret}"
        ) from None
