"""Collection of the candidate clips that the support of a scene is chosen from. No model, no clock.

All times are stream time.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.support_clips import SupportClips

Clip = npt.NDArray[np.uint8]

_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole second by less


class CandidateCollector:
    """Takes clips at equal intervals until there are enough."""

    def __init__(
        self,
        settings: AdaptationSettings,
        support: SupportClips | None = None,
        kept: SupportClips | None = None,
    ) -> None:
        """Start without candidates, or with the stored clips of an earlier scene.

        Args:
            settings: Number of candidates, and the time between them.
            support: The candidates; no more are taken then.
            kept: The first candidates; only the rest of the support is taken, without spare ones.
        """
        self.wanted = settings.candidates
        """Number of candidates that complete the collection."""
        self._settings = settings
        self._clips: list[Clip] = []
        self._ages: list[Sequence[float]] = []
        self._seconds: list[float] = []
        self._last_seconds: float | None = None
        self._unusable_since_seconds: float | None = None
        if kept is not None:
            self.wanted = max(settings.frames, len(kept.clips) + 1)
        if (given := support or kept) is not None:
            self._clips, self._seconds = list(given.clips), list(given.seconds)
            self._ages = list(given.ages or ())

    @property
    def count(self) -> int:
        """Number of candidates."""
        return len(self._clips)

    @property
    def complete(self) -> bool:
        """Whether there are as many candidates as wanted."""
        return len(self._clips) == self.wanted

    @property
    def waits_for_usable(self) -> bool:
        """Whether a candidate is due, but no usable frame has arrived."""
        return self._unusable_since_seconds is not None

    @property
    def clips(self) -> npt.NDArray[np.uint8]:
        """The candidates, uint8 (c, T, H, W, 3); wants at least one."""
        return np.stack(self._clips)

    @property
    def ages(self) -> Sequence[Sequence[float]] | None:
        """Age of each frame of a candidate, in seconds before its newest one; None: nominal."""
        return tuple(self._ages) if len(self._ages) == len(self._clips) else None

    @property
    def seconds(self) -> Sequence[float]:
        """Time of each candidate, increasing; the gap at a change of connection is left out."""
        return tuple(self._seconds)

    def connected(self) -> None:
        """Start a new connection: its stream time is unrelated to that of the last one."""
        self._last_seconds = None
        self._unusable_since_seconds = None

    def offer(
        self, pts_seconds: float, clip: Clip, usable: bool, ages: Sequence[float] | None = None
    ) -> None:
        """Take a clip if one is due and the frame is usable, or none was usable for too long.

        Args:
            pts_seconds: Stream time of the clip's newest frame.
            clip: uint8 (T, H, W, 3), of T different frames.
            usable: Whether the view in this frame is usable for a scene.
            ages: Age of each frame of the clip, in seconds before its newest one; None: nominal.
        """
        if not self._is_due(pts_seconds, usable):
            return
        last, step = self._last_seconds, self._settings.candidate_interval_seconds
        if last is not None:
            step = pts_seconds - last
        before = self._seconds[-1] if self._seconds else 0.0
        self._clips.append(clip)
        self._seconds.append(before + step)
        self._last_seconds = pts_seconds
        self._unusable_since_seconds = None
        if ages is not None:
            self._ages.append(ages)

    def release_clips(self) -> None:
        """Release the clips and their ages; the times remain, for a refit."""
        self._clips.clear()
        self._ages.clear()

    def release_times(self) -> None:
        """Release the times of the candidates."""
        self._seconds.clear()

    def _is_due(self, pts_seconds: float, usable: bool) -> bool:
        last, interval = self._last_seconds, self._settings.candidate_interval_seconds
        if last is not None and pts_seconds - last < interval - _ROUNDING_SECONDS:
            return False
        if usable:
            return True
        if self._unusable_since_seconds is None:
            self._unusable_since_seconds = pts_seconds
        return pts_seconds - self._unusable_since_seconds >= self._settings.max_wait_seconds
