"""Allow-lists for FFmpeg, and its errors as error codes with messages without credentials.

A playlist, a concatenation or a session description names further addresses, and FFmpeg would open
those too: a camera, or a file in a folder of recordings, could make it read any local file. Only
containers that hold their own video are allowed, and only the protocols that the address itself
needs, also for redirects.
"""

import av

from cameras.refusals import explain_status
from cameras.source import ErrorCode

CONTAINERS = (
    "avi,mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,nut,ivf,dv,gif,"
    "yuv4mpegpipe,h264,hevc,m4v,mjpeg,mpjpeg,wav,mp3"
)
"""Names of self-contained containers; wav and mp3 for the error that they have no video."""


def protocol_options(protocols: str) -> dict[str, str]:
    """Return options that restrict FFmpeg to these protocols and to `CONTAINERS`.

    Args:
        protocols: FFmpeg's names, separated by commas.
    """
    return {"protocol_whitelist": protocols, "format_whitelist": CONTAINERS}


def explain(
    error: Exception, timed_out: bool, stall_timeout_seconds: float, with_login: bool
) -> tuple[ErrorCode, str]:
    """Map an error to a code and a message; FFmpeg's message contains the password.

    Args:
        error: As FFmpeg, PyAV or the socket raised it.
        timed_out: Whether it was raised when a time-out expired.
        stall_timeout_seconds: The time-out, for the message.
        with_login: Whether the address contains a user or a password.
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
            return "refused", "nothing listens at that port"
        case TimeoutError() | av.error.ExitError():
            return "timeout", f"no data for {stall_timeout_seconds:g} s"
        case ConnectionError() | av.error.EOFError():
            return "ended", "the camera closed the connection"
        case _ if timed_out:
            return "timeout", f"no response in {stall_timeout_seconds / 2:g} s"
        case av.error.ArgumentError():
            return "codec", "want a stream or file that contains video, got something else"
        case OSError():
            return "refused", f"no connection to the camera ({error.strerror})"
    return "codec", f"its data cannot be decoded ({type(error).__name__})"
