"""A video file as a source: every picture in order, then the end."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.container
from av.video.stream import VideoStream

from cameras.clock import StreamClock, plausible_rate
from cameras.conversion import rgb
from cameras.ffmpeg import fences
from cameras.pacing import Pace, Pacer
from cameras.source import ErrorCode, PacketTap, Picture, SourceError, SourceInfo

_MOST_FAILURES_IN_A_ROW = 100
_COMPLETE_RATIO = 0.9
_LONGEST_PICTURE_SECONDS = 1.0  # the last one is shown for so long after its time, at most


class VideoFile:
    """One pass through a video file; every error is permanent."""

    def __init__(self, path: Path, pace: Pace) -> None:
        """Remember what to open.

        Args:
            path: The file, in any container and codec that FFmpeg reads.
            pace: "live" as its time stamps say, "fast" as the reader takes them.
        """
        self._path = path
        self._where = str(path)
        self._pacer = Pacer(pace)
        self._opened = ExitStack()
        self._container: av.container.InputContainer | None = None
        self._info: SourceInfo | None = None
        self._promised_seconds = 0.0
        self._decode_errors = 0
        self.on_packet: PacketTap | None = None

    def __enter__(self) -> Self:
        """Open the file and find its pictures.

        Raises:
            SourceError: not_found, codec or corrupt.
        """
        av.logging.set_level(None)  # FFmpeg's log call-backs into Python can deadlock
        container = self._open()
        if isinstance(container, SourceError):
            raise container
        self._container = self._opened.enter_context(container)
        try:
            self._info = self._inspect(container)
        except SourceError:
            self._opened.close()
            raise
        self._promised_seconds = _promised_seconds(container)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._pacer.close()
        self._opened.close()

    @property
    def info(self) -> SourceInfo:
        """What the file says of itself.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{self._where}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in time order; the clock starts at 0.

        Raises:
            SourceError: codec where there was no picture at all; corrupt where too many packets in
                a row could not be decoded, or where the file ends well before its own index does.
        """
        expected = self.info.frame_count
        clock = StreamClock(self.info.frames_per_second)
        count, pts_seconds = 0, 0.0
        for frame in self._decode():
            pts_seconds = clock.map(frame.time)
            self._pacer.wait_until(pts_seconds)
            yield Picture(pts_seconds, time.time(), partial(rgb, frame), self._decode_errors)
            count += 1
        if count == 0:
            raise self._error("codec", "it holds no picture that could be decoded")
        if expected is not None and count < _COMPLETE_RATIO * expected:
            raise self._error("corrupt", f"it ends after {count} of {expected} pictures")
        promised = self._promised_seconds
        if pts_seconds < _COMPLETE_RATIO * promised - _LONGEST_PICTURE_SECONDS:
            raise self._error("corrupt", f"it ends after {pts_seconds:.1f} of {promised:.1f} s")

    def _decode(self) -> Iterator[av.VideoFrame]:
        if self._container is None:
            raise RuntimeError(f"{self._where}: not open")
        stream = self._container.streams.video[0]
        failures = 0
        packets = self._container.demux(stream)
        while True:
            packet = self._read(packets)
            if isinstance(packet, SourceError):
                raise packet
            if packet is None:
                return
            if self.on_packet is not None and packet.size:  # the last one only flushes the decoder
                self.on_packet(packet)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:
                failures += 1
                self._decode_errors += 1
                if failures == _MOST_FAILURES_IN_A_ROW:
                    raise self._error(
                        "corrupt", f"{failures} packets in a row could not be decoded"
                    ) from error
                continue
            if frames:
                failures = 0
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield frame

    def _open(self) -> av.container.InputContainer | SourceError:
        if not self._path.is_file():
            return self._error("not_found", "want a video file or a folder, found neither")
        try:
            # Whole, so that no name is taken for the protocol that FFmpeg calls so.
            return av.open(str(self._path.absolute()), options=fences("file"))
        except av.error.PermissionError:
            return self._error("not_found", "it may not be read")
        except av.error.EOFError:
            return self._error("corrupt", "it ends before its first picture")
        except av.error.ArgumentError:
            return self._error("codec", "want a file that holds its own pictures, got a playlist")
        except (av.error.InvalidDataError, av.error.OSError) as error:
            message = f"want a video file, got something unreadable ({error.strerror})"
            return self._error("corrupt", message)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError | None":
        """The error is a value, so that no chain leads to FFmpeg's, which has the address in it."""
        try:
            return next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            return self._error("corrupt", f"it breaks off ({error.strerror})")

    def _inspect(self, container: av.container.InputContainer) -> SourceInfo:
        if not container.streams.video:
            kinds = ", ".join(sorted({str(stream.type) for stream in container.streams}))
            raise self._error("codec", f"want a video stream, got {kinds or 'none at all'}")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise self._error("codec", "there is no decoder for its video stream")
        context.thread_type = "SLICE"  # frame threads would hold pictures back
        rate = stream.average_rate
        return SourceInfo(
            size_hw=(context.height, context.width),
            codec=context.codec.canonical_name,
            frames_per_second=plausible_rate(None if rate is None else float(rate)),
            frame_count=stream.frames or None,
            live=False,
        )

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        return SourceError(code, f"{self._where}: {message}", permanent=True)


def _promised_seconds(container: av.container.InputContainer) -> float:
    """How long a Matroska file of pictures alone says it is; 0 where nothing can be relied on.

    Elsewhere FFmpeg may have guessed the duration, and other streams may go on for longer.
    """
    if "matroska" not in container.format.name or len(container.streams) != 1:
        return 0.0
    if container.duration is None:
        return 0.0
    return (container.duration - max(0, container.start_time or 0)) / av.time_base
