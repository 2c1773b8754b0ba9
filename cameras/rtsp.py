"""One RTSP connection through FFmpeg.

FFmpeg reports the same trouble in many ways, and puts the address with the password into every
text. So errors are caught here, turned into values, and raised outside of their handler: no chain
of exceptions leads back to FFmpeg's own.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Literal, Self

import av
import av.container
from av.video.stream import VideoStream

from cameras.address import host_and_port, redact
from cameras.clock import StreamClock, plausible_rate
from cameras.conversion import rgb
from cameras.source import ErrorCode, Picture, SourceError, SourceInfo

_PROBE_MICROSECONDS = 500_000
_NEARLY = 0.9


class RtspStream:
    """One connection to a camera; every way of losing it is a `SourceError`."""

    def __init__(
        self, address: str, transport: Literal["tcp", "udp"], stall_timeout_seconds: float
    ) -> None:
        """Remember what to open.

        Args:
            address: "rtsp://[user:password@]host[:port]/path".
            transport: "tcp" inside the control connection, "udp" beside it.
            stall_timeout_seconds: Lost after so long without a picture, > 0.

        Raises:
            ValueError: the address has no valid host or port.
        """
        self._address = address
        self._host, self._port = host_and_port(address)
        self._transport = transport
        self._stall_timeout_seconds = stall_timeout_seconds
        self._opened = ExitStack()
        self._info: SourceInfo | None = None
        self._first: av.VideoFrame | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._decode_errors = 0

    def __enter__(self) -> Self:
        """Connect, and wait for the first picture.

        Raises:
            SourceError: any code but corrupt.
        """
        av.logging.set_level(None)  # FFmpeg's log call-backs into Python can deadlock
        self._check_host()
        container = self._connect()
        if isinstance(container, SourceError):
            raise container
        self._opened.callback(container.close)
        try:
            self._frames = self._decode(container)
            self._first = next(self._frames)
            self._info = self._inspect(container, self._first)
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
        clock = StreamClock(self.info.frames_per_second)
        arrived = time.monotonic()
        while True:
            first, self._first = self._first, None
            frame = first if first is not None else next(self._frames)
            before, arrived = arrived, time.monotonic()
            yield Picture(
                pts_seconds=clock.map(frame.time, arrived - before),
                captured_at=time.time(),
                image=partial(rgb, frame),
                decode_errors=self._decode_errors,
            )

    def _check_host(self) -> None:
        """FFmpeg calls an unknown host an input/output error; so look it up before."""
        try:
            socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            known = False
        else:
            known = True
        if not known:
            raise self._error("not_found", "the host name is unknown")

    def _connect(self) -> av.container.InputContainer | SourceError:
        # FFmpeg's time-outs strike twice before they are reported, hence the halves. Its own
        # watches the socket; the other one is PyAV's, and watches the whole call.
        half = self._stall_timeout_seconds / 2
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "fpsprobesize": "3",  # by default 20 pictures are awaited, only to guess the rate
            "timeout": str(max(1, int(half * 1e6))),
            "analyzeduration": str(min(_PROBE_MICROSECONDS, int(half * 1e6))),
        }
        began = time.monotonic()
        try:
            return av.open(
                self._address, options=options, timeout=(self._stall_timeout_seconds, half)
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - began > _NEARLY * half
            return self._translate(error, silent)

    def _decode(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """Yield frames for ever; our own deadline holds even where packets without one arrive."""
        video = container.streams.video
        if not video:
            raise self._error("codec", "want a video stream, got none")
        if video[0].codec_context is None:
            raise self._error("codec", "there is no decoder for its video stream")
        video[0].codec_context.thread_type = "SLICE"  # frame threads would add two frames of delay
        packets = container.demux(video[0])
        heard, failures = time.monotonic(), 0
        while True:
            packet = self._read(packets)
            if isinstance(packet, SourceError):
                raise packet
            frames = self._decode_packet(packet)
            if frames is None:
                failures += 1
                self._decode_errors += 1
            if frames:
                yield from frames
                heard, failures = time.monotonic(), 0
            elif time.monotonic() - heard > self._stall_timeout_seconds:
                if failures:
                    raise self._error("corrupt", f"{failures} packets in a row were undecodable")
                raise self._error("timeout", f"no picture for {self._stall_timeout_seconds:g} s")

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError":
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            return self._translate(error, silent=False)
        # At its end FFmpeg hands out an empty packet to flush the decoder.
        if packet is None or packet.size == 0:
            return self._error("ended", "the camera closed the connection")
        return packet

    @staticmethod
    def _decode_packet(packet: "av.Packet[VideoStream]") -> list[av.VideoFrame] | None:
        try:
            return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        except av.error.FFmpegError:
            return None

    def _inspect(self, container: av.container.InputContainer, first: av.VideoFrame) -> SourceInfo:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        return SourceInfo(
            size_hw=(first.height, first.width),
            codec=stream.codec_context.codec.canonical_name,
            frames_per_second=plausible_rate(None if rate is None else float(rate)),
            frame_count=None,
            live=True,
        )

    def _translate(self, error: Exception, silent: bool) -> SourceError:
        """Say it in our words: FFmpeg's text holds the password.

        Args:
            error: As FFmpeg, PyAV or the socket raised it.
            silent: Whether it came about when a time-out was due.
        """
        match error:
            case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
                return self._error("unauthorised", "it wants another user name or password")
            case av.error.HTTPNotFoundError():
                return self._error("not_found", "the camera has no such stream")
            case av.error.HTTPClientError() | av.error.HTTPError():
                return self._error("refused", f"the camera refused ({type(error).__name__})")
            case ConnectionRefusedError():
                return self._error("refused", "nobody listens at that port")
            case TimeoutError() | av.error.ExitError():
                return self._error("timeout", f"silent for {self._stall_timeout_seconds:g} s")
            case ConnectionError() | av.error.EOFError():
                return self._error("ended", "the camera closed the connection")
            case _ if silent:
                return self._error("timeout", f"no answer in {self._stall_timeout_seconds / 2:g} s")
            case OSError():
                return self._error("refused", f"no way to the camera ({error.strerror})")
        return self._error("codec", f"what it sends is not understood ({type(error).__name__})")

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        where = redact(self._address)
        return SourceError(code, f"{where} over {self._transport}: {message}")
