"""What FFmpeg may open, and its errors in our words.

A playlist, a concatenation or a session description names further addresses, and FFmpeg would open
those too: a camera, or a file in a folder of recordings, could so have any file of this machine
read. Only containers that hold their own pictures are let in, and only the protocols that the
address itself asks for, redirects included.
"""

import av

from cameras.refusals import explain_status
from cameras.source import ErrorCode

CONTAINERS = (
    "avi,mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,nut,ivf,dv,gif,"
    "yuv4mpegpipe,h264,hevc,m4v,mjpeg,mpjpeg,wav,mp3"
)
"""Names of the containers that hold what they show; wav and mp3 to say that they hold no video."""


def protocol_options(protocols: str) -> dict[str, str]:
    """Options that keep FFmpeg to these protocols and to `CONTAINERS`.

    Args:
        protocols: FFmpeg's names, separated by commas.
    """
    return {"protocol_whitelist": protocols, "format_whitelist": CONTAINERS}


def explain(
    error: Exception, silent: bool, stall_timeout_seconds: float, with_login: bool
) -> tuple[ErrorCode, str]:
    """Say it in our words: FFmpeg's text holds the address, and so the password.

    Args:
        error: As FFmpeg, PyAV or the socket raised it.
        silent: Whether it came about when a time-out was due.
        stall_timeout_seconds: What to call that time-out.
        with_login: Whether the address has a user or a password.
    """
    match error:
        case av.error.HTTPUnauthorizedError():
            return explain_status(401, [], with_login)
        case av.error.HTTPForbiddenError():
            return explain_status(403, [], with_login)
        case av.error.HTTPNotFoundError():
            return "not_found", "the camera has no such stream"
        case av.error.HTTPClientError() | av.error.HTTPError():
            return "refused", f"the camera refused ({type(error).__name__})"
        case ConnectionRefusedError():
            return "refused", "nobody listens at that port"
        case TimeoutError() | av.error.ExitError():
            return "timeout", f"silent for {stall_timeout_seconds:g} s"
        case ConnectionError() | av.error.EOFError():
            return "ended", "the camera closed the connection"
        case _ if silent:
            return "timeout", f"no answer in {stall_timeout_seconds / 2:g} s"
        case av.error.ArgumentError():
            return "codec", "want a stream or file that holds its own pictures, got something else"
        case OSError():
            return "refused", f"no way to the camera ({error.strerror})"
    return "codec", f"what it sends is not understood ({type(error).__name__})"
