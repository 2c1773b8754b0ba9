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

from cameras.address import host_and_port, redact
from cameras.ffmpeg import explain, fences
from cameras.live_stream import Dialect, LiveStream
from cameras.options import SourceOptions
from cameras.source import SourceError
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


class HttpStream(LiveStream):
    """The live stream of a camera, in most cases Motion JPEG."""

    def __init__(self, address: str, stall_timeout_seconds: float) -> None:
        """Remember what to open.

        Motion JPEG comes without time stamps, so the arrival of a picture is its time; the small
        buffer keeps pictures from growing old in it unnoticed.

        Args:
            address: "http[s]://[user:password@]host[:port]/path".
            stall_timeout_seconds: Lost after so long without a picture, > 0.

        Raises:
            ValueError: the address has no valid host or port.
        """
        options = {
            **fences(_PROTOCOLS),
            "recv_buffer_size": str(_RECEIVE_BUFFER_BYTES),
            "fpsprobesize": "0",  # a rate guessed without time stamps is worth no wait
            "analyzeduration": "0",
        }
        where = host_and_port(address)
        dialect = Dialect("over http", options, host_and_port=where, arrival_is_time=True)
        super().__init__(address, dialect, stall_timeout_seconds)


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
                options={**fences(_PROTOCOLS), "reconnect": "1", "reconnect_delay_max": "5"},
                timeout=(self._stall_timeout_seconds, half),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - began > _NEARLY * half
            code, message = explain(error, silent, self._stall_timeout_seconds)
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
