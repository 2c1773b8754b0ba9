"""Selects the frames of high scores whose gradient heatmap is computed. Pure."""

import math


class GradientFrames:
    """Selects the frames that the sink may store as the picture of an event.

    A gradient costs a few times as much as a score, and the sink stores the frame of the peak, or
    the first one that has a picture of the size of the source.
    """

    def __init__(self) -> None:
        self._highest = -math.inf
        self._has_picture = False

    def take(self, score: float | None, has_picture: bool, low: float) -> bool:
        """Take the score of the next frame.

        Args:
            score: None: the frame has none.
            has_picture: Whether it has a picture of the size of the source.
            low: Below it nothing is selected, and the next high score begins another run.

        Returns:
            Whether the heatmap of the frame is needed: its score is the highest of the run, or it
            is the first one with a picture.
        """
        if score is None or score < low:
            self._highest, self._has_picture = -math.inf, False
            return False
        wanted = score > self._highest or (has_picture and not self._has_picture)
        self._highest = max(self._highest, score)
        self._has_picture |= has_picture
        return wanted
