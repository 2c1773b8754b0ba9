"""In which light is a scene seen, and has it become another one that stays? Pure.

Illumination is how bright and how colourful each area of the picture is, as a median over seconds:
what passes leaves no trace. Two lights are compared area by area, and the median of that is taken
again: what covers less than half of the picture changes nothing. Time is that of the stream.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cameras.picture_statistics import AREAS_HW, Floats, PictureStatistics
from pipeline.scenes.candidate_evaluation import fits
from pipeline.scenes.scene_watch import View

_LUMA_LEVELS, _LUMA_RATIO = 10.0, 0.25
_CHROMA_LEVELS, _CHROMA_RATIO = 4.0, 0.5
"""Differences that make two lights different, in grey levels and as part of the larger one. Made
streets at 0.8 of their light score as ever, at half of it false alarms begin (experiments.md)."""
_OTHER, _AGAIN = 1.0, 0.7
"""Distance from which a light is another one, and below which it is the same again."""
_GAUGE_SECONDS = 5.0
_GAUGE_PICTURES = 10
_LEAST_PICTURES = 3
_LONGEST_STEP_SECONDS = 1.0  # a longer gap in the stream was not watched
_STAY_RATIO = 3.0
"""Least time between two answers to a change of light, as a multiple of the time it must last."""


@dataclass(frozen=True, slots=True, eq=False)
class Illumination:
    """How bright and how colourful a scene is."""

    luma: Floats
    """As `PictureStatistics.luma`, the median over some pictures."""
    chroma: Floats
    """As `PictureStatistics.chroma`, the same."""

    @property
    def levels(self) -> tuple[float, float]:
        """Typical luma and chroma of the areas, 0..255."""
        return float(np.median(self.luma)), float(np.median(self.chroma))

    def __str__(self) -> str:
        luma, chroma = self.levels
        return f"luma {luma:.0f}, chroma {chroma:.0f}"


def light_of(pictures: Sequence[PictureStatistics]) -> Illumination:
    """The light in which at least one picture was taken."""
    return Illumination(
        np.median([one.luma for one in pictures], axis=0).astype(np.float32),
        np.median([one.chroma for one in pictures], axis=0).astype(np.float32),
    )


def distance(one: Illumination, other: Illumination) -> float:
    """How far apart two lights are, >= 0 and the same both ways; from 1 on they are different."""

    def part(a: Floats, b: Floats, levels: float, ratio: float) -> float:
        larger = max(float(np.median(a)), float(np.median(b)))
        return float(np.median(np.abs(a - b))) / max(levels, ratio * larger)

    return max(
        part(one.luma, other.luma, _LUMA_LEVELS, _LUMA_RATIO),
        part(one.chroma, other.chroma, _CHROMA_LEVELS, _CHROMA_RATIO),
    )


def is_other(one: Illumination, other: Illumination) -> bool:
    """Whether two lights are different."""
    return distance(one, other) >= _OTHER


def light_to_json(light: Illumination) -> dict[str, object]:
    """Plain data, to a tenth of a grey level."""
    return {
        name: np.round(values.astype(np.float64), 1).tolist()
        for name, values in (("luma", light.luma), ("chroma", light.chroma))
    }


def light_from_json(data: Mapping[str, Any]) -> Illumination:
    """Read what `light_to_json` made.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    maps = [np.array(data[name], dtype=np.float32) for name in ("luma", "chroma")]
    for values in maps:
        if values.shape != AREAS_HW or not np.isfinite(values).all():
            raise ValueError(f"light: want {AREAS_HW} finite numbers, got {values.shape}")
    return Illumination(*maps)


@dataclass(frozen=True, slots=True)
class IlluminationSettings:
    """How patient the watch is."""

    after_seconds: float = 20.0
    """For how long the light must be another one before it counts."""
    minds: bool = True
    """False: any light is the scene's own."""

    @property
    def stay_seconds(self) -> float:
        """Least time between two answers: however the light dances, scenes do not."""
        return _STAY_RATIO * self.after_seconds


class IlluminationMonitor:
    """Watches the light of one camera beside that of its scene.

    An answer to `View.relit` is `restart`, with whatever scene in its light, or `refuse`. Before
    it, alerts are held unless the scene is seen to be at home all the same, for a stay and a change
    at most: a light that never rests cannot silence a camera.
    """

    def __init__(self, settings: IlluminationSettings, own: Illumination | None = None) -> None:
        """Begin.

        Args:
            settings: How patient to be.
            own: The light of the scene; None: there is no scene, or its light is not known.
        """
        self._settings = settings
        self._gauge_seconds = min(_GAUGE_SECONDS, settings.after_seconds)
        self._past: deque[tuple[float, PictureStatistics]] = deque()
        self._present: Illumination | None = None
        self._last_seconds: float | None = None
        self._own = own
        self._other = self._refused = self._jumping = False
        self._scores: deque[tuple[float, float]] = deque()
        self._other_seconds = self._held_seconds = self._rest_seconds = 0.0
        self._stayed_seconds = math.inf

    @property
    def own(self) -> Illumination | None:
        """The light of the scene; None: it is not known."""
        return self._own

    @property
    def present(self) -> Illumination | None:
        """The light now; None until it has been looked at for some seconds without a jump."""
        if not self._past or self._past[-1][0] - self._past[0][0] < self._gauge_seconds / 2:
            return None
        return self._present

    def restart(self, own: Illumination | None) -> None:
        """Go on with another scene, or with the same one in another light.

        Args:
            own: Its light; None: it is not known yet.
        """
        self.settle(own)
        self._other = self._refused = False
        self._other_seconds = self._stayed_seconds = 0.0
        self._scores.clear()

    def settle(self, own: Illumination | None) -> None:
        """Learn in which light the scene was made."""
        self._own = own

    def refuse(self) -> None:
        """Nobody is to be alerted until the light of the scene is back."""
        self._refused = True

    def connected(self) -> None:
        """Another connection begins, whose time has nothing to do with the last one's."""
        self._last_seconds = None
        self._past.clear()
        self._scores.clear()

    def note(self, pts_seconds: float, score: float) -> None:
        """Learn how the scene takes a frame that was seen: its score, smoothed or not."""
        self._scores.append((pts_seconds, score))
        while pts_seconds - self._scores[0][0] > self._gauge_seconds:
            self._scores.popleft()

    def see(self, pts_seconds: float, picture: PictureStatistics, view: View) -> View:
        """Look at the next picture.

        Args:
            pts_seconds: Its time in the stream.
            picture: Statistics of it.
            view: What it says otherwise; of another view nothing follows for the light.

        Returns:
            The same, and what the light adds: hold alerts, learn nothing, an answer is due.
        """
        last, self._last_seconds = self._last_seconds, pts_seconds
        step = 0.0 if last is None else min(max(0.0, pts_seconds - last), _LONGEST_STEP_SECONDS)
        if view.held and not self._jumping:
            # What was before it says nothing of the light now.
            self._past.clear()
            self._scores.clear()
        self._jumping = view.held
        present = self._gauge(pts_seconds, picture)
        self._stayed_seconds += step
        if self._own is None or not self._settings.minds or view.fault is not None:
            return view
        far = distance(self._own, present)
        self._other = far >= (_AGAIN if self._other else _OTHER)
        self._refused = self._refused and self._other
        held = self._count(step)
        if not self._other:
            return view
        after, stay = self._settings.after_seconds, self._settings.stay_seconds
        lasted = self._other_seconds >= after and self._stayed_seconds >= stay
        return replace(
            view,
            held=view.held or held,
            fault="light" if self._refused else None,
            fit=False,
            relit=lasted and view.fit and not self._refused and self.present is not None,
        )

    def _count(self, step: float) -> bool:
        """Count the time in another light; whether alerts are held."""
        after = self._settings.after_seconds
        if not self._other:
            self._other_seconds = max(0.0, self._other_seconds - 2 * step)
            # A jump holds alerts too: of a light that jumps nobody had any rest.
            self._rest_seconds = 0.0 if self._jumping else self._rest_seconds + step
            if self._rest_seconds >= after:
                self._held_seconds = 0.0
            return False
        self._other_seconds = min(self._other_seconds + step, after)
        self._rest_seconds = 0.0
        if self._at_home or self._held_seconds >= self._settings.stay_seconds + after:
            return False
        self._held_seconds += step
        return True

    @property
    def _at_home(self) -> bool:
        """Whether the scene is known to take what is seen as its own normal."""
        scores = self._scores
        if not scores or scores[-1][0] - scores[0][0] < self._gauge_seconds / 2:
            return False
        return fits(float(np.median([score for _, score in scores])))

    def _gauge(self, pts_seconds: float, picture: PictureStatistics) -> Illumination:
        past, spacing = self._past, self._gauge_seconds / _GAUGE_PICTURES
        if self._present is None or not past or pts_seconds - past[-1][0] >= spacing:
            past.append((pts_seconds, picture))
            while len(past) > _LEAST_PICTURES and pts_seconds - past[0][0] > self._gauge_seconds:
                past.popleft()
            self._present = light_of([one for _, one in past])
        return self._present
