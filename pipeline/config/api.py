"""Sections about the REST API: address, tokens, certificate."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipeline.config.base import Count, Name, Section


class Token(Section):
    """A token of the REST API and its role."""

    token: str = Field(repr=False, min_length=16, max_length=256)
    """The secret itself; write {VEDETTE_…} and keep it out of the file."""
    role: Literal["admin", "viewer"] = "viewer"
    """viewer: may read everything; admin: may also change cameras and events."""


class Tls(Section):
    """PEM files; the certificate may be followed by intermediate certificates."""

    certificate: Path
    """File of the certificate."""
    key: Path
    """File of its private key."""


class Api(Section):
    """The REST API."""

    enabled: bool = False
    """Whether it is served; the service then continues when all recordings have ended."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; any address other than loopback requires a token."""
    port: Count = Field(default=8470, ge=0, le=65535)
    """Port to listen on; 0: any free port, which is logged."""
    tokens: dict[Name, Token] = Field(default_factory=dict)
    """Tokens by name; without any, every user of this machine has access."""
    tls: Tls | None = None
    """Certificate and key for HTTPS; null: plain HTTP."""
    public_url: str | None = None
    """URL of the API for links in messages, as https://host/path; null: messages contain paths."""
    allow_file_roots: list[Path] = Field(default_factory=list)
    """Folders below which the API may use recordings and images as sources of cameras."""

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        wanted = "want http://host[:port][/path] or https://…, without user, query or fragment"
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(wanted)
        if not url.isprintable() or any(character.isspace() for character in url):
            raise ValueError(wanted)
        return url.rstrip("/")
