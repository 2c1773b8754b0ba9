"""Ring buffer of the last seconds of encoded packets, for clips without re-encoding.

    ring = PacketRing(seconds=60, max_bytes=64 * 2**20)
    source.on_packet = ring.start_stream()     for each new connection
    ring.mark(connection, picture)             for each frame that the source yields
    excerpt = ring.cut(connection, 12.0, 20.0)

The packets between two frames get the time of the second one: their time is then that of frames and
scores, independent of the camera's time stamps. Filled by the thread that reads the source; `cut`
may be called from any thread.
"""

import io
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol, runtime_checkable

import av
import av.container
from av.video.stream import VideoStream

from cameras.source import PacketTap, Picture

HEADER_FORMAT = "nut"  # it supports every codec and preserves its extradata


@runtime_checkable
class PacketSource(Protocol):
    """A source that receives encoded packets."""

    on_packet: PacketTap | None


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """A copy of a packet, independent of FFmpeg's memory."""

    data: bytes
    pts: int | None
    """In units of the stream's time base; None where the camera sent none."""
    dts: int | None
    duration: int
    """0 where unknown."""
    is_keyframe: bool
    at_seconds: float
    """Time of the next decoded frame, within its connection."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Packets of one connection, beginning with a key frame."""

    header: bytes
    """Codec parameters for the decoder, as a file of one frame."""
    time_base: Fraction
    packets: tuple[EncodedPacket, ...]
    display_matrix: tuple[int, ...] | None = None
    """As `Picture.display_matrix`, of the newest frame of the connection."""


@dataclass(slots=True)
class _Stream:
    """The stream of one connection."""

    header: bytes | None = None
    time_base: Fraction = Fraction(1)
    connection: int | None = None
    display_matrix: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Gop:
    """A group of pictures: a key frame and the packets that depend on it."""

    stream: _Stream
    began_seconds: float
    """Seconds of stream received before it."""
    packets: list[EncodedPacket] = field(default_factory=list)
    size_bytes: int = 0


class PacketRing:
    """Ring of packets, bounded by seconds and bytes; it drops whole groups of pictures."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        """Start empty.

        Args:
            seconds: Stored duration at least, where the byte limit allows it; at most one key frame
                interval more.
            max_bytes: Limit for all packets together.
        """
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Gop] = deque()
        self._untimed = 0
        self._stream = _Stream()
        self._size_bytes = 0
        self._received_seconds = 0.0
        self._newest: tuple[int, float] | None = None

    @property
    def newest(self) -> tuple[int, float] | None:
        """Connection and stream time of the newest frame; None before the first."""
        return self._newest

    @property
    def size_bytes(self) -> int:
        """Bytes currently stored."""
        return self._size_bytes

    @property
    def has_packets(self) -> bool:
        """Whether the source delivers encoded packets; False for images and synthetic scenes."""
        return bool(self._groups)

    def start_stream(self) -> PacketTap:
        """Start a new connection; return the callback for each of its packets."""
        stream = self._stream = _Stream()
        self._untimed = 0

        def take(packet: "av.Packet[VideoStream]") -> None:
            if stream.header is None:
                if not packet.is_keyframe:
                    return  # not decodable without its key frame
                stream.header = header_of(packet)
                stream.time_base = packet.time_base
            self._push(stream, packet)

        return take

    def mark(self, connection: int, picture: Picture) -> None:
        """Assign the time of a frame to the packets since the previous frame.

        Args:
            connection: As numbered by the camera supervisor.
            picture: The newest frame; times increase within the connection.
        """
        pts_seconds = picture.pts_seconds
        with self._lock:
            if self._newest is not None and self._newest[0] == connection:
                self._received_seconds += max(0.0, pts_seconds - self._newest[1])
            self._newest = connection, pts_seconds
            self._stream.connection = connection
            self._stream.display_matrix = picture.display_matrix
            remaining = self._untimed
            for group in reversed(self._groups):
                if remaining <= 0 or group.stream is not self._stream:
                    break
                count = min(remaining, len(group.packets))
                group.packets[-count:] = [
                    replace(packet, at_seconds=pts_seconds) for packet in group.packets[-count:]
                ]
                remaining -= count
            self._untimed = 0
            self._evict()

    def cut(self, connection: int, begin_seconds: float, end_seconds: float) -> Excerpt | None:
        """Return the stored packets of a time span; None: there are none.

        Args:
            connection: Connection of the times.
            begin_seconds: The excerpt begins at the last key frame before, else at the first.
            end_seconds: Last time included.
        """
        with self._lock:
            groups = [g for g in self._groups if g.stream.connection == connection]
            early = [g for g in groups if g.packets[0].at_seconds <= begin_seconds]
            groups = groups[max(0, len(early) - 1) :]
            packets = _until([packet for g in groups for packet in g.packets], end_seconds)
            if not packets or packets[-1].at_seconds < begin_seconds:
                return None
            stream = groups[0].stream
            assert stream.header is not None
            return Excerpt(stream.header, stream.time_base, tuple(packets), stream.display_matrix)

    def _push(self, stream: _Stream, packet: "av.Packet[VideoStream]") -> None:
        if not packet.size or not stream.header:
            return
        with self._lock:
            now = self._newest[1] if self._newest and stream.connection else 0.0
            copy = EncodedPacket(
                data=bytes(packet),
                pts=packet.pts,
                dts=packet.dts,
                duration=packet.duration or 0,
                is_keyframe=packet.is_keyframe,
                at_seconds=now,
            )
            last = self._groups[-1] if self._groups else None
            if copy.is_keyframe:
                last = _Gop(stream, self._received_seconds)
                self._groups.append(last)
            elif last is None or last.stream is not stream:
                return  # not decodable without its key frame
            last.packets.append(copy)
            last.size_bytes += len(copy.data)
            self._size_bytes += len(copy.data)
            self._untimed += 1
            self._evict()

    def _evict(self) -> None:
        groups = self._groups
        while len(groups) > 1 and self._received_seconds - groups[1].began_seconds >= self._seconds:
            self._size_bytes -= groups.popleft().size_bytes
        while groups and self._size_bytes > self._max_bytes:
            self._size_bytes -= groups.popleft().size_bytes


def _until(packets: list[EncodedPacket], end_seconds: float) -> list[EncodedPacket]:
    """The packets up to the end, and later ones whose frames are displayed before it."""
    count = sum(packet.at_seconds <= end_seconds for packet in packets)
    shown = max((one.pts for one in packets[:count] if one.pts is not None), default=None)
    while shown is not None and count < len(packets):
        pts = packets[count].pts
        if pts is None or pts > shown:
            break
        count += 1
    return packets[:count]


def header_of(keyframe: "av.Packet[VideoStream]") -> bytes:
    """Serialise the codec parameters of a packet's stream; empty where that fails."""
    written = io.BytesIO()
    copy = av.Packet(bytes(keyframe))
    copy.pts = copy.dts = 0
    copy.time_base, copy.is_keyframe = keyframe.time_base, True
    try:
        with av.open(written, "w", format=HEADER_FORMAT) as container:
            copy.stream = container.add_stream_from_template(keyframe.stream)
            container.mux_one(copy)
    except (av.error.FFmpegError, ValueError):
        return b""
    return written.getvalue()
