"""Select the main video track of a container: no cover art, thumbnail or still image."""

from collections import Counter
from itertools import islice

import av.container
from av.stream import Disposition
from av.video.stream import VideoStream

_STILL_DISPOSITIONS = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)
_STILL_CODECS = frozenset({"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"})
"""Codecs of cover art; a main video may use one of them too."""
_INSPECTED_PACKETS = 200
"""Packets read to count frames; parallel video tracks have several packets each among them."""


def main_video_tracks(container: av.container.InputContainer) -> list[VideoStream]:
    """List the decodable tracks that are most likely the main video, in the container's order."""
    tracks = [track for track in container.streams.video if track.codec_context is not None]
    least = min(map(_rank, tracks), default=())
    return [track for track in tracks if _rank(track) == least]


def multi_frame_tracks(container: av.container.InputContainer) -> set[int]:
    """Return the indices of the video tracks with more than one frame among the first packets.

    Args:
        container: Just opened; its packets are consumed.

    Raises:
        FFmpegError: it cannot be read.
    """
    packets = islice(container.demux(*container.streams.video), _INSPECTED_PACKETS)
    counts = Counter(packet.stream_index for packet in packets if packet.size)
    return {index for index, count in counts.items() if count > 1}


def _rank(track: VideoStream) -> tuple[bool, ...]:
    """Sort key; smallest for a main video."""
    return (
        bool(track.disposition & _STILL_DISPOSITIONS),
        track.frames == 1,
        track.codec_context.width == 0,
        track.codec_context.pix_fmt is None,
        track.codec_context.codec.canonical_name in _STILL_CODECS,
        track.average_rate is None,
    )
