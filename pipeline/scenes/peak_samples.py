"""Select the samples to store while scores are high: the peak of each short window. Pure."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Sample = TypeVar("Sample")

_WINDOW_SECONDS = 0.3
_GROWTH = 8.0
"""Each window is at least this part of the run before it: an hour gives some sixty samples, five
seconds give twelve."""


class PeakSamples(Generic[Sample]):
    """Peak samples of one camera; a run lasts while every frame stands out. Stream time."""

    def __init__(self) -> None:
        self._begin_seconds: float | None = None
        self._window_seconds = 0.0
        self._highest = 0.0
        self._best: Sample | None = None

    def update(
        self, pts_seconds: float, energy: float, stands_out: bool, make_sample: Callable[[], Sample]
    ) -> Sequence[Sample]:
        """Process a frame.

        Args:
            pts_seconds: Its time in the stream.
            energy: Of the frame.
            stands_out: Whether it is high enough to be stored.
            make_sample: Builds the sample; called only if the energy is the highest so far.

        Returns:
            The samples to store: the peak of a window that is over.
        """
        if not stands_out:
            return self.close()
        finished: Sequence[Sample] = ()
        if self._begin_seconds is None:
            self._begin_seconds = self._window_seconds = pts_seconds
        run = self._window_seconds - self._begin_seconds
        if pts_seconds - self._window_seconds >= max(_WINDOW_SECONDS, run / _GROWTH):
            finished = self.take()
            self._window_seconds = pts_seconds
        if self._best is None or energy > self._highest:
            self._highest, self._best = energy, make_sample()
        return finished

    def take(self) -> Sequence[Sample]:
        """Take the peak of the window so far; the run continues without it."""
        best, self._best = self._best, None
        return () if best is None else (best,)

    def close(self) -> Sequence[Sample]:
        """End the run, also at the end of its connection; take the last peak."""
        self._begin_seconds = None
        return self.take()
