"""Where nothing changes nothing is computed: scores of a still picture are used again (ours).

Most frames of most cameras show the same as the frame before. Flow is zero there by itself; this
spares the network and the sparse code as well. One watch belongs to one camera and one scene.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.adaptation import AdaptedScene
from models.scorer import Scores

_BLUR = 5
SAME = 3.0
"""Largest difference of the means of 5×5 pixels, in grey levels of 255, between pictures that are
the same: the noise of a sensor is averaged away, and what moves changes more."""
_MOST_USES = 10
"""Frames that scores are used for at most, a second at 10 a second: what changes by less than that
much is seen then."""

Pixels = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Slot:
    """Where the scores of a frame are, or will be once its batch is through."""

    scores: Scores | None = None
    """A batch of one."""


class StillWatch:
    """Follows the newest frames of one camera, and says whose scores are theirs as well.

    The energy of a frame that takes the scores of another differs from its own by what the noise of
    its pixels does (`tests/test_stillness.py` has the bound). What is decided here depends on the
    pictures alone, so that any size of batch gives the same.
    """

    def __init__(self, clip_length: int) -> None:
        """Begin.

        Args:
            clip_length: Frames of a clip, all of which must be the same.
        """
        self._length = clip_length
        self._reference: npt.NDArray[np.float32] | None = None
        self._same = 0
        self._kept: Slot | None = None
        self._scene: AdaptedScene | None = None
        self._uses = 0

    def slot(self, newest: Pixels, scene: AdaptedScene) -> tuple[Slot, bool]:
        """Take the next frame that is to be scored.

        Args:
            newest: uint8 (H, W, 3), RGB.
            scene: In which it is scored.

        Returns:
            Where its scores are, and whether they are still to be computed and put there.
        """
        grey = cv2.cvtColor(newest, cv2.COLOR_RGB2GRAY)
        blurred = np.asarray(cv2.blur(grey.astype(np.float32), (_BLUR, _BLUR)), dtype=np.float32)
        reference = self._reference
        if reference is None or reference.shape != blurred.shape or _differ(reference, blurred):
            self._reference, self._same, self._kept = blurred, 1, None
            return Slot(), True
        self._same += 1
        if self._kept is not None and self._scene is scene and self._uses < _MOST_USES:
            self._uses += 1
            return self._kept, False
        slot = Slot()
        self._kept = slot if self._same >= self._length else None
        self._scene, self._uses = scene, 0
        return slot, True


def _differ(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return float(np.abs(one - other).max()) > SAME
