"""`{VEDETTE_…}` inside strings: the only way from the environment into the configuration."""

import os
import re
from pathlib import Path

PREFIX = "VEDETTE_"
SECRETS_FOLDER = Path("/run/secrets")
_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")


class SubstitutionError(Exception):
    """A placeholder that has no value; the message says which and what is wanted."""


def substitute(text: str, secrets_folder: Path = SECRETS_FOLDER) -> str:
    """Replace each `{VEDETTE_…}` by its value, unchanged.

    The value is taken from the environment, or else from the file of that name in the secrets
    folder of the container engine, without trailing line breaks.

    Raises:
        SubstitutionError: the name does not start with VEDETTE_, or there is neither such a
            variable nor such a secret.
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
