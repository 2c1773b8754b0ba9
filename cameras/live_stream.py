"""One live connection through FFmpeg, over any protocol.

FFmpeg reports the same failure in many ways, and includes the address with the password in every
message. So errors are caught here, returned as values, and raised outside of their handler: no
exception chain leads back to FFmpeg's errors.
"""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import Self

import av
import av.container
from av.video.stream import VideoStream

from cameras.address import redact
from cameras.clock import StreamClock, plausible_rate
from cameras.display import display_matrix, shown_hw, shown_pixels
from cameras.ffmpeg import explain
from cameras.lag import CatchUp
from cameras.packet_decoder import DamageTap, PacketDecoder
from cameras.refusals import has_login
from cameras.source import ErrorCode, PacketTap, Picture, SourceError, SourceInfo
from cameras.tracks import main_video_tracks

_PROBE_MICROSECONDS = 500_000
_TIMEOUT_RATIO = 0.9
_KEYFRAME_STALLS = 2.0
"""Stall time-outs to wait for a key frame: some cameras send one every ten seconds."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How FFmpeg opens one kind of stream."""

    how: str
    """For messages, such as "over tcp"."""
    options: Mapping[str, str]
    """FFmpeg options, including the protocol_options of `cameras.ffmpeg`."""
    format: str | None = None
    """FFmpeg's name of the container; None: detected by FFmpeg."""
    url: str | None = None
    """URL for FFmpeg where it differs from the address; None: the address."""
    host_and_port: tuple[str, int] | None = None
    """Resolved before opening; None: no network is involved."""


class LiveStream:
    """One connection to a camera; every loss raises a `SourceError`."""

    def __init__(
        self, address: str, open_options: OpenOptions, stall_timeout_seconds: float
    ) -> None:
        """Store what to open.

        Args:
            address: As configured, with credentials.
            open_options: How to open it.
            stall_timeout_seconds: Maximum time without a frame, > 0.
        """
        self._address = address
        self._open_options = open_options
        self._stall_timeout_seconds = stall_timeout_seconds
        self._opened = ExitStack()
        self._info: SourceInfo | None = None
        self._first: av.VideoFrame | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._stream: VideoStream | None = None
        self._discarded = 0
        """Frames found damaged before they were passed to FFmpeg."""
        self._damaged = 0
        self._late = 0
        self.on_packet: PacketTap | None = None
        self.on_damaged: DamageTap | None = None
        self.by_arrival = False
        """Whether the stream has no time stamps: the time of a frame is its arrival."""
        self.catch_up: CatchUp | None = CatchUp()

    def __enter__(self) -> Self:
        """Connect, and wait for the first frame.

        Raises:
            SourceError: any code; corrupt where all frames are damaged.
        """
        av.logging.set_level(None)  # FFmpeg's log call-backs into Python can deadlock
        missing = self._resolve()
        if missing is not None:
            raise missing
        container = self._connect()
        if isinstance(container, SourceError):
            self._opened.close()
            raise container
        self._opened.callback(container.close)
        try:
            self._frames = self._decode(container)
            self._first = next(self._frames)
            self._info = self._inspect(self._first)
        except SourceError:
            self._opened.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection, and free the decoder without waiting for the garbage collector."""
        self._opened.close()
        self._first, self._frames = None, iter(())

    @property
    def info(self) -> SourceInfo:
        """Announced properties of the stream, and the size of its first frame.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{redact(self._address)}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield frames as they arrive, until the connection is lost.

        Raises:
            SourceError: ended where the camera closed the connection, timeout where it stopped
                sending, corrupt where nothing it sends can be decoded.
        """
        by_arrival = self.by_arrival
        clock = StreamClock(None if by_arrival else self.info.frames_per_second)
        arrived = time.monotonic()
        while True:
            first, self._first = self._first, None
            frame = first if first is not None else next(self._frames)
            before, arrived = arrived, time.monotonic()
            yield Picture(
                pts_seconds=clock.map(arrived if by_arrival else frame.time, arrived - before),
                captured_at=time.time(),
                image=partial(shown_pixels, frame, self._aspect()),
                decode_errors=self._damaged,
                late=self._late,
                keyframe=bool(frame.key_frame),
                display_matrix=display_matrix(frame),
            )

    def _resolve(self) -> SourceError | None:
        """Resolve the host name first: FFmpeg reports an unknown host as an input/output error."""
        if self._open_options.host_and_port is None:
            return None
        try:
            socket.getaddrinfo(*self._open_options.host_and_port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return self._error("not_found", "the host name is unknown")
        return None

    def _connect(self) -> av.container.InputContainer | SourceError:
        # FFmpeg's time-outs expire twice before they are reported, hence the halves. Its own
        # time-out covers the socket; the other one is PyAV's, and covers the whole call.
        half = self._stall_timeout_seconds / 2
        options = {
            "timeout": str(max(1, int(half * 1e6))),
            **self._probing(),
            **self._open_options.options,
        }
        began = time.monotonic()
        try:
            return av.open(
                self._open_options.url or self._address,
                format=self._open_options.format,
                options=options,
                timeout=(self._stall_timeout_seconds, half),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            timed_out = time.monotonic() - began > _TIMEOUT_RATIO * half
            return self._translate(error, timed_out)

    def _probing(self) -> dict[str, str]:
        """FFmpeg options that limit stream probing at opening."""
        half = self._stall_timeout_seconds / 2
        return {
            "fpsprobesize": "3",  # by default 20 frames are read only to estimate the rate
            "analyzeduration": str(min(_PROBE_MICROSECONDS, int(half * 1e6))),
        }

    def _decode(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """Yield frames without end; the deadline also holds while packets without frames arrive."""
        if not container.streams.video:
            raise self._error("codec", "want a video stream, got none")
        stream = self._stream = next(iter(main_video_tracks(container)), None)
        if stream is None:
            raise self._error("codec", "there is no decoder for its video stream")
        decoder = PacketDecoder(stream, self.on_damaged)
        packets = container.demux(stream)
        last_frame_at, damaged = time.monotonic(), 0
        while True:
            packet = self._read(packets)
            if isinstance(packet, SourceError):
                raise packet
            if self.on_packet is not None:
                self.on_packet(packet)
            if self._is_late(packet):
                self._late += 1
                decoder.skip()
                last_frame_at = time.monotonic()
                continue
            intact = [one.frame for one in decoder.decode(packet) if one.intact and one.frame]
            self._damaged = decoder.damaged + self._discarded
            if intact:
                yield from intact
                last_frame_at, damaged = time.monotonic(), self._damaged
            else:
                self._check_deadline(
                    decoder, time.monotonic() - last_frame_at, self._damaged - damaged
                )

    def _check_deadline(self, decoder: PacketDecoder, seconds: float, damaged: int) -> None:
        """Raise where packets arrive, but no intact frame within the deadline."""
        limit = (
            self._keyframe_timeout_seconds
            if decoder.waits_for_keyframe
            else self._stall_timeout_seconds
        )
        if seconds <= limit:
            return
        if not decoder.has_keyframe and not damaged:
            raise self._error("timeout", f"no key frame for {limit:g} s, so decoding cannot start")
        raise self._no_frame(limit, damaged)

    @property
    def _keyframe_timeout_seconds(self) -> float:
        return self._stall_timeout_seconds * _KEYFRAME_STALLS

    def _no_frame(self, seconds: float, damaged: int) -> SourceError:
        """Describe a connection on which data arrive, but no intact frame."""
        if damaged:
            message = f"no intact frame for {seconds:g} s, {damaged} were damaged"
            return self._error("corrupt", f"{message} or could not be decoded")
        return self._error("timeout", f"no frame for {seconds:g} s, although data arrive")

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError":
        began = time.monotonic()
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # Where data arrive that form no packet, FFmpeg reports its time-out as an input/output
            # error.
            half = self._stall_timeout_seconds / 2
            failure = self._translate(error, time.monotonic() - began > _TIMEOUT_RATIO * half)
            if failure.code == "refused":  # an open connection cannot be refused
                return self._error("ended", "the connection was lost")
            return failure
        # At the end FFmpeg returns an empty packet to flush the decoder.
        if packet is None or packet.size == 0:
            return self._error("ended", "the camera closed the connection")
        return packet

    def _is_late(self, packet: "av.Packet[VideoStream]") -> bool:
        if self.catch_up is None:
            return False
        ticks = packet.pts if packet.dts is None else packet.dts
        stamp = None if ticks is None else float(ticks * packet.time_base)
        return self.catch_up.skips(stamp, packet.is_keyframe, time.monotonic())

    def _aspect(self) -> Fraction | None:
        return None if self._stream is None else self._stream.sample_aspect_ratio

    def _inspect(self, first: av.VideoFrame) -> SourceInfo:
        stream = self._stream
        assert stream is not None
        # Where no rate is announced, FFmpeg assumes one: 25 a second for all Motion JPEG.
        rate = None if self.by_arrival else stream.average_rate or stream.guessed_rate
        return SourceInfo(
            size_hw=shown_hw(first, self._aspect()),
            codec=stream.codec_context.codec.canonical_name,
            frames_per_second=plausible_rate(None if rate is None else float(rate)),
            frame_count=None,
            live=True,
        )

    def _translate(self, error: Exception, timed_out: bool) -> SourceError:
        login = has_login(self._address)
        code, message = explain(error, timed_out, self._stall_timeout_seconds, login)
        return self._error(code, message)

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        where = redact(self._address)
        return SourceError(code, f"{where} {self._open_options.how}: {message}")
