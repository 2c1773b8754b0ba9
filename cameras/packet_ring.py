"""The last seconds of a camera as it encoded them itself, for clips without encoding anew.

    ring = PacketRing(seconds=60, most_bytes=64 * 2**20)
    source.on_packet = ring.begin()         each connection begins a new stretch
    ring.mark(connection, picture)          for each picture, as it comes out of the source
    excerpt = ring.cut(connection, 12.0, 20.0)

The packets between two pictures get the time of the second one: so their time is that of frames and
scores, whatever the camera's own time stamps do. Filled by the thread that reads the source; cut in
any other.
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

HEADER_FORMAT = "nut"  # it takes every codec, and leaves what belongs to it as it is


@runtime_checkable
class PacketSource(Protocol):
    """A source whose pictures were encoded by somebody else."""

    on_packet: PacketTap | None


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """A packet, apart from FFmpeg's memory."""

    data: bytes
    pts: int | None
    """In units of the stream's time base; None where the camera did not say."""
    dts: int | None
    duration: int
    """0 where it is not known."""
    is_keyframe: bool
    at_seconds: float
    """Time of the picture that came out after it, within its connection."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Packets of one connection from a key frame on."""

    header: bytes
    """What a decoder must know beforehand, as a file of one picture."""
    time_base: Fraction
    packets: tuple[EncodedPacket, ...]
    display_matrix: tuple[int, ...] | None = None
    """As `Picture.display_matrix`, of the newest picture of the connection."""


@dataclass(slots=True)
class _Stretch:
    """What comes of one opening of a source."""

    header: bytes | None = None
    time_base: Fraction = Fraction(1)
    connection: int | None = None
    display_matrix: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Group:
    """A key frame and what depends on it."""

    stretch: _Stretch
    began: float
    """Seconds of stream that the ring had seen before it."""
    packets: list[EncodedPacket] = field(default_factory=list)
    size_bytes: int = 0


class PacketRing:
    """Bounded by seconds of stream and by bytes; what is dropped is dropped to a key frame."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        """Begin empty.

        Args:
            seconds: At least so much is kept, where the bytes allow it, and not more than the
                distance of two key frames beyond that.
            most_bytes: Of all packets together.
        """
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
        self._unmarked = 0
        self._stretch = _Stretch()
        self._size_bytes = 0
        self._seen_seconds = 0.0
        self._newest: tuple[int, float] | None = None

    @property
    def newest(self) -> tuple[int, float] | None:
        """Connection and stream time of the newest picture; None before the first."""
        return self._newest

    @property
    def size_bytes(self) -> int:
        """What is kept now."""
        return self._size_bytes

    @property
    def has_packets(self) -> bool:
        """False where the source gives pictures that nobody encoded."""
        return bool(self._groups)

    def begin(self) -> PacketTap:
        """What a newly opened source is to be told to call with each of its packets."""
        stretch = self._stretch = _Stretch()
        self._unmarked = 0

        def take(packet: "av.Packet[VideoStream]") -> None:
            if stretch.header is None:
                if not packet.is_keyframe:
                    return  # nothing can be made of it without its key frame
                stretch.header = header_of(packet)
                stretch.time_base = packet.time_base
            self._push(stretch, packet)

        return take

    def mark(self, connection: int, picture: Picture) -> None:
        """Give the packets since the last picture the time of this one.

        Args:
            connection: As numbered by the camera supervisor.
            picture: The newest; times rise within the connection.
        """
        pts_seconds = picture.pts_seconds
        with self._lock:
            if self._newest is not None and self._newest[0] == connection:
                self._seen_seconds += max(0.0, pts_seconds - self._newest[1])
            self._newest = connection, pts_seconds
            self._stretch.connection = connection
            self._stretch.display_matrix = picture.display_matrix
            left = self._unmarked
            for group in reversed(self._groups):
                if left <= 0 or group.stretch is not self._stretch:
                    break
                count = min(left, len(group.packets))
                group.packets[-count:] = [
                    replace(packet, at_seconds=pts_seconds) for packet in group.packets[-count:]
                ]
                left -= count
            self._unmarked = 0
            self._forget()

    def cut(self, connection: int, begin_seconds: float, end_seconds: float) -> Excerpt | None:
        """What there is of a span of time; None: nothing.

        Args:
            connection: To which the times belong.
            begin_seconds: The excerpt begins at the last key frame before, or the first there is.
            end_seconds: It ends with the last packet that is not after this.
        """
        with self._lock:
            groups = [g for g in self._groups if g.stretch.connection == connection]
            early = [g for g in groups if g.packets[0].at_seconds <= begin_seconds]
            groups = groups[max(0, len(early) - 1) :]
            packets = _until([packet for g in groups for packet in g.packets], end_seconds)
            if not packets or packets[-1].at_seconds < begin_seconds:
                return None
            stretch = groups[0].stretch
            assert stretch.header is not None
            return Excerpt(
                stretch.header, stretch.time_base, tuple(packets), stretch.display_matrix
            )

    def _push(self, stretch: _Stretch, packet: "av.Packet[VideoStream]") -> None:
        if not packet.size or not stretch.header:
            return
        with self._lock:
            now = self._newest[1] if self._newest and stretch.connection else 0.0
            kept = EncodedPacket(
                data=bytes(packet),
                pts=packet.pts,
                dts=packet.dts,
                duration=packet.duration or 0,
                is_keyframe=packet.is_keyframe,
                at_seconds=now,
            )
            last = self._groups[-1] if self._groups else None
            if kept.is_keyframe:
                last = _Group(stretch, self._seen_seconds)
                self._groups.append(last)
            elif last is None or last.stretch is not stretch:
                return  # nothing can be made of it without its key frame
            last.packets.append(kept)
            last.size_bytes += len(kept.data)
            self._size_bytes += len(kept.data)
            self._unmarked += 1
            self._forget()

    def _forget(self) -> None:
        groups = self._groups
        while len(groups) > 1 and self._seen_seconds - groups[1].began >= self._seconds:
            self._size_bytes -= groups.popleft().size_bytes
        while groups and self._size_bytes > self._most_bytes:
            self._size_bytes -= groups.popleft().size_bytes


def _until(packets: list[EncodedPacket], end_seconds: float) -> list[EncodedPacket]:
    """The packets to the end, and those that fill the gaps between their pictures."""
    count = sum(packet.at_seconds <= end_seconds for packet in packets)
    shown = max((one.pts for one in packets[:count] if one.pts is not None), default=None)
    while shown is not None and count < len(packets):
        pts = packets[count].pts
        if pts is None or pts > shown:
            break
        count += 1
    return packets[:count]


def header_of(keyframe: "av.Packet[VideoStream]") -> bytes:
    """What a decoder must know of a packet's stream; empty where it cannot be written down."""
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
