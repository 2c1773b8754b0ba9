"""RTSP: the live stream of a network camera."""

from typing import Literal

import av
import av.container

from cameras.address import host_and_port
from cameras.live_stream import LiveStream, OpenOptions
from cameras.refusals import explain_status, has_login, rtsp_challenges
from cameras.source import SourceError

_REQUEST_SECONDS = 2.0


class RtspStream(LiveStream):
    """One RTSP connection."""

    def __init__(
        self, address: str, transport: Literal["tcp", "udp"], stall_timeout_seconds: float
    ) -> None:
        """Store what to open.

        Args:
            address: "rtsp://[user:password@]host[:port]/path".
            transport: "tcp" inside the control connection, or "udp".
            stall_timeout_seconds: Maximum time without a frame, > 0.

        Raises:
            ValueError: the address has no valid host or port.
        """
        options = {
            "protocol_whitelist": "rtsp,rtp,tcp,udp",
            "rtsp_transport": transport,
            "allowed_media_types": "video",
        }
        open_options = OpenOptions(
            f"over {transport}", options, host_and_port=host_and_port(address)
        )
        super().__init__(address, open_options, stall_timeout_seconds)

    def _connect(self) -> av.container.InputContainer | SourceError:
        opened = super()._connect()
        if not isinstance(opened, SourceError) or opened.code != "unauthorised":
            return opened
        # FFmpeg does not report which authentication the camera requires.
        response = rtsp_challenges(
            self._address, min(_REQUEST_SECONDS, self._stall_timeout_seconds)
        )
        if response is None or response[0] not in (401, 403):
            return opened
        return self._error(*explain_status(*response, has_login(self._address)))
