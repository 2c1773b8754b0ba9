"""Reuse of the scores of an unchanged frame, and of the features of the frame before (ours).

Most frames of most cameras show the same as the frame before. Flow is zero there by itself; this
saves the network and the sparse code as well. Where something moves, the network runs for every
second frame: its terms count little beside the flow, and what it sees stays for longer than a tenth
of a second. One `StillWatch` belongs to one camera and one scene.
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
_FEATURES_SECONDS = 0.15
"""Oldest features that a frame uses, stream time."""

Pixels = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Slot:
    """Holds the scores of a frame, once its batch is scored."""

    scores: Scores | None = None
    """A batch of one."""
    source: "Slot | None" = None
    """Holds the scores of the frame before, whose features this frame uses; None: its own."""


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
        self._before: Slot | None = None
        self._before_seconds = 0.0

    def slot(
        self, newest: Pixels, scene: AdaptedScene, place: tuple[int, float]
    ) -> tuple[Slot, bool]:
        """Take the next frame to be scored.

        Args:
            newest: uint8 (H, W, 3), RGB.
            scene: Scene of the frame.
            place: Its number and its time in the stream, in seconds. Frames of odd numbers use the
                features of the one before, so that a restart changes none but its first frame.

        Returns:
            Slot of its scores, and whether the caller must compute them and put them there.
        """
        slot, is_empty = self._of_unchanged(newest, scene)
        before, self._before = self._before, None
        index, seconds = place
        if is_empty:
            age = seconds - self._before_seconds
            if index % 2 and before is not None and 0.0 < age <= _FEATURES_SECONDS:
                slot.source = before
            else:
                self._before, self._before_seconds = slot, seconds
        return slot, is_empty

    def _of_unchanged(self, newest: Pixels, scene: AdaptedScene) -> tuple[Slot, bool]:
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
