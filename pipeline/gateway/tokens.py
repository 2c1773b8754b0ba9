"""Tokens of the REST API: who may use it, and for what. Only their hashes are kept.

A made token has 256 random bits, so that a plain hash of it tells nothing and needs no salt.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from pipeline.config import Api
from pipeline.config.base import Name, Section
from pipeline.telemetry.atomic_write import write_private

Role = Literal["viewer", "admin"]
_FILE = "tokens.json"
_PREFIX = "vedette_"


class TokenError(ValueError):
    """The tokens cannot be used; the text says where and why."""


class _StoredToken(Section):
    sha256: str
    role: Role


_KEPT: TypeAdapter[dict[str, _StoredToken]] = TypeAdapter(dict[Name, _StoredToken])


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may use the API."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the role is enough."""
        return self.role == "admin" or role == "viewer"


class TokenBook:
    """The hashes of all tokens."""

    def __init__(self, hashes: Mapping[str, tuple[str, Role]]) -> None:
        self._hashes = dict(hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def caller(self, token: str) -> Caller | None:
        """Who shows a token; None: nobody. Takes the same time for every wrong one."""
        shown, found = hash_of(token), None
        for name, (known, role) in self._hashes.items():
            if hmac.compare_digest(known, shown):
                found = Caller(name, role)
        return found


def hash_of(token: str) -> str:
    """SHA-256 of a token, as hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def load_tokens(api: Api, data_folder: Path) -> TokenBook:
    """The tokens of the configuration, and those that were made.

    Raises:
        TokenError: the file of the made ones cannot be used.
    """
    made = {name: (one.sha256, one.role) for name, one in _read(data_folder).items()}
    given = {name: (hash_of(one.token), one.role) for name, one in api.tokens.items()}
    return TokenBook(made | given)


def tokens_changed(data_folder: Path) -> float:
    """When the made tokens were last written; 0: never."""
    try:
        return (data_folder / _FILE).stat().st_mtime
    except OSError:
        return 0.0


def create_token(data_folder: Path, name: str, role: Role) -> str:
    """Make a token, in place of one of the same name, and keep its hash.

    Returns:
        The token, which nobody can find out again.

    Raises:
        TokenError: the file of the others cannot be used.
        OSError: it cannot be written.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    kept = {name: one.model_dump() for name, one in _read(data_folder).items()}
    kept[name] = {"sha256": hash_of(token), "role": role}
    write_private(data_folder / _FILE, json.dumps(kept, indent=2).encode())
    return token


def made_tokens(data_folder: Path) -> dict[str, Role]:
    """Name and role of the tokens that were made.

    Raises:
        TokenError: the file cannot be used.
    """
    return {name: one.role for name, one in _read(data_folder).items()}


def revoke_token(data_folder: Path, name: str) -> None:
    """Forget a made token.

    Raises:
        TokenError: there is none of that name, or the file cannot be used.
        OSError: it cannot be written.
    """
    kept = {other: one.model_dump() for other, one in _read(data_folder).items()}
    if kept.pop(name, None) is None:
        raise TokenError(f"token {name}: want one of {', '.join(kept) or 'none'}")
    write_private(data_folder / _FILE, json.dumps(kept, indent=2).encode())


def _read(data_folder: Path) -> dict[str, _StoredToken]:
    path = data_folder / _FILE
    try:
        return _KEPT.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise TokenError(
            f"{path}: want what `vedette token create` wrote there, got something else; remove it "
            "and make new tokens"
        ) from None
    except OSError as error:
        raise TokenError(f"{path}: cannot be read: {error.strerror}") from None
