"""Create the source for an address."""

from pathlib import Path

from cameras.address import is_live, kind_of, webcam_number
from cameras.source import Source, SourceOptions


def open_source(address: str, options: SourceOptions) -> Source:
    """Create the source for an address; nothing is opened before its `with`.

    Each kind is imported on demand, so that a file does not load the synthetic street.

    Args:
        address: "rtsp://…", "http[s]://…", "webcam:N", "synthetic:…", or the path of a video file
            or a folder of images.
        options: How to open it.

    Raises:
        ValueError: the address is malformed or has an unsupported scheme.
    """
    match kind_of(address):
        case "rtsp":
            from cameras.rtsp import RtspStream

            stream = RtspStream(address, options.transport, options.stall_timeout_seconds)
            if not options.catch_up:
                stream.catch_up = None
            return stream
        case "http" if is_live(address, options.kind):
            from cameras.http_stream import HttpStream

            http = HttpStream(address, options.stall_timeout_seconds)
            if not options.catch_up:
                http.catch_up = None
            return http
        case "http":
            from cameras.http_stream import HttpFile

            return HttpFile(address, options)
        case "webcam":
            from cameras.webcam import Webcam

            return Webcam(webcam_number(address), options.stall_timeout_seconds)
        case "synthetic":
            from cameras.simulation import open_synthetic

            return open_synthetic(address, options)
        case "path" if Path(address).is_dir():
            from cameras.frame_directory import FrameDirectory

            rate = options.frames_per_second or 10.0
            return FrameDirectory(Path(address), rate, options.pace, options.repeat_damaged)
        case "path":
            from cameras.video_file import VideoFile

            return VideoFile(Path(address), options.pace, options.repeat_damaged)
