"""Reuse of the scores of an unchanged frame (ours).

Most frames of most cameras show the same as the frame before. Flow is zero there by itself; this
saves the network and the sparse code as well. One `StillWatch` belongs to one camera and one scene.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.adaptation import AdaptedScene
from models.scores import Scores

_BLUR = 5
SAME = 3.0
"""Largest difference of the means of 5×5 pixels, in grey levels of 255, between unchanged frames:
sensor noise is averaged away, and motion changes the mean by more."""
_MAX_USES = 10
"""Most frames for which scores are reused, one second at 10 frames a second: smaller changes are
found then."""

Pixels = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Slot:
    """Holds the scores of a frame, once its batch is scored."""

    scores: Scores | None = None
    """A batch of one."""


class StillWatch:
    """Compares the frames of one camera, and selects the scores that an unchanged frame reuses.

    Reused scores differ from the frame's own by the effect of pixel noise
    (`tests/test_stillness.py` has the bound). The decision depends on the frames alone, so that the
    batch size has no influence.
    """

    def __init__(self, clip_length: int) -> None:
        """Start without a frame.

        Args:
            clip_length: Frames of a clip, all of which must be unchanged for its scores to be
                reused.
        """
        self._length = clip_length
        self._reference: npt.NDArray[np.float32] | None = None
        self._same = 0
        self._kept: Slot | None = None
        self._scene: AdaptedScene | None = None
        self._uses = 0

    def slot(self, newest: Pixels, scene: AdaptedScene) -> tuple[Slot, bool]:
        """Take the next frame to be scored.

        Args:
            newest: uint8 (H, W, 3), RGB.
            scene: Scene of the frame.

        Returns:
            Slot of its scores, and whether the caller must compute them and put them there.
        """
        grey = cv2.cvtColor(newest, cv2.COLOR_RGB2GRAY)
        blurred = np.asarray(cv2.blur(grey.astype(np.float32), (_BLUR, _BLUR)), dtype=np.float32)
        reference = self._reference
        if reference is None or reference.shape != blurred.shape or _differ(reference, blurred):
            self._reference, self._same, self._kept = blurred, 1, None
            return Slot(), True
        self._same += 1
        if self._kept is not None and self._scene is scene and self._uses < _MAX_USES:
            self._uses += 1
            return self._kept, False
        slot = Slot()
        self._kept = slot if self._same >= self._length else None
        self._scene, self._uses = scene, 0
        return slot, True


def _differ(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return float(np.abs(one - other).max()) > SAME
