"""From packets to pictures, and which of these are whole.

A decoder fills what is missing with what it had before, and shows it like any other picture. What
it says of damage is heeded here: its mark on a picture, the demuxer's mark on a packet, errors,
with error detection as strict as it is reliable, and numbers that are left out. Pictures after a
loss build upon the damaged one, so they are damaged until a key frame comes whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cameras import jpeg
from cameras.h264_numbers import H264Numbers

DamageTap = Callable[[int], None]
"""Told of the number of pictures that were just found damaged, in the thread that reads."""

_STRICT = {"hevc": 2, "mjpeg": 25}
"""Codecs whose decoder reports damage only when it is told to be strict, and the number of key
frames that may fail before the first one succeeds: then the stream itself breaks the standard."""
_LONGEST_INTERVAL = 300
"""Pictures; encoders keep key frames 250 apart by default. Without key frames for longer, blocks
have been refreshed one by one."""
_MOST_HELD = 64
"""Packets whose pictures may still come out of a decoder that puts them in order."""
_REFRESHES = 2
"""From one recovery point to the next a stream without key frames renews all of the picture."""


@runtime_checkable
class DamageSource(Protocol):
    """A source that knows of damaged pictures; told to whom before it is opened."""

    on_damaged: DamageTap | None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What came out for one picture."""

    frame: av.VideoFrame | None
    """None where the packet could not be decoded at all."""
    stamp_seconds: float | None
    whole: bool
    """False: damaged, or built upon what was damaged."""


class PacketDecoder:
    """Decodes one video stream; what comes before its first key frame is passed over."""

    def __init__(self, stream: VideoStream, on_damaged: DamageTap | None = None) -> None:
        """Set the decoder of a stream up, before anything was decoded.

        Args:
            stream: Has a codec context.
            on_damaged: Told of every damaged picture.
        """
        context = stream.codec_context
        self._context: VideoCodecContext = context
        self._name = context.codec.canonical_name
        self._strict_failures = _STRICT.get(self._name, 0)
        self._on_damaged = on_damaged
        if self._name == "h264":
            context.thread_count = 1  # with slice threads FFmpeg marks no damage
        else:
            context.thread_type = "SLICE"  # frame threads would hold pictures back
        self._numbers = H264Numbers(context.extradata) if self._name == "h264" else None
        if self._strict_failures:
            context.options = {**context.options, **jpeg.STRICT}
        self.began = False
        """Whether a key frame has come."""
        self.damaged = 0
        """Pictures that were damaged or could not be decoded, in all."""
        self.damaged_in_a_row = 0
        """Pictures since the last whole one that were damaged or could not be decoded."""
        self._lost = False
        self._packets = self._lost_at = 0
        self._places: dict[int | None, int] = {}
        self._keyframes_since = 0
        self._pictures_since = 0
        self._suspects: set[int | None] = set()
        self._next_is_suspect = False

    @property
    def waits(self) -> bool:
        """Whether it waits for a key frame: the first one, or one after a loss."""
        return self._lost or not self.began

    def skip(self) -> None:
        """Heed that a packet before this one is missing: what builds upon it is damaged."""
        if self.began:
            self._lose()

    def decode(self, packet: "av.Packet[VideoStream]") -> list[Decoded]:
        """Decode the next packet; an empty one gives what the decoder has held back."""
        if packet.size:
            self._see(packet)
        try:
            frames = self._context.decode(packet if packet.size else None)
        except av.error.FFmpegError:
            return self._undecodable(packet)
        unit = packet.time_base
        decoded = []
        for frame in frames:
            stamp = None if frame.pts is None or unit is None else float(frame.pts * unit)
            self._begin(frame.key_frame)
            if self.began:
                decoded.append(Decoded(frame, stamp, self._is_whole(frame)))
        return decoded

    def _see(self, packet: "av.Packet[VideoStream]") -> None:
        self._begin(packet.is_keyframe)
        self._packets += 1
        self._places[packet.pts] = self._packets
        if len(self._places) > _MOST_HELD:
            del self._places[next(iter(self._places))]
        self._keyframes_since += packet.is_keyframe
        # FFmpeg's parser closes a packet when the next one begins, and so marks it too early. A key
        # frame may be the first of another recording, where numbers of packets begin anew.
        if packet.is_corrupt or (self._next_is_suspect and not packet.is_keyframe):
            self._suspects.add(packet.pts)
            self.skip()
        self._next_is_suspect = packet.is_corrupt
        if self._name == "mjpeg" and jpeg.ends_in_zeros(bytes(packet)):
            self._suspects.add(packet.pts)
        if self._numbers is not None and self._numbers.misses(bytes(packet)):
            self.skip()

    def _begin(self, keyframe: bool) -> None:
        self.began = self.began or keyframe

    def _lose(self) -> None:
        if not self._lost:
            self._lost, self._lost_at = True, self._packets
        self._keyframes_since = self._pictures_since = 0

    def _undecodable(self, packet: "av.Packet[VideoStream]") -> list[Decoded]:
        if not self.began:
            return []
        self._suspects.add(packet.pts)  # it may still come out later
        self._lose()
        self._count()
        self._relent(packet.is_keyframe)
        unit, pts = packet.time_base, packet.pts
        return [Decoded(None, None if pts is None or unit is None else float(pts * unit), False)]

    def _relent(self, keyframe: bool) -> None:
        """Take a decoder that is not strict, where no key frame has ever passed a strict one."""
        if not self._strict_failures or not keyframe:
            return
        self._strict_failures -= 1
        if self._strict_failures == 0:
            lenient = av.CodecContext.create(self._name, "r")
            assert isinstance(lenient, VideoCodecContext)
            lenient.extradata, lenient.thread_type = self._context.extradata, "SLICE"
            self._context = lenient
            self._suspects.clear()

    def _is_whole(self, frame: av.VideoFrame) -> bool:
        if frame.is_corrupt or frame.pts in self._suspects:
            self._lose()
        elif self._lost:
            self._pictures_since += 1
            refreshed = self._keyframes_since >= _REFRESHES
            if frame.key_frame or refreshed or self._pictures_since > _LONGEST_INTERVAL:
                self._lost = False
                self._suspects.clear()
        whole = not self._lost or self._places.get(frame.pts, self._lost_at) < self._lost_at
        if whole:
            self._strict_failures = self.damaged_in_a_row = 0
        else:
            self._count()
        return whole

    def _count(self) -> None:
        self.damaged += 1
        self.damaged_in_a_row += 1
        if self._on_damaged is not None:
            self._on_damaged(1)
