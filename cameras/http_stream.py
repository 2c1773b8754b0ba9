"""HTTP as a source: the endless pictures of a camera, and recordings on a web server."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import av
import av.container

from cameras.address import host_and_port, redact
from cameras.ffmpeg import explain, fences
from cameras.live_stream import Dialect, LiveStream
from cameras.pacing import Pace
from cameras.source import SourceError
from cameras.video_file import VideoFile

_PROTOCOLS = "http,https,tls,tcp"
_RECEIVE_BUFFER_BYTES = 256 * 1024
_NEARLY = 0.9


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

    def __init__(self, address: str, pace: Pace, stall_timeout_seconds: float) -> None:
        """Remember what to open.

        Args:
            address: "http[s]://[user:password@]host[:port]/path" with the suffix of a video file.
            pace: "live" as its time stamps say, "fast" as the reader takes them.
            stall_timeout_seconds: Given up after so long without data, > 0.
        """
        super().__init__(Path(urlsplit(address).path), pace)
        self._address = address
        self._where = redact(address)
        self._stall_timeout_seconds = stall_timeout_seconds

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
