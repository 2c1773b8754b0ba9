"""Which video track of a container is the film: not a cover picture, a thumbnail or a still."""

from collections import Counter
from itertools import islice

import av.container
from av.stream import Disposition
from av.video.stream import VideoStream

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_STILL_CODECS = frozenset({"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"})
"""Of cover pictures; a film may have one of them too."""
_LOOKED_AT = 200
"""Packets; films that run beside each other have a few each among them."""


def film_tracks(container: av.container.InputContainer) -> list[VideoStream]:
    """The tracks that can be decoded and most look like a film, in the container's order."""
    tracks = [track for track in container.streams.video if track.codec_context is not None]
    least = min(map(_unlikeliness, tracks), default=())
    return [track for track in tracks if _unlikeliness(track) == least]


def moving_tracks(container: av.container.InputContainer) -> set[int]:
    """Numbers of the video tracks that have more than one picture, by the first packets.

    Args:
        container: Just opened; its packets are used up.

    Raises:
        FFmpegError: it cannot be read.
    """
    packets = islice(container.demux(*container.streams.video), _LOOKED_AT)
    counts = Counter(packet.stream_index for packet in packets if packet.size)
    return {index for index, count in counts.items() if count > 1}


def _unlikeliness(track: VideoStream) -> tuple[bool, ...]:
    """Smallest for a film."""
    return (
        bool(track.disposition & _PICTURES),
        track.frames == 1,
        track.codec_context.width == 0,
        track.codec_context.pix_fmt is None,
        track.codec_context.codec.canonical_name in _STILL_CODECS,
        track.average_rate is None,
    )
