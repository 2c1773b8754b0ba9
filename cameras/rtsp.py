"""RTSP: the live stream of a network camera."""

from typing import Literal

from cameras.address import host_and_port
from cameras.live_stream import Dialect, LiveStream


class RtspStream(LiveStream):
    """One RTSP connection."""

    def __init__(
        self, address: str, transport: Literal["tcp", "udp"], stall_timeout_seconds: float
    ) -> None:
        """Remember what to open.

        Args:
            address: "rtsp://[user:password@]host[:port]/path".
            transport: "tcp" inside the control connection, "udp" beside it.
            stall_timeout_seconds: Lost after so long without a picture, > 0.

        Raises:
            ValueError: the address has no valid host or port.
        """
        options = {
            "protocol_whitelist": "rtsp,rtp,tcp,udp",
            "rtsp_transport": transport,
            "allowed_media_types": "video",
        }
        dialect = Dialect(f"over {transport}", options, host_and_port=host_and_port(address))
        super().__init__(address, dialect, stall_timeout_seconds)
