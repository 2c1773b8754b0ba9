"""Decode packets to frames, and detect which of these are intact.

A decoder conceals missing parts with older content, and outputs such a frame like any other. All
signs of damage are used here: its mark on a frame, the demuxer's mark on a packet, errors, with
error detection as strict as is reliable, and gaps in frame numbers. Frames after a loss depend on
the damaged one, so they count as damaged until an intact key frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cameras import jpeg
from cameras.h264_numbers import FrameNumberTracker

DamageTap = Callable[[int], None]
"""Called with the number of frames just found damaged, in the reading thread."""

_STRICT = {"hevc": 2, "mjpeg": 25}
"""Codecs whose decoder reports damage only in strict mode, and the number of key frames that may
fail before the first one succeeds: more, and the stream itself violates the standard."""
_MAX_KEYFRAME_INTERVAL = 300
"""Frames; encoders place key frames at most 250 apart by default. Without key frames for longer,
the stream uses intra refresh."""
_MAX_REORDERED_PACKETS = 64
"""Packets whose frames may still be in the decoder for reordering."""
_RECOVERY_POINTS = 2
"""A stream with intra refresh renews the whole frame between two recovery points."""


@runtime_checkable
class DamageSource(Protocol):
    """A source that reports damaged frames; set `on_damaged` before it is opened."""

    on_damaged: DamageTap | None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Decoding result of one frame."""

    frame: av.VideoFrame | None
    """None where the packet could not be decoded at all."""
    stamp_seconds: float | None
    intact: bool
    """False: damaged, or dependent on a damaged frame."""


class PacketDecoder:
    """Decodes one video stream; packets before its first key frame are skipped."""

    def __init__(self, stream: VideoStream, on_damaged: DamageTap | None = None) -> None:
        """Configure the decoder of a stream, before anything was decoded.

        Args:
            stream: Has a codec context.
            on_damaged: Called for every damaged frame.
        """
        context = stream.codec_context
        self._context: VideoCodecContext = context
        self._name = context.codec.canonical_name
        self._strict_failures = _STRICT.get(self._name, 0)
        self._on_damaged = on_damaged
        if self._name == "h264":
            context.thread_count = 1  # with slice threads FFmpeg does not mark damage
        else:
            context.thread_type = "SLICE"  # frame threads would delay frames
        self._numbers = FrameNumberTracker(context.extradata) if self._name == "h264" else None
        if self._strict_failures:
            context.options = {**context.options, **jpeg.STRICT}
        self.has_keyframe = False
        """Whether a key frame has arrived."""
        self.damaged = 0
        """Frames that were damaged or could not be decoded, in total."""
        self.damaged_in_a_row = 0
        """Frames since the last intact one that were damaged or could not be decoded."""
        self._lost = False
        self._packets = self._lost_at = 0
        self._positions: dict[int | None, int] = {}
        self._keyframes_since = 0
        self._frames_since = 0
        self._suspects: set[int | None] = set()
        self._next_is_suspect = False

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether it waits for a key frame: the first one, or one after a loss."""
        return self._lost or not self.has_keyframe

    def skip(self) -> None:
        """Record that a packet is missing before this one: dependent frames are damaged."""
        if self.has_keyframe:
            self._mark_loss()

    def decode(self, packet: "av.Packet[VideoStream]") -> list[Decoded]:
        """Decode the next packet; an empty one flushes the decoder."""
        if packet.size:
            self._inspect(packet)
        try:
            frames = self._context.decode(packet if packet.size else None)
        except av.error.FFmpegError:
            return self._undecodable(packet)
        unit = packet.time_base
        decoded = []
        for frame in frames:
            stamp = None if frame.pts is None or unit is None else float(frame.pts * unit)
            self._note_keyframe(frame.key_frame)
            if self.has_keyframe:
                decoded.append(Decoded(frame, stamp, self._is_intact(frame)))
        return decoded

    def _inspect(self, packet: "av.Packet[VideoStream]") -> None:
        self._note_keyframe(packet.is_keyframe)
        self._packets += 1
        self._positions[packet.pts] = self._packets
        if len(self._positions) > _MAX_REORDERED_PACKETS:
            del self._positions[next(iter(self._positions))]
        self._keyframes_since += packet.is_keyframe
        # FFmpeg's parser completes a packet when the next one begins, so it marks damage one packet
        # early. A key frame may be the first of another recording, with new packet numbers.
        if packet.is_corrupt or (self._next_is_suspect and not packet.is_keyframe):
            self._suspects.add(packet.pts)
            self.skip()
        self._next_is_suspect = packet.is_corrupt
        if self._name == "mjpeg" and jpeg.ends_in_zeros(bytes(packet)):
            self._suspects.add(packet.pts)
        if self._numbers is not None and self._numbers.gap_before(bytes(packet)):
            self.skip()

    def _note_keyframe(self, keyframe: bool) -> None:
        self.has_keyframe = self.has_keyframe or keyframe

    def _mark_loss(self) -> None:
        if not self._lost:
            self._lost, self._lost_at = True, self._packets
        self._keyframes_since = self._frames_since = 0

    def _undecodable(self, packet: "av.Packet[VideoStream]") -> list[Decoded]:
        if not self.has_keyframe:
            return []
        self._suspects.add(packet.pts)  # its frame may still be output later
        self._mark_loss()
        self._count()
        self._try_lenient(packet.is_keyframe)
        unit, pts = packet.time_base, packet.pts
        return [Decoded(None, None if pts is None or unit is None else float(pts * unit), False)]

    def _try_lenient(self, keyframe: bool) -> None:
        """Switch to a lenient decoder where no key frame has ever passed strict decoding."""
        if not self._strict_failures or not keyframe:
            return
        self._strict_failures -= 1
        if self._strict_failures == 0:
            lenient = av.CodecContext.create(self._name, "r")
            assert isinstance(lenient, VideoCodecContext)
            lenient.extradata, lenient.thread_type = self._context.extradata, "SLICE"
            self._context = lenient
            self._suspects.clear()

    def _is_intact(self, frame: av.VideoFrame) -> bool:
        if frame.is_corrupt or frame.pts in self._suspects:
            self._mark_loss()
        elif self._lost:
            self._frames_since += 1
            refreshed = self._keyframes_since >= _RECOVERY_POINTS
            if frame.key_frame or refreshed or self._frames_since > _MAX_KEYFRAME_INTERVAL:
                self._lost = False
                self._suspects.clear()
        intact = not self._lost or self._positions.get(frame.pts, self._lost_at) < self._lost_at
        if intact:
            self._strict_failures = self.damaged_in_a_row = 0
        else:
            self._count()
        return intact

    def _count(self) -> None:
        self.damaged += 1
        self.damaged_in_a_row += 1
        if self._on_damaged is not None:
            self._on_damaged(1)
