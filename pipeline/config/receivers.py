"""Sections about who is told of events: MQTT, webhooks, Apprise, and what may wait for them."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pipeline.config.base import Count, Number, Section, TopicName


class Discovery(Section):
    """How Home Assistant learns of the cameras."""

    enabled: bool = True
    """Whether a device for each camera is announced."""
    prefix: TopicName = "homeassistant"
    """Topic below which Home Assistant looks for devices."""


class Mqtt(Section):
    """The broker that hears of events and states."""

    enabled: bool = False
    """Whether anything is published."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Name or address of the broker."""
    port: Count = Field(default=1883, ge=1, le=65535)
    """Its port; with TLS mostly 8883."""
    user: str | None = None
    """Name to log in with; null: none."""
    password: str | None = Field(default=None, repr=False)
    """Password to log in with; write {VEDETTE_MQTT_PASSWORD} and keep it out of the file."""
    tls: bool = False
    """Whether to speak TLS; the broker's certificate must be valid for `host`."""
    ca: Path | None = None
    """File in PEM of who signs the broker's certificate; null: whom the system trusts."""
    client_id: str = Field(default="vedette", min_length=1, max_length=64)
    """Name of this client; another one for each service at the same broker."""
    topic_prefix: TopicName = "vedette"
    """First part of all topics; another one for each service at the same broker."""
    keepalive: Count = Field(default=30, ge=5, le=3600)
    """Seconds of silence after which the connection is checked, and then counts as lost."""
    score_interval: Number = Field(default=10.0, ge=1)
    """Least seconds between two scores of a camera; they are sent when they change."""
    max_rate: Number = Field(default=20.0, gt=0, le=1000)
    """Most messages about events a second."""
    commands: bool = True
    """Whether PREFIX/CAMERA/enabled/set, …/adapt/set and …/threshold/set are obeyed."""
    discovery: Discovery = Discovery()
    """Announcements for Home Assistant."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("got a password without a user, want both or none")
        if self.ca is not None and not self.tls:
            raise ValueError("got ca without tls, want tls: true")
        return self


class Webhook(Section):
    """An HTTP server that is told of events."""

    url: str = Field(repr=False)
    """http:// or https:// address that takes POST."""
    secret: str | None = Field(default=None, repr=False, min_length=16)
    """Key of the signature; write {VEDETTE_…} and keep it out of the file; null: unsigned."""
    ca: Path | None = None
    """File in PEM of who signs the server's certificate; null: whom the system trusts."""
    timeout: Number = Field(default=10.0, gt=0, le=120)
    """Seconds within which the server must have answered."""
    updates: bool = True
    """Whether new peaks are told, or only that an event began and ended."""
    max_rate: Number = Field(default=5.0, gt=0, le=1000)
    """Most messages a second."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        # No message shows the address: whoever knows its path may often write there.
        try:
            parts = urlsplit(url)
            valid = bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or not url.isprintable() or any(character.isspace() for character in url):
            raise ValueError("webhook address: want http://host[:port]/path or https://…")
        if parts.scheme not in ("http", "https"):
            raise ValueError(
                f"webhook address: want http:// or https://, got the scheme {parts.scheme!r}"
            )
        if parts.username is not None or parts.password is not None:
            raise ValueError("webhook address: want no user or password in it; use `secret`")
        return url


class Apprise(Section):
    """A service of the Apprise library that is told of events."""

    url: str = Field(repr=False, min_length=1)
    """Address as Apprise knows it; write {VEDETTE_…} and keep it out of the file."""
    ends: bool = False
    """Whether the end of an event is told, too."""
    picture: bool = True
    """Whether the snapshot goes along, where the service takes pictures."""
    max_rate: Number = Field(default=1.0, gt=0, le=1000)
    """Most messages a second."""


class OutboxBounds(Section):
    """What may wait for each receiver that is away; beyond that, the oldest are dropped."""

    max_messages: Count = Field(default=10_000, ge=1)
    """Most messages; first updates of events go, then the oldest."""
    max_size_mb: Number = Field(default=64.0, gt=0)
    """Most megabytes of messages."""
    max_age: Number = Field(default=86400.0, gt=0)
    """Seconds after which a message is no news any more."""
