"""One mount of the server: a source, encoded once to RTP packets for all clients."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream

from cameras.simulation.rtsp_server.requests import PAYLOAD_TYPE, Codec
from cameras.source import Picture, Source, SourceError

LOG = logging.getLogger(__name__)

_PACKET_BYTES = 1400
_TICKS_PER_SECOND = 90_000
_PAUSE_SECONDS = 1.0
_ENCODERS: dict[Codec, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h265": (
        "libx265",
        "yuv420p",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": "repeat-headers=1:log-level=none:pools=none:frame-threads=1",
        },
    ),
    "mjpeg": (
        "mjpeg",
        "yuvj420p",
        {"huffman": "default", "q": "4"},
    ),  # the only form that RTP/JPEG supports
}


@dataclass(frozen=True, slots=True)
class Mount:
    """The stream served under one path."""

    open: Callable[[], Source]
    """Opens the source, which sets the pace; called again at its end, so that a recording loops."""
    codec: Codec = "h264"
    frames_per_second: int = 25
    """Approximate rate of the source."""
    keyframe_seconds: float = 1.0
    """Time between key frames: the longest wait of a client for its first frame."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The RTP packets of one frame."""

    packets: tuple[bytes, ...]
    keyframe: bool
    """Whether decoding can start here."""


class _Sink:
    """Output of the RTP muxer: each write is one packet."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def write(self, packet: bytes) -> int:
        self._packets.append(bytes(packet))
        return len(packet)

    def take(self) -> tuple[bytes, ...]:
        taken = tuple(self._packets)
        self._packets.clear()
        return taken


def broadcast(mount: Mount, deliver: Callable[[Burst], None], stop: threading.Event) -> None:
    """Encode a mount's frames until stopped; a failed source is opened again after a second.

    Args:
        mount: What to serve.
        deliver: Called with the packets of each frame, from this thread.
        stop: Checked after every frame.
    """
    pictures = _pictures(mount, stop)
    for size_hw, run in itertools.groupby(pictures, lambda picture: picture.pixels.shape[:2]):
        _encode(mount, size_hw, run, deliver)


def _pictures(mount: Mount, stop: threading.Event) -> Iterator[Picture]:
    """Yield all passes as one stream with continuous time."""
    begin_seconds = 0.0
    while not stop.is_set():
        end_seconds = begin_seconds
        try:
            with mount.open() as source:
                for picture in source:
                    if stop.is_set():
                        return
                    pts_seconds = begin_seconds + picture.pts_seconds
                    end_seconds = pts_seconds + 1 / mount.frames_per_second
                    yield Picture(pts_seconds, picture.captured_at, picture.pixels)
        except SourceError as error:
            LOG.warning("no frames to serve (%s): %s", error.code, error)
            stop.wait(_PAUSE_SECONDS)
        begin_seconds = end_seconds


def _encode(
    mount: Mount,
    size_hw: tuple[int, ...],
    pictures: Iterator[Picture],
    deliver: Callable[[Burst], None],
) -> None:
    """Encode frames of one size; each size needs its own encoder."""
    encoder, pixel_format, options = _ENCODERS[mount.codec]
    sink = _Sink()
    container = av.open(
        sink,
        "w",
        format="rtp",
        buffer_size=_PACKET_BYTES,
        options={
            "packetsize": str(_PACKET_BYTES),
            "payload_type": str(PAYLOAD_TYPE),
            "rtpflags": "skip_rtcp",
        },
    )
    with container:
        stream = container.add_stream(encoder, rate=mount.frames_per_second, options=options)
        assert isinstance(stream, VideoStream)
        height, width = (side // 2 * 2 for side in size_hw)  # chroma has half the size
        stream.height, stream.width = height, width
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
        keyframe_interval = round(mount.frames_per_second * mount.keyframe_seconds)
        stream.codec_context.gop_size = max(1, keyframe_interval)
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = 1
        for picture in pictures:
            pixels = np.ascontiguousarray(picture.pixels[:height, :width])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round(picture.pts_seconds * _TICKS_PER_SECOND)
            frame.time_base = Fraction(1, _TICKS_PER_SECOND)
            for packet in stream.encode(frame):
                keyframe = packet.is_keyframe
                container.mux_one(packet)
                deliver(Burst(sink.take(), keyframe))
