"""Monitor the illumination of a scene for lasting changes. Pure functions and a state machine.

The illumination is the brightness and colourfulness of each area of the picture, as a median over
seconds, so that passing objects leave no trace. Two illuminations are compared area by area, and
the median of the differences counts, so that what covers less than half of the picture changes
nothing. All times are stream time.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cameras.picture_statistics import AREAS_HW, Floats, PictureStatistics
from pipeline.scenes.candidate_evaluation import matches
from pipeline.scenes.scene_watch import ViewState

_LUMA_LEVELS, _LUMA_RATIO = 10.0, 0.25
_CHROMA_LEVELS, _CHROMA_RATIO = 4.0, 0.5
"""Least differences of two illuminations, in grey levels and relative to the larger one. Scores of
synthetic streets do not change at 0.8 of their light; at half of it false alarms begin
(docs/experiments/illumination.md)."""
_OTHER, _AGAIN = 1.0, 0.7
"""Distance from which an illumination is different, and below which it is the same again."""
_GAUGE_SECONDS = 5.0
_GAUGE_PICTURES = 10
_LEAST_PICTURES = 3
_LONGEST_STEP_SECONDS = 1.0  # a longer gap in the stream was not watched
_STAY_RATIO = 3.0
"""Least time between two changes of scene, as a multiple of the time that a change must last."""


@dataclass(frozen=True, slots=True, eq=False)
class Illumination:
    """Brightness and colourfulness of a scene."""

    luma: Floats
    """As `PictureStatistics.luma`, the median over some frames."""
    chroma: Floats
    """As `PictureStatistics.chroma`, the median over the same frames."""

    @property
    def levels(self) -> tuple[float, float]:
        """Typical luma and chroma of the areas, 0..255."""
        return float(np.median(self.luma)), float(np.median(self.chroma))

    def __str__(self) -> str:
        luma, chroma = self.levels
        return f"luma {luma:.0f}, chroma {chroma:.0f}"


def light_of(pictures: Sequence[PictureStatistics]) -> Illumination:
    """The illumination of at least one frame."""
    return Illumination(
        np.median([one.luma for one in pictures], axis=0).astype(np.float32),
        np.median([one.chroma for one in pictures], axis=0).astype(np.float32),
    )


def distance(one: Illumination, other: Illumination) -> float:
    """Distance of two illuminations, >= 0 and symmetric; from 1 on they are different."""

    def part(a: Floats, b: Floats, levels: float, ratio: float) -> float:
        larger = max(float(np.median(a)), float(np.median(b)))
        return float(np.median(np.abs(a - b))) / max(levels, ratio * larger)

    return max(
        part(one.luma, other.luma, _LUMA_LEVELS, _LUMA_RATIO),
        part(one.chroma, other.chroma, _CHROMA_LEVELS, _CHROMA_RATIO),
    )


def is_other(one: Illumination, other: Illumination) -> bool:
    """Whether two illuminations are different."""
    return distance(one, other) >= _OTHER


def light_to_json(light: Illumination) -> dict[str, object]:
    """Plain data, to a tenth of a grey level."""
    return {
        name: np.round(values.astype(np.float64), 1).tolist()
        for name, values in (("luma", light.luma), ("chroma", light.chroma))
    }


def light_from_json(data: Mapping[str, Any]) -> Illumination:
    """Read the output of `light_to_json`.

    Raises:
        KeyError, TypeError, ValueError: the data is something else.
    """
    maps = [np.array(data[name], dtype=np.float32) for name in ("luma", "chroma")]
    for values in maps:
        if values.shape != AREAS_HW or not np.isfinite(values).all():
            raise ValueError(f"light: want {AREAS_HW} finite numbers, got {values.shape}")
    return Illumination(*maps)


@dataclass(frozen=True, slots=True)
class IlluminationSettings:
    """When a change of illumination counts."""

    after_seconds: float = 20.0
    """How long the illumination must be different before it counts."""
    enabled: bool = True
    """False: every illumination counts as that of the scene."""

    @property
    def stay_seconds(self) -> float:
        """Least time between two changes of scene, also in light that keeps changing."""
        return _STAY_RATIO * self.after_seconds


class IlluminationMonitor:
    """Compares the illumination of one camera with that of its scene.

    The caller answers `ViewState.illumination_changed` by `restart`, with a scene and its
    illumination, or by `refuse`. Until then alerts are suppressed unless the scene still matches,
    for `stay_seconds + after_seconds` at most: light that keeps changing cannot silence a camera.
    """

    def __init__(self, settings: IlluminationSettings, own: Illumination | None = None) -> None:
        """Start monitoring.

        Args:
            settings: When a change counts.
            own: The illumination of the scene; None: there is no scene, or it is not known.
        """
        self._settings = settings
        self._gauge_seconds = min(_GAUGE_SECONDS, settings.after_seconds)
        self._past: deque[tuple[float, PictureStatistics]] = deque()
        self._present: Illumination | None = None
        self._last_seconds: float | None = None
        self._own = own
        self._other = self._refused = self._jumping = False
        self._scores: deque[tuple[float, float]] = deque()
        self._other_seconds = self._suppressed_seconds = self._rest_seconds = 0.0
        self._stayed_seconds = math.inf

    @property
    def own(self) -> Illumination | None:
        """The illumination of the scene; None: it is not known."""
        return self._own

    @property
    def present(self) -> Illumination | None:
        """The present illumination; None until some seconds have passed without a jump."""
        if not self._past or self._past[-1][0] - self._past[0][0] < self._gauge_seconds / 2:
            return None
        return self._present

    def restart(self, own: Illumination | None) -> None:
        """Continue with another scene, or with the same one in another illumination.

        Args:
            own: Its illumination; None: it is not known yet.
        """
        self.set_illumination(own)
        self._other = self._refused = False
        self._other_seconds = self._stayed_seconds = 0.0
        self._scores.clear()

    def set_illumination(self, own: Illumination | None) -> None:
        """Set the illumination in which the scene was built."""
        self._own = own

    def refuse(self) -> None:
        """Suppress alerts until the illumination of the scene is back."""
        self._refused = True

    def connected(self) -> None:
        """Start a new connection: its stream time is unrelated to that of the last one."""
        self._last_seconds = None
        self._past.clear()
        self._scores.clear()

    def add_score(self, pts_seconds: float, score: float) -> None:
        """Add the score of a frame in the scene, smoothed or not."""
        self._scores.append((pts_seconds, score))
        while pts_seconds - self._scores[0][0] > self._gauge_seconds:
            self._scores.popleft()

    def update(self, pts_seconds: float, picture: PictureStatistics, view: ViewState) -> ViewState:
        """Process the next frame.

        Args:
            pts_seconds: Its time in the stream.
            picture: Its statistics.
            view: State of the view; in another view the illumination is not compared.

        Returns:
            The same state, with what the illumination adds: suppress alerts, do not update models,
            `illumination_changed`.
        """
        last, self._last_seconds = self._last_seconds, pts_seconds
        step = 0.0 if last is None else min(max(0.0, pts_seconds - last), _LONGEST_STEP_SECONDS)
        if view.suppressed and not self._jumping:
            # Frames before the jump say nothing about the illumination after it.
            self._past.clear()
            self._scores.clear()
        self._jumping = view.suppressed
        present = self._gauge(pts_seconds, picture)
        self._stayed_seconds += step
        if self._own is None or not self._settings.enabled or view.fault is not None:
            return view
        far = distance(self._own, present)
        self._other = far >= (_AGAIN if self._other else _OTHER)
        self._refused = self._refused and self._other
        suppressed = self._count(step)
        if not self._other:
            return view
        after, stay = self._settings.after_seconds, self._settings.stay_seconds
        lasted = self._other_seconds >= after and self._stayed_seconds >= stay
        return replace(
            view,
            suppressed=view.suppressed or suppressed,
            fault="light" if self._refused else None,
            usable=False,
            illumination_changed=lasted
            and view.usable
            and not self._refused
            and self.present is not None,
        )

    def _count(self, step: float) -> bool:
        """Count the time in another illumination; whether alerts are suppressed."""
        after = self._settings.after_seconds
        if not self._other:
            self._other_seconds = max(0.0, self._other_seconds - 2 * step)
            # Alerts are suppressed during a jump too: it does not count as steady light.
            self._rest_seconds = 0.0 if self._jumping else self._rest_seconds + step
            if self._rest_seconds >= after:
                self._suppressed_seconds = 0.0
            return False
        self._other_seconds = min(self._other_seconds + step, after)
        self._rest_seconds = 0.0
        if self._matches_scene or self._suppressed_seconds >= self._settings.stay_seconds + after:
            return False
        self._suppressed_seconds += step
        return True

    @property
    def _matches_scene(self) -> bool:
        """Whether recent scores show that the scene matches."""
        scores = self._scores
        if not scores or scores[-1][0] - scores[0][0] < self._gauge_seconds / 2:
            return False
        return matches(float(np.median([score for _, score in scores])))

    def _gauge(self, pts_seconds: float, picture: PictureStatistics) -> Illumination:
        past, spacing = self._past, self._gauge_seconds / _GAUGE_PICTURES
        if self._present is None or not past or pts_seconds - past[-1][0] >= spacing:
            past.append((pts_seconds, picture))
            while len(past) > _LEAST_PICTURES and pts_seconds - past[0][0] > self._gauge_seconds:
                past.popleft()
            self._present = light_of([one for _, one in past])
        return self._present
