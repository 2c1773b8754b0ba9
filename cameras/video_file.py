"""A video file as a source: every frame in order, then the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.container
from av.video.stream import VideoStream

from cameras.clock import plausible_rate
from cameras.display import display_matrix, shown_hw, shown_pixels
from cameras.ffmpeg import protocol_options
from cameras.file_time import RecordingClock
from cameras.pacing import Pace, Pacer
from cameras.packet_decoder import DamageTap, Decoded, PacketDecoder
from cameras.source import ErrorCode, PacketTap, Picture, Pixels, SourceError, SourceInfo
from cameras.tracks import main_video_tracks, multi_frame_tracks
from cameras.truncation import missing_ratio

_MAX_CONSECUTIVE_DAMAGED = 400
"""Consecutive damaged frames: more than fit between two key frames."""
_MAX_LEAD_IN_SECONDS = 86_400.0
"""Before its first frame a recording may have audio, or frames that need an earlier key frame."""


class VideoFile:
    """One pass through a video file; every error is permanent."""

    def __init__(self, path: Path, pace: Pace, repeat_damaged: bool = False) -> None:
        """Store what to open.

        Args:
            path: The file, in any container and codec that FFmpeg reads.
            pace: "live" paced by its time stamps, "fast" without waits.
            repeat_damaged: Repeat the previous frame in place of a damaged one.
        """
        self._path = path
        self._where = str(path)
        self._pacer = Pacer(pace)
        self._repeat_damaged = repeat_damaged
        self._opened = ExitStack()
        self._info: SourceInfo | None = None
        self._decoded: Iterator[Decoded] = iter(())
        self._decoder: PacketDecoder | None = None
        self._container: av.container.InputContainer | None = None
        self._stream: VideoStream | None = None
        self._origin_seconds: float | None = None
        self.on_packet: PacketTap | None = None
        self.on_damaged: DamageTap | None = None

    def __enter__(self) -> Self:
        """Open the file and decode its first frame.

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
        """Properties of the open file.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{self._where}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield the intact frames in time order; time counts from the beginning of the file.

        Raises:
            SourceError: codec where there was no frame at all; corrupt where too many consecutive
                packets could not be decoded, or where the file is truncated.
        """
        clock = RecordingClock(self._origin_seconds, self.info.frames_per_second)
        image: Callable[[], Pixels] | None = None
        matrix: tuple[int, ...] | None = None
        pts_seconds = 0.0
        for pts_seconds, one in clock.run(self._timed()):
            if one.intact and one.frame is not None:
                image = partial(shown_pixels, one.frame, self._aspect())
                matrix = display_matrix(one.frame)
            if image is None:
                continue
            self._pacer.wait_until(pts_seconds)
            yield Picture(pts_seconds, time.time(), image, self._damaged(), display_matrix=matrix)
        missing = self._missing_ratio()
        if missing:
            message = f"the file is truncated after {pts_seconds:.1f} s"
            raise self._error("corrupt", f"{message}: {missing:.0%} of it is missing")

    def _timed(self) -> Iterator[tuple[float | None, Decoded]]:
        for one in self._decoded:
            if one.intact or self._repeat_damaged:
                yield one.stamp_seconds, one

    def _decode(self, container: av.container.InputContainer) -> Iterator[Decoded]:
        decoder, stream = self._decoder, self._stream
        assert decoder is not None
        assert stream is not None
        packets = container.demux(stream)
        while True:
            packet = self._read(packets)
            if isinstance(packet, SourceError):
                raise packet
            if packet is None:
                return
            if self.on_packet is not None and packet.size:  # the last one only flushes the decoder
                self.on_packet(packet)
            yield from decoder.decode(packet)
            if decoder.damaged_in_a_row >= _MAX_CONSECUTIVE_DAMAGED:
                raise self._error(
                    "corrupt", f"{_MAX_CONSECUTIVE_DAMAGED} consecutive frames are damaged"
                )

    def _open(self) -> av.container.InputContainer | SourceError:
        if not self._path.is_file():
            return self._error("not_found", "want a video file or a folder, found neither")
        try:
            # An absolute path, so that no file name is parsed as an FFmpeg protocol.
            return av.open(str(self._path.absolute()), options=protocol_options("file"))
        except av.error.PermissionError:
            return self._error("not_found", "no permission to read it")
        except av.error.EOFError:
            return self._error("corrupt", "it ends before its first frame")
        except av.error.ArgumentError:
            return self._error("codec", "want a file that contains video, got a playlist")
        except (av.error.InvalidDataError, av.error.OSError) as error:
            message = f"want a video file, got something unreadable ({error.strerror})"
            return self._error("corrupt", message)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError | None":
        """Return errors as values: no exception chain to FFmpeg's errors with the address."""
        try:
            return next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            return self._error("corrupt", f"reading failed ({error.strerror})")

    def _inspect(self, container: av.container.InputContainer) -> SourceInfo:
        if not container.streams.video:
            kinds = ", ".join(sorted({str(stream.type) for stream in container.streams}))
            raise self._error("codec", f"want a video stream, got {kinds or 'none at all'}")
        stream = self._stream = self._main_track(container)
        if stream is None:
            raise self._error("codec", "there is no decoder for its video stream")
        decoder = self._decoder = PacketDecoder(stream, self.on_damaged)
        decoded = self._decode(container)
        before: list[Decoded] = []
        first = None
        while first is None:
            one = next(decoded, None)
            if one is None:
                raise self._no_frame(decoder)
            before.append(one)
            first = one.frame if one.intact else None
        self._decoded = chain(before, decoded)
        self._origin_seconds = _origin_seconds(container, before[0])
        rate = stream.average_rate
        return SourceInfo(
            size_hw=shown_hw(first, self._aspect()),
            codec=stream.codec_context.codec.canonical_name,
            frames_per_second=plausible_rate(None if rate is None else float(rate)),
            frame_count=_frame_count(stream),
            live=False,
        )

    def _no_frame(self, decoder: PacketDecoder) -> SourceError:
        if decoder.damaged:
            message = f"all of its {decoder.damaged} frames are damaged or cannot be decoded"
            return self._error("corrupt", message)
        if missing := self._missing_ratio():
            return self._error(
                "corrupt",
                f"{missing:.0%} of it is missing, beginning before its first intact frame",
            )
        what = "decodable frame" if decoder.has_keyframe else "key frame"
        return self._error("codec", f"it contains no {what}")

    def _main_track(self, container: av.container.InputContainer) -> VideoStream | None:
        tracks = main_video_tracks(container)
        if len(tracks) > 1:
            moving = self._multi_frame_tracks()
            tracks.sort(key=lambda track: track.index not in moving)
        return tracks[0] if tracks else None

    def _multi_frame_tracks(self) -> set[int]:
        again = self._open()
        if isinstance(again, SourceError):
            return set()
        try:
            with again:
                return multi_frame_tracks(again)
        except (av.error.FFmpegError, OSError):
            return set()

    def _aspect(self) -> Fraction | None:
        return None if self._stream is None else self._stream.sample_aspect_ratio

    def _damaged(self) -> int:
        return 0 if self._decoder is None else self._decoder.damaged

    def _missing_ratio(self) -> float:
        try:
            return missing_ratio(self._path)
        except OSError:  # the file may have been removed since it was opened
            return 0.0

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        return SourceError(code, f"{self._where}: {message}", permanent=True)


def _origin_seconds(container: av.container.InputContainer, first: Decoded) -> float | None:
    """Time stamp at which players start the recording, or that of the first frame."""
    stamp = first.stamp_seconds
    if container.start_time is None or stamp is None:
        return stamp
    origin = container.start_time / av.time_base
    return origin if 0 <= stamp - origin <= _MAX_LEAD_IN_SECONDS else stamp


def _frame_count(stream: VideoStream) -> int | None:
    """Number of displayed frames; the container also counts those hidden by an edit list."""
    if not stream.frames:
        return None
    entries = stream.index_entries
    if not len(entries) or not (entries[0].is_discard or entries[-1].is_discard):
        return stream.frames
    return max(1, sum(not entry.is_discard for entry in entries))
