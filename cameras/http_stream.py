"""HTTP as a source: the endless pictures of a camera, and recordings on a web server."""

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
from cameras.http_client import Body, Head, HttpError, OddAnswerError, get
from cameras.jpeg_stream import CleanMultipart
from cameras.lag import CatchUp
from cameras.live_stream import LiveStream, OpenOptions
from cameras.refusals import has_login
from cameras.source import SourceError, SourceOptions
from cameras.video_file import VideoFile

_PROTOCOLS = "http,https,tls,tcp"
_RECEIVE_BUFFER_BYTES = 256 * 1024
_NEARLY = 0.9
_LEAST_ENTRY_BYTES = 4
_NO_PARTS = (
    "the server sends no parts of a file (Range), and the index of this recording comes after its "
    "pictures: copy the file here, write its index first (ffmpeg -c copy -movflags faststart), or "
    "have the server send parts"
)
UNSTAMPED = ("mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo")
"""Containers without time stamps: FFmpeg makes them up."""
_MOST_LAG_SECONDS = 10.0
"""Servers hand streams out in pieces of some seconds: what comes at once is not late."""


class HttpStream(LiveStream):
    """The live stream of a camera: Motion JPEG, or what FFmpeg finds to hold video."""

    def __init__(self, address: str, stall_timeout_seconds: float) -> None:
        """Remember what to open.

        Motion JPEG comes without time stamps, so the arrival of a picture is its time; the small
        buffer keeps pictures from growing old in it unnoticed. Other streams have their own time.

        Args:
            address: "http[s]://[user:password@]host[:port]/path".
            stall_timeout_seconds: Lost after so long without a picture, > 0.

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
            self.catch_up = CatchUp(_MOST_LAG_SECONDS)

    def _connect(self) -> av.container.InputContainer | SourceError:
        half = self._stall_timeout_seconds / 2
        try:
            head, body = get(self._address, half, self._stall_timeout_seconds)
        except HttpError as error:
            return self._error(error.code, str(error))
        except OddAnswerError:
            return self._by_arrival_if_unstamped(super()._connect())
        self._opened.callback(body.close)
        self._body = body
        wrong = what_is_wrong(head)
        if wrong is not None:
            return self._error("codec", wrong)
        readable: Body | CleanMultipart = body
        probing = self._probing()
        patience, name = self._keyframe_patience, None
        if head.content in ("multipart", "picture"):
            readable = CleanMultipart(body, self._leave_out)
            # A rate guessed without time stamps is worth no wait, and each picture is a key frame.
            probing = {"fpsprobesize": "0", "analyzeduration": "0"}
            patience, name = self._stall_timeout_seconds, "mpjpeg"
        body.expect(patience)
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
            silent = time.monotonic() - began > _NEARLY * half
            failure = self._translate(error, silent)
            if body.overdue:
                return self._no_picture(patience, self._left_out)
            if name is not None and failure.code != "timeout":
                got = f"{body.received} bytes of {head.kind} without a whole JPEG picture"
                return self._error("codec", f"want JPEG pictures one after the other, got {got}")
            return failure
        return self._by_arrival_if_unstamped(container)

    def _by_arrival_if_unstamped(
        self, container: av.container.InputContainer | SourceError
    ) -> av.container.InputContainer | SourceError:
        if not isinstance(container, SourceError) and container.format.name in UNSTAMPED:
            self.by_arrival, self.catch_up = True, None
        return container

    def _leave_out(self, count: int) -> None:
        """Count pictures that came in halves."""
        self._left_out += count
        if self.on_damaged is not None:
            self.on_damaged(count)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError":
        if self._body is None:
            return super()._read(packets)
        before = self._left_out
        self._body.expect(self._stall_timeout_seconds)
        packet = super()._read(packets)
        if isinstance(packet, SourceError) and self._body.overdue:
            return self._no_picture(self._stall_timeout_seconds, self._left_out - before)
        if isinstance(packet, SourceError) and self._body.ended:
            return self._error("ended", "the camera closed the connection")
        return packet


def what_is_wrong(head: Head) -> str | None:
    """Why an answer is no live stream; None: it may be one."""
    if head.content == "picture" and head.length is not None:
        return (
            f"this is one picture ({head.kind}, {head.length} bytes), and a stream is wanted: the "
            "camera's manual has the address of its RTSP or Motion JPEG stream"
        )
    if head.content == "page":
        return (
            f"it answers with a page ({head.kind}) and no video: is this the address of the "
            "stream, or of a page that shows it?"
        )
    if head.content == "recording":
        return (
            f"this is a recording ({head.kind or 'no type'}, {head.length} bytes) and no live "
            "stream: set source.kind to file, or to auto"
        )
    return None


def is_endless(address: str, timeout_seconds: float) -> bool:
    """Ask a web server whether an address has no end, as the stream of a camera.

    Args:
        address: "http[s]://…".
        timeout_seconds: For each step until the answer is there, > 0.

    Raises:
        SourceError: it did not answer, or refuses.
    """
    try:
        head, body = get(address, timeout_seconds, timeout_seconds)
    except HttpError as error:
        failure = SourceError(error.code, f"{redact(address)}: {error}")
    except OddAnswerError:
        return is_live(address)
    else:
        body.close()
        # What is no stream at all is best explained by whoever opens it as one.
        return head.content != "recording"
    raise failure


class HttpFile(VideoFile):
    """One pass through a video file on a web server."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        """Remember what to open.

        Args:
            address: "http[s]://[user:password@]host[:port]/path" with the suffix of a video file.
            options: Pace, the time without data after which it is given up, damaged pictures.
        """
        super().__init__(Path(urlsplit(address).path), options.pace, options.repeat_damaged)
        self._address = address
        self._where = redact(address)
        self._stall_timeout_seconds = options.stall_timeout_seconds

    def _open(self) -> av.container.InputContainer | SourceError:
        half = self._stall_timeout_seconds / 2  # FFmpeg's time-outs strike twice
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
            silent = time.monotonic() - began > _NEARLY * half
            login = has_login(self._address)
            code, message = explain(error, silent, self._stall_timeout_seconds, login)
        # A server may come up later; what it refuses or what cannot be read stays as it is.
        again = code in ("refused", "timeout", "ended")
        return SourceError(code, f"{self._where}: {message}", permanent=not again)

    def _read(
        self, packets: "Iterator[av.Packet[VideoStream]]"
    ) -> "av.Packet[VideoStream] | SourceError | None":
        packet = super()._read(packets)
        lost = isinstance(packet, SourceError) and self._index_is_last()
        if lost and self._sends_parts() is False:
            return self._error("refused", _NO_PARTS)
        return packet

    def _index_is_last(self) -> bool:
        """Whether no index fits before the first picture of an MP4: it was read at the end."""
        if self._stream is None or self._container is None:
            return False
        entries = self._stream.index_entries
        mp4 = "mp4" in self._container.format.name
        return mp4 and bool(entries) and entries[0].pos < _LEAST_ENTRY_BYTES * len(entries)

    def _sends_parts(self) -> bool | None:
        """Whether the server sends a part of the file where it is asked for one; None: unknown."""
        parts = urlsplit(self._address)
        host, port = host_and_port(self._address)
        kind = HTTPSConnection if parts.scheme.lower() == "https" else HTTPConnection
        connection = kind(host, port, timeout=self._stall_timeout_seconds / 2)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Range": "bytes=0-0"}
        if parts.username is not None:
            who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + b64encode(who.encode()).decode()
        try:
            connection.request("GET", target, headers=headers)
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return {int(HTTPStatus.PARTIAL_CONTENT): True, int(HTTPStatus.OK): False}.get(status)

    def _missing_ratio(self) -> float:
        """By the last entry of its index, where it has one."""
        entries = None if self._stream is None else self._stream.index_entries
        if not entries or self._container is None or self._container.size <= 0:
            return 0.0
        promised = entries[-1].pos + entries[-1].size
        return max(0.0, 1 - self._container.size / promised)
