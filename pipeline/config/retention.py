"""Sections about what is kept, where, and for how long."""

from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator

from pipeline.config.base import Number, Section

BYTES_PER_GB = 10**9


class Store(Section):
    """The database of the events and of the course of the scores."""

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
            raise ValueError('want the password before the "@", where it is kept out of logs')
        return url


class Retain(Section):
    """How long events are kept."""

    days: Number = Field(default=10.0, gt=0)
    """Days after which an event is forgotten, with its pictures and its clip."""
    max_size_gb: Number = Field(default=20.0, gt=0)
    """Size of all pictures and clips in GB; beyond it those of the oldest events are deleted."""
    keep_labelled: bool = True
    """Whether events that somebody labelled are left alone."""


class Record(Section):
    """What is kept of an event."""

    enabled: bool = True
    """Whether events get a clip, of what the camera itself encoded."""
    pre_capture: Number = Field(default=5.0, ge=0, le=60)
    """Seconds that a clip begins before its event."""
    post_capture: Number = Field(default=5.0, ge=0, le=60)
    """Seconds that it goes on afterwards."""
    longest: Number = Field(default=60.0, gt=0, le=600)
    """Seconds of an event that its clip shows at most; as many are held in memory."""
    min_free_gb: Number = Field(default=1.0, ge=0)
    """Free space in GB below which clips are not written, and the oldest files are deleted."""
    retain: Retain = Retain()
    """For how long, and how much."""
