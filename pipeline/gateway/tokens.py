"""Tokens of the REST API and their roles. Only their hashes are stored.

A generated token has 256 random bits, so a plain hash of it reveals nothing and needs no salt.
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
    """The tokens cannot be used; the message says where and why."""


class _StoredToken(Section):
    sha256: str
    role: Role


_STORED: TypeAdapter[dict[str, _StoredToken]] = TypeAdapter(dict[Name, _StoredToken])


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client of the API."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the client has the rights of a role."""
        return self.role == "admin" or role == "viewer"


class TokenBook:
    """The hashes of all tokens."""

    def __init__(self, hashes: Mapping[str, tuple[str, Role]]) -> None:
        self._hashes = dict(hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def caller(self, token: str) -> Caller | None:
        """Client with a token; None: the token is wrong. Takes equal time for every wrong one."""
        shown, found = hash_of(token), None
        for name, (known, role) in self._hashes.items():
            if hmac.compare_digest(known, shown):
                found = Caller(name, role)
        return found

    def holder(self, name: str, sha256: str) -> Caller | None:
        """Who has a token of this name and hash; None: it was revoked or replaced."""
        known, role = self._hashes.get(name, ("", "viewer"))
        return Caller(name, role) if hmac.compare_digest(known, sha256) else None


def hash_of(token: str) -> str:
    """SHA-256 of a token, as hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def load_tokens(api: Api, data_folder: Path) -> TokenBook:
    """Load the tokens of the configuration and the generated ones.

    Raises:
        TokenError: the file of the generated tokens cannot be used.
    """
    made = {name: (one.sha256, one.role) for name, one in _read(data_folder).items()}
    given = {name: (hash_of(one.token), one.role) for name, one in api.tokens.items()}
    return TokenBook(made | given)


def tokens_changed(data_folder: Path) -> float:
    """Time at which the file of the generated tokens was written, Unix seconds; 0: never."""
    try:
        return (data_folder / _FILE).stat().st_mtime
    except OSError:
        return 0.0


def create_token(data_folder: Path, name: str, role: Role) -> str:
    """Generate a token, replacing one of the same name, and store its hash.

    Returns:
        The token; it cannot be recovered later.

    Raises:
        TokenError: the file of the other tokens cannot be used.
        OSError: it cannot be written.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    stored = {name: one.model_dump() for name, one in _read(data_folder).items()}
    stored[name] = {"sha256": hash_of(token), "role": role}
    write_private(data_folder / _FILE, json.dumps(stored, indent=2).encode())
    return token


def generated_tokens(data_folder: Path) -> dict[str, Role]:
    """Name and role of the generated tokens.

    Raises:
        TokenError: the file cannot be used.
    """
    return {name: one.role for name, one in _read(data_folder).items()}


def revoke_token(data_folder: Path, name: str) -> None:
    """Delete a generated token.

    Raises:
        TokenError: there is no token of that name, or the file cannot be used.
        OSError: it cannot be written.
    """
    stored = {other: one.model_dump() for other, one in _read(data_folder).items()}
    if stored.pop(name, None) is None:
        raise TokenError(f"token {name}: want one of {', '.join(stored) or 'none'}")
    write_private(data_folder / _FILE, json.dumps(stored, indent=2).encode())


def _read(data_folder: Path) -> dict[str, _StoredToken]:
    path = data_folder / _FILE
    try:
        return _STORED.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise TokenError(
            f"{path}: want a file written by `vedette token create`, got something else; remove it "
            "and create new tokens"
        ) from None
    except OSError as error:
        raise TokenError(f"{path}: cannot be read: {error.strerror}") from None
