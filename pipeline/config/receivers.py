"""Sections of the receivers of events: MQTT, webhooks, Apprise, and the limits of their queues."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pipeline.config.base import Count, Number, Section, TopicName


class Discovery(Section):
    """Discovery by Home Assistant."""

    enabled: bool = True
    """Whether a device for each camera is announced."""
    prefix: TopicName = "homeassistant"
    """Topic prefix under which Home Assistant looks for devices."""


class Mqtt(Section):
    """The MQTT broker to which events and states are published."""

    enabled: bool = False
    """Whether anything is published."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Name or address of the broker."""
    port: Count = Field(default=1883, ge=1, le=65535)
    """Port of the broker; with TLS usually 8883."""
    user: str | None = None
    """User name; null: none."""
    password: str | None = Field(default=None, repr=False)
    """Password; write {VEDETTE_MQTT_PASSWORD} and keep it out of the file."""
    tls: bool = False
    """Whether to use TLS; the broker's certificate must be valid for `host`."""
    ca: Path | None = None
    """PEM file of the CA of the broker's certificate; null: the CAs of the system."""
    client_id: str = Field(default="vedette", min_length=1, max_length=64)
    """MQTT client id; must be unique for each service at the same broker."""
    topic_prefix: TopicName = "vedette"
    """Prefix of all topics; must be unique for each service at the same broker."""
    keepalive: Count = Field(default=30, ge=5, le=3600)
    """MQTT keep-alive interval in seconds."""
    score_interval: Number = Field(default=10.0, ge=1)
    """Minimum seconds between two scores of a camera; a score is published when it changes."""
    max_rate: Number = Field(default=20.0, gt=0, le=1000)
    """Maximum number of messages about events per second."""
    commands: bool = True
    """Whether commands on PREFIX/CAMERA/enabled/set, …/adapt/set, …/threshold/set are executed."""
    discovery: Discovery = Discovery()
    """Settings of the discovery by Home Assistant."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("got a password without a user, want both or none")
        if self.ca is not None and not self.tls:
            raise ValueError("got ca without tls, want tls: true")
        return self


class Webhook(Section):
    """An HTTP server that receives events."""

    url: str = Field(repr=False)
    """http:// or https:// address that accepts POST."""
    secret: str | None = Field(default=None, repr=False, min_length=16)
    """Key of the signature; write {VEDETTE_…} and keep it out of the file; null: unsigned."""
    ca: Path | None = None
    """PEM file of the CA of the server's certificate; null: the CAs of the system."""
    timeout: Number = Field(default=10.0, gt=0, le=120)
    """Seconds within which the server must answer."""
    updates: bool = True
    """Whether new peaks are sent, or only the begin and the end of an event."""
    max_rate: Number = Field(default=5.0, gt=0, le=1000)
    """Maximum number of messages per second."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        # No message contains the address: often its path is the only secret.
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
    """A service of the Apprise library that receives events."""

    url: str = Field(repr=False, min_length=1)
    """Apprise URL; write {VEDETTE_…} and keep it out of the file."""
    ends: bool = False
    """Whether the end of an event is sent as well."""
    picture: bool = True
    """Whether the snapshot is attached, if the service supports pictures."""
    max_rate: Number = Field(default=1.0, gt=0, le=1000)
    """Maximum number of messages per second."""


class OutboxBounds(Section):
    """Limits of the queue for each unavailable receiver; beyond them the oldest are dropped."""

    max_messages: Count = Field(default=10_000, ge=1)
    """Maximum number of messages; updates of events are dropped first, then the oldest."""
    max_size_mb: Number = Field(default=64.0, gt=0)
    """Maximum size of all messages in megabytes."""
    max_age: Number = Field(default=86400.0, gt=0)
    """Seconds after which a message expires."""
