"""Decode any video source into frames with validated time stamps.

`open_source` returns a `Source` for an address: one connection, opened by `with`, iterated once.
"""

from cameras.frame import Frame
from cameras.opening import open_source
from cameras.source import Picture, Source, SourceError, SourceInfo, SourceOptions

__all__ = [
    "Frame",
    "Picture",
    "Source",
    "SourceError",
    "SourceInfo",
    "SourceOptions",
    "open_source",
]
