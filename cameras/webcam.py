"""A webcam of this machine as a source, through Video4Linux."""

import os

from cameras.live_stream import LiveStream, OpenOptions
from cameras.source import SourceError


class Webcam(LiveStream):
    """One opening of /dev/videoN."""

    def __init__(self, number: int, stall_timeout_seconds: float) -> None:
        """Remember what to open.

        Args:
            number: N of /dev/videoN.
            stall_timeout_seconds: Lost after so long without a picture, > 0.
        """
        self._device = f"/dev/video{number}"
        # The driver's time stamps begin anywhere, on a clock of its choice: StreamClock copes.
        open_options = OpenOptions(f"({self._device})", {}, format="v4l2", opens=self._device)
        super().__init__(f"webcam:{number}", open_options, stall_timeout_seconds)

    def _look_up(self) -> SourceError | None:
        if not os.path.exists(self._device):
            return self._error("not_found", "want a camera at this number, found none")
        if not os.access(self._device, os.R_OK | os.W_OK):
            return self._error("refused", "it may not be opened (is this user in the group video?)")
        return None
