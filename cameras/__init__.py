"""Turns any source of pictures into pictures with trusted times.

`open_source` gives a `Source` for an address: one connection, opened by `with`, iterated once.
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
