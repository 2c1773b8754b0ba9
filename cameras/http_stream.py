"""HTTP as a source: the endless stream of a camera, and recordings on a web server."""

import time
from base64 import b64encode
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import av.container
from av.video.stream import VideoStream

from cameras.address import host_and_port, is_live, redact
from cameras.ffmpeg import explain, protocol_options
from cameras.http_client import Body, Head, HttpError, MalformedResponseError, get
from cameras.jpeg_stream import CleanMultipart
from cameras.lag import CatchUp
from cameras.live_stream import LiveStream, OpenOptions
from cameras.refusals import has_login
from cameras.source import SourceError, SourceOptions
from cameras.video_file import VideoFile

_PROTOCOLS = "http,https,tls,tcp"
_RECEIVE_BUFFER_BYTES = 256 * 1024
_TIMEOUT_RATIO = 0.9
_MIN_ENTRY_BYTES = 4
_NO_RANGES = (
    "the server does not support range requests, and the index of this recording is at its end: "
    "copy the file to this machine, move its index to the front (ffmpeg -c copy -movflags "
    "faststart), or enable range requests on the server"
)
UNSTAMPED = ("mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo")
"""Containers without time stamps: FFmpeg invents them."""
_MAX_LAG_SECONDS = 10.0
"""Servers deliver streams in segments of some seconds: packets of one segment are not late."""


class HttpStream(LiveStream):
    """The live stream of a camera: Motion JPEG, or any container in which FFmpeg finds video."""

    def __init__(self, address: str, stall_timeout_seconds: float) -> None:
        """Store what to open.

        Motion JPEG has no time stamps, so the arrival of a frame is its time; a small receive
        buffer limits the unnoticed delay in it. Other streams have their own time.

        Args:
            address: "http[s]://[user:password@]host[:port]/path".
            stall_timeout_seconds: Maximum time without a frame, > 0.

        Raises:
            ValueError: the address has no valid host or port.
        """
        options = {
            **protocol_options(_PROTOCOLS),
            "recv_buffer_size": str(_RECEIVE_BUFFER_BYTES),
        }
        where = host_and_port(address)
        open_options = OpenOptions("over http", options, host_and_port=where)
        super().__init__(address, open_options, stall_timeout_seconds)
        self._body: Body | None = None
        if self.catch_up is not None:
            self.catch_up = CatchUp(_MAX_LAG_SECONDS)

    def _connect(self) -> av.container.InputContainer | SourceError:
        half = self._stall_timeout_seconds / 2
        try:
            head, body = get(self._address, half, self._stall_timeout_seconds)
        except HttpError as error:
            return self._error(error.code, str(error))
        except MalformedResponseError:
            return self._by_arrival_if_unstamped(super()._connect())
        self._opened.callback(body.close)
        self._body = body
        reason = unusable_reason(head)
        if reason is not None:
            return self._error("codec", reason)
        readable: Body | CleanMultipart = body
        probing = self._probing()
        timeout, name = self._keyframe_timeout_seconds, None
        if head.content in ("multipart", "image"):
            readable = CleanMultipart(body, self._count_discarded)
            # Without time stamps a rate cannot be estimated, and each frame is a key frame.
            probing = {"fpsprobesize": "0", "analyzeduration": "0"}
            timeout, name = self._stall_timeout_seconds, "mpjpeg"
        body.expect(timeout)
        began = time.monotonic()
        container: av.container.InputContainer
        try:
            container = av.open(
                readable,
                "r",
                format=name,
                options={**self._open_options.options, **probing},
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            timed_out = time.monotonic() - began > _TIMEOUT_RATIO * half
            failure = self._translate(error, timed_out)
            if body.overdue:
                return self._no_frame(timeout, self._discarded)
            if name is not None and failure.code != "timeout":
                got = f"{body.received} bytes of {head.kind} without a complete JPEG image"
                return self._error("codec", f"want a sequence of JPEG images, got {got}")
            return failure
        return self._by_arrival_if_unstamped(container)

    def _by_arrival_if_unstamped(
        self, container: av.container.InputContainer | SourceError
    ) -> av.container.InputContainer | SourceError:
        if not isinstance(container, SourceError) and container.format.name in UNSTAMPED:
            self.by_arrival, self.catch_up = True, None
        return container

    def _count_discarded(self, count: int) -> None:
        """Count incomplete images."""
        self._discarded += count
        if self.on_damaged is not None:
            self.on_damaged(count)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError":
        if self._body is None:
            return super()._read(packets)
        before = self._discarded
        self._body.expect(self._stall_timeout_seconds)
        packet = super()._read(packets)
        if isinstance(packet, SourceError) and self._body.overdue:
            return self._no_frame(self._stall_timeout_seconds, self._discarded - before)
        if isinstance(packet, SourceError) and self._body.ended:
            return self._error("ended", "the camera closed the connection")
        return packet


def unusable_reason(head: Head) -> str | None:
    """Return why a response is no live stream; None: it may be one."""
    if head.content == "image" and head.length is not None:
        return (
            f"want a stream, got a single image ({head.kind}, {head.length} bytes): the camera's "
            "manual lists the address of its RTSP or Motion JPEG stream"
        )
    if head.content == "page":
        return (
            f"want a stream, got a web page ({head.kind}): use the address of the stream "
            "instead of the page that shows it"
        )
    if head.content == "recording":
        return (
            f"want a live stream, got a recording ({head.kind or 'no type'}, {head.length} bytes): "
            "set source.kind to file, or to auto"
        )
    return None


def is_endless(address: str, timeout_seconds: float) -> bool:
    """Ask a web server whether an address is an endless stream.

    Args:
        address: "http[s]://…".
        timeout_seconds: For each step until the response head has arrived, > 0.

    Raises:
        SourceError: it did not respond, or refused.
    """
    try:
        head, body = get(address, timeout_seconds, timeout_seconds)
    except HttpError as error:
        failure = SourceError(error.code, f"{redact(address)}: {error}")
    except MalformedResponseError:
        return is_live(address)
    else:
        body.close()
        # Opening it as a stream explains best why it is none.
        return head.content != "recording"
    raise failure


class HttpFile(VideoFile):
    """One pass through a video file on a web server."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        """Store what to open.

        Args:
            address: "http[s]://[user:password@]host[:port]/path" with the suffix of a video file.
            options: Pace, stall time-out, and treatment of damaged frames.
        """
        super().__init__(Path(urlsplit(address).path), options.pace, options.repeat_damaged)
        self._address = address
        self._where = redact(address)
        self._stall_timeout_seconds = options.stall_timeout_seconds

    def _open(self) -> av.container.InputContainer | SourceError:
        # FFmpeg's time-outs expire twice before they are reported.
        half = self._stall_timeout_seconds / 2
        began = time.monotonic()
        try:
            return av.open(
                self._address,
                options={
                    **protocol_options(_PROTOCOLS),
                    "reconnect": "1",
                    "reconnect_delay_max": "5",
                },
                timeout=(self._stall_timeout_seconds, half),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            timed_out = time.monotonic() - began > _TIMEOUT_RATIO * half
            login = has_login(self._address)
            code, message = explain(error, timed_out, self._stall_timeout_seconds, login)
        # A server may come up later; other errors are permanent.
        again = code in ("refused", "timeout", "ended")
        return SourceError(code, f"{self._where}: {message}", permanent=not again)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError | None":
        packet = super()._read(packets)
        lost = isinstance(packet, SourceError) and self._index_is_last()
        if lost and self._supports_ranges() is False:
            return self._error("refused", _NO_RANGES)
        return packet

    def _index_is_last(self) -> bool:
        """Whether the index of an MP4 is at its end: it does not fit before the first frame."""
        if self._stream is None or self._container is None:
            return False
        entries = self._stream.index_entries
        mp4 = "mp4" in self._container.format.name
        return mp4 and bool(entries) and entries[0].pos < _MIN_ENTRY_BYTES * len(entries)

    def _supports_ranges(self) -> bool | None:
        """Whether the server supports range requests; None: unknown."""
        parts = urlsplit(self._address)
        host, port = host_and_port(self._address)
        kind = HTTPSConnection if parts.scheme.lower() == "https" else HTTPConnection
        connection = kind(host, port, timeout=self._stall_timeout_seconds / 2)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Range": "bytes=0-0"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
        try:
            connection.request("GET", target, headers=headers)
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return {int(HTTPStatus.PARTIAL_CONTENT): True, int(HTTPStatus.OK): False}.get(status)

    def _missing_ratio(self) -> float:
        """Missing part by the last entry of the index; 0 without an index."""
        entries = None if self._stream is None else self._stream.index_entries
        if not entries or self._container is None or self._container.size <= 0:
            return 0.0
        declared = entries[-1].pos + entries[-1].size
        return max(0.0, 1 - self._container.size / declared)
