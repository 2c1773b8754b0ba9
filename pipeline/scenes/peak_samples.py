"""Which moments are kept while something stands out: the highest of each short while. Pure."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Kept = TypeVar("Kept")

_WINDOW_SECONDS = 0.3
_GROWTH = 8.0
"""Each window is at least this part of the run before it: what stays for an hour gives some sixty
moments, what passes through the picture in five seconds twelve."""


class PeakSamples(Generic[Kept]):
    """One camera's moments; a run goes on while every frame stands out. Time is of the stream."""

    def __init__(self) -> None:
        self._begin_seconds: float | None = None
        self._window_seconds = 0.0
        self._highest = 0.0
        self._best: Kept | None = None

    def see(
        self, pts_seconds: float, energy: float, stands_out: bool, keep: Callable[[], Kept]
    ) -> Sequence[Kept]:
        """Look at a frame.

        Args:
            pts_seconds: Its time in the stream.
            energy: How high it is.
            stands_out: Whether it is anything to keep.
            keep: Makes what is kept of it; called only where it is the highest so far.

        Returns:
            What is to be kept for good: the best of a window that is over.
        """
        if not stands_out:
            return self.close()
        whole: Sequence[Kept] = ()
        if self._begin_seconds is None:
            self._begin_seconds = self._window_seconds = pts_seconds
        run = self._window_seconds - self._begin_seconds
        if pts_seconds - self._window_seconds >= max(_WINDOW_SECONDS, run / _GROWTH):
            whole = self.take()
            self._window_seconds = pts_seconds
        if self._best is None or energy > self._highest:
            self._highest, self._best = energy, keep()
        return whole

    def take(self) -> Sequence[Kept]:
        """The best of the window so far; the run goes on without it."""
        best, self._best = self._best, None
        return () if best is None else (best,)

    def close(self) -> Sequence[Kept]:
        """The run is over, as with its connection."""
        self._begin_seconds = None
        return self.take()
