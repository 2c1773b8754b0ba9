"""A webcam of this machine as a source, through Video4Linux."""

import os

from cameras.live_stream import LiveStream, OpenOptions
from cameras.source import SourceError


class Webcam(LiveStream):
    """One opening of /dev/videoN."""

    def __init__(self, number: int, stall_timeout_seconds: float) -> None:
        """Store what to open.

        Args:
            number: N of /dev/videoN.
            stall_timeout_seconds: Maximum time without a frame, > 0.
        """
        self._device = f"/dev/video{number}"
        # The driver's time stamps have an arbitrary origin and clock: StreamClock maps them.
        open_options = OpenOptions(f"({self._device})", {}, format="v4l2", url=self._device)
        super().__init__(f"webcam:{number}", open_options, stall_timeout_seconds)

    def _resolve(self) -> SourceError | None:
        if not os.path.exists(self._device):
            return self._error("not_found", "want a camera with this number, found none")
        if not os.access(self._device, os.R_OK | os.W_OK):
            return self._error(
                "refused", "no permission to open it (is this user in the group video?)"
            )
        return None
