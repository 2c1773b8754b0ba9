"""One live connection through FFmpeg, whatever it speaks.

FFmpeg reports the same trouble in many ways, and puts the address with the password into every
text. So errors are caught here, turned into values, and raised outside of their handler: no chain
of exceptions leads back to FFmpeg's own.
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
from cameras.tracks import film_tracks

_PROBE_MICROSECONDS = 500_000
_NEARLY = 0.9
_KEYFRAME_STALLS = 2.0
"""A key frame is awaited for so many stall time-outs: some cameras send one every ten seconds."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How FFmpeg is to open one kind of stream."""

    how: str
    """For messages, such as "over tcp"."""
    options: Mapping[str, str]
    """FFmpeg's, the protocol_options of `cameras.ffmpeg` among them."""
    format: str | None = None
    """FFmpeg's name of the container; None: it finds out."""
    opens: str | None = None
    """What is opened in place of the address; None: the address."""
    host_and_port: tuple[str, int] | None = None
    """Looked up before; None: no network is involved."""


class LiveStream:
    """One connection to a camera; every way of losing it is a `SourceError`."""

    def __init__(
        self, address: str, open_options: OpenOptions, stall_timeout_seconds: float
    ) -> None:
        """Remember what to open.

        Args:
            address: As the person wrote it.
            open_options: How to open it.
            stall_timeout_seconds: Lost after so long without a picture, > 0.
        """
        self._address = address
        self._open_options = open_options
        self._stall_timeout_seconds = stall_timeout_seconds
        self._opened = ExitStack()
        self._info: SourceInfo | None = None
        self._first: av.VideoFrame | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._stream: VideoStream | None = None
        self._left_out = 0
        """Pictures that were found damaged before FFmpeg saw them."""
        self._damaged = 0
        self._late = 0
        self.on_packet: PacketTap | None = None
        self.on_damaged: DamageTap | None = None
        self.by_arrival = False
        """The stream has no time stamps of its own: a picture's time is its arrival."""
        self.catch_up: CatchUp | None = CatchUp()

    def __enter__(self) -> Self:
        """Connect, and wait for the first picture.

        Raises:
            SourceError: any code; corrupt where all pictures are damaged.
        """
        av.logging.set_level(None)  # FFmpeg's log call-backs into Python can deadlock
        missing = self._look_up()
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
        """Hang up, and let go of the decoder without waiting for the garbage collector."""
        self._opened.close()
        self._first, self._frames = None, iter(())

    @property
    def info(self) -> SourceInfo:
        """What the camera says of its stream, and the size of its first picture.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{redact(self._address)}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures as they arrive, until the connection is lost.

        Raises:
            SourceError: ended where the camera hung up, timeout where it fell silent, corrupt where
                nothing it sends can be decoded.
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

    def _look_up(self) -> SourceError | None:
        """FFmpeg calls an unknown host an input/output error; so look it up before."""
        if self._open_options.host_and_port is None:
            return None
        try:
            socket.getaddrinfo(*self._open_options.host_and_port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return self._error("not_found", "the host name is unknown")
        return None

    def _connect(self) -> av.container.InputContainer | SourceError:
        # FFmpeg's time-outs strike twice before they are reported, hence the halves. Its own
        # watches the socket; the other one is PyAV's, and watches the whole call.
        half = self._stall_timeout_seconds / 2
        options = {
            "timeout": str(max(1, int(half * 1e6))),
            **self._probing(),
            **self._open_options.options,
        }
        began = time.monotonic()
        try:
            return av.open(
                self._open_options.opens or self._address,
                format=self._open_options.format,
                options=options,
                timeout=(self._stall_timeout_seconds, half),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - began > _NEARLY * half
            return self._translate(error, silent)

    def _probing(self) -> dict[str, str]:
        """For how long FFmpeg looks at a stream before it is opened."""
        half = self._stall_timeout_seconds / 2
        return {
            "fpsprobesize": "3",  # by default 20 pictures are awaited, only to guess the rate
            "analyzeduration": str(min(_PROBE_MICROSECONDS, int(half * 1e6))),
        }

    def _decode(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """Yield frames for ever; our own deadline holds even where packets without one arrive."""
        if not container.streams.video:
            raise self._error("codec", "want a video stream, got none")
        stream = self._stream = next(iter(film_tracks(container)), None)
        if stream is None:
            raise self._error("codec", "there is no decoder for its video stream")
        decoder = PacketDecoder(stream, self.on_damaged)
        packets = container.demux(stream)
        heard, damaged = time.monotonic(), 0
        while True:
            packet = self._read(packets)
            if isinstance(packet, SourceError):
                raise packet
            if self.on_packet is not None:
                self.on_packet(packet)
            if self._is_late(packet):
                self._late += 1
                decoder.skip()
                heard = time.monotonic()
                continue
            whole = [one.frame for one in decoder.decode(packet) if one.whole and one.frame]
            self._damaged = decoder.damaged + self._left_out
            if whole:
                yield from whole
                heard, damaged = time.monotonic(), self._damaged
            else:
                self._give_up_late(decoder, time.monotonic() - heard, self._damaged - damaged)

    def _give_up_late(self, decoder: PacketDecoder, seconds: float, damaged: int) -> None:
        """End a connection that sends packets, but for so long no whole picture."""
        patience = self._keyframe_patience if decoder.waits else self._stall_timeout_seconds
        if seconds <= patience:
            return
        if not decoder.began and not damaged:
            raise self._error(
                "timeout", f"no key frame for {patience:g} s, and so no picture to begin with"
            )
        raise self._no_picture(patience, damaged)

    @property
    def _keyframe_patience(self) -> float:
        return self._stall_timeout_seconds * _KEYFRAME_STALLS

    def _no_picture(self, seconds: float, damaged: int) -> SourceError:
        """What to say where data arrive, but no picture that can be shown."""
        if damaged:
            message = f"no whole picture for {seconds:g} s, {damaged} were damaged"
            return self._error("corrupt", f"{message} or could not be decoded")
        return self._error("timeout", f"no picture for {seconds:g} s, though data arrive")

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError":
        began = time.monotonic()
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # Where data come of which FFmpeg makes no packet, the end of its patience is an
            # input/output error.
            half = self._stall_timeout_seconds / 2
            failure = self._translate(error, time.monotonic() - began > _NEARLY * half)
            if failure.code == "refused":  # an open connection refuses nothing
                return self._error("ended", "the connection broke off")
            return failure
        # At its end FFmpeg hands out an empty packet to flush the decoder.
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
        # Where nothing is announced, FFmpeg makes one up: 25 a second for all Motion JPEG.
        rate = None if self.by_arrival else stream.average_rate or stream.guessed_rate
        return SourceInfo(
            size_hw=shown_hw(first, self._aspect()),
            codec=stream.codec_context.codec.canonical_name,
            frames_per_second=plausible_rate(None if rate is None else float(rate)),
            frame_count=None,
            live=True,
        )

    def _translate(self, error: Exception, silent: bool) -> SourceError:
        login = has_login(self._address)
        code, message = explain(error, silent, self._stall_timeout_seconds, login)
        return self._error(code, message)

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        where = redact(self._address)
        return SourceError(code, f"{where} {self._open_options.how}: {message}")
