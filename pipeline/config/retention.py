"""Sections about the storage of events: database, recording, retention."""

from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator

from pipeline.config.base import Number, Section

BYTES_PER_GB = 10**9


class Store(Section):
    """The database of the events and of the score history."""

    url: str | None = Field(default=None, repr=False)
    """postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:///PATH; null: in the data folder."""

    @field_validator("url")
    @classmethod
    def _is_well_formed(cls, url: str | None) -> str | None:
        if url is None:
            return None
        wanted = 'want "postgresql://user:password@host/database" or "sqlite:///path"'
        try:
            parts = urlsplit(url)
            port_is_number = parts.port is None or parts.port >= 0
        except ValueError:
            raise ValueError(wanted) from None
        options = dict(parse_qsl(parts.query))
        name = parts.path.strip("/")
        if parts.scheme == "sqlite" and not parts.netloc and name:
            return url
        is_whole = parts.scheme == "postgresql" and name and port_is_number
        if not is_whole or not (parts.hostname or "host" in options):
            raise ValueError(wanted)
        if "password" in options:
            raise ValueError('want the password before the "@", where logs omit it')
        return url


class Retain(Section):
    """Retention of events."""

    days: Number = Field(default=10.0, gt=0)
    """Days after which an event is deleted, with its pictures and its clip."""
    max_size_gb: Number = Field(default=20.0, gt=0)
    """Size of all pictures and clips in GB; beyond it those of the oldest events are deleted."""
    keep_labelled: bool = True
    """Whether labelled events are exempt from deletion."""


class Record(Section):
    """Recording of events."""

    enabled: bool = True
    """Whether events get a clip, remuxed from the camera's encoded stream."""
    pre_capture: Number = Field(default=5.0, ge=0, le=60)
    """Seconds before the event at which its clip begins."""
    post_capture: Number = Field(default=5.0, ge=0, le=60)
    """Seconds after the event at which its clip ends."""
    longest: Number = Field(default=60.0, gt=0, le=600)
    """Maximum seconds of an event in its clip; as much of the stream is buffered in memory."""
    min_free_gb: Number = Field(default=1.0, ge=0)
    """Free space in GB below which clips are not written and the oldest files are deleted."""
    retain: Retain = Retain()
    """Retention by age and size."""
