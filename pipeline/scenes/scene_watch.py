"""Does a camera still show the scene that it was adapted to? Pure; time is that of the stream.

Two questions are asked of every picture. Has the light of the whole picture just changed, as by a
switch? Then alerts are held for some seconds. And does it show the view that is known: the same
edges in the same places, as sharp as ever? A picture that does not for some time makes the scene
stale, until the view is back or another one is adapted to. What is known of the view follows the
picture slowly, so that shadows may wander and night may fall.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cameras.blindness import Blindness
from cameras.picture_statistics import (
    Floats,
    PictureStatistics,
    median_step,
    out_of_focus,
    view_similarity,
)

Fault = Literal["moved", "covered", "defocused", "light", Blindness]
"""The view is another one; nothing is to be seen; all is there, but not sharp; all is there, but in
a light that the scene does not fit (which light.py finds out); or the camera is blind (which the
ingest worker finds out)."""

REASONS: dict[Fault, str] = {
    "moved": "the view has changed",
    "covered": "nothing is to be seen: covered, or dark at once",
    "defocused": "out of focus",
    "light": "the light is another one",
    "frozen": "the picture is frozen: always the same, bit by bit",
    "black": "the picture is black",
    "constant": "the picture has one colour",
}

_FOLLOW_SECONDS = 300.0
_SETTLE_FOLLOW_SECONDS = 5.0
_BACK_SECONDS = 2.0
_LONGEST_STEP_SECONDS = 1.0  # a longer gap in the stream was not watched
_FROZEN_SECONDS = 3.0
_LIGHT_WINDOW_SECONDS = 1.0
_LONGEST_HOLD_RATIO = 6.0
_LIGHT_LEVELS, _LIGHT_RATIO = 6.0, 0.15
_CHROMA_LEVELS, _CHROMA_RATIO = 4.0, 0.5
_BLANK_CONTRAST = 3.0
SAME_BELOW, SAME_AGAIN = 0.33, 0.5
"""Likeness of two views below which they are two, and from which on they are one again."""
_SEEN_BELOW, _SEEN_AGAIN = 0.25, 0.5
_SHARP_BELOW, _SHARP_AGAIN = 0.5, 0.65
_SAME_BLURRED = 0.25
"""Real scenes that are softer than another one have at most 0.20 in common with it, themselves at a
blur of 6 of 320 pixels at least 0.29, at 9 all but two of 32."""


@dataclass(frozen=True, slots=True)
class SceneWatchSettings:
    """How patient the watch is, in seconds."""

    after_seconds: float = 10.0
    """For how long the view must be wrong before the scene is stale."""
    hold_seconds: float = 5.0
    """For how long alerts are held after a sudden change of the light; 0: not at all."""
    minds_view: bool = True
    """False: any view is the known one."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownView:
    """What is remembered of a view."""

    edges: Floats
    """As `PictureStatistics.edges`, averaged."""
    sharpness: float
    fault: Fault | None = None
    """What was wrong when it was last seen."""


@dataclass(frozen=True, slots=True)
class View:
    """What one picture says about its camera."""

    held: bool = False
    """The light has just changed: nobody is to be alerted."""
    fault: Fault | None = None
    """Why the scene is stale."""
    fit: bool = True
    """May be learnt from: the known view in steady light, neither blank nor frozen."""
    settled: bool = False
    """The view is another one, and has been the same long enough to adapt to it."""
    relit: bool = False
    """The light is another one, and has been for so long that an answer is due."""


STEADY = View()


class SceneWatch:
    """Watches the pictures of one camera."""

    def __init__(self, settings: SceneWatchSettings, known: KnownView | None = None) -> None:
        """Begin with what is known of the view; None: what is seen first."""
        self._settings = settings
        self._light = _IlluminationGate(settings.hold_seconds)
        self._last_seconds: float | None = None
        self._last: PictureStatistics | None = None
        self._frozen_seconds = 0.0
        self._edges: Floats | None
        self._sharpness: float
        self._fault: Fault | None
        self._other: Floats | None
        self._begin(known)

    @property
    def known(self) -> KnownView | None:
        """What to remember of the view; None before the first picture with anything in it."""
        if self._edges is None:
            return None
        return KnownView(self._edges, self._sharpness, self._fault)

    def restart(self, known: KnownView | None = None) -> None:
        """Begin anew with what is known of the view; None: what is seen from now on."""
        self._begin(known)

    def connected(self) -> None:
        """Another connection begins, whose time has nothing to do with the last one's."""
        self._last_seconds = None
        self._light.connected()

    def see(self, pts_seconds: float, picture: PictureStatistics) -> View:
        """Look at the next picture.

        Args:
            pts_seconds: Its time in the stream.
            picture: Statistics of it.
        """
        last = self._last_seconds
        step = 0.0 if last is None else min(max(0.0, pts_seconds - last), _LONGEST_STEP_SECONDS)
        self._last_seconds = pts_seconds
        blank = picture.contrast < _BLANK_CONTRAST
        if self._edges is None and not blank:
            self._edges, self._sharpness = picture.edges, picture.sharpness
        held = self._light.see(pts_seconds, step, picture)
        frozen = self._is_frozen(step, picture)
        wrong = self._wrong(picture)
        self._decide(step, wrong)
        settled = self._fault == "moved" and self._settles(step, picture) and not held
        if wrong is None and self._fault is None and not blank:
            self._follow(step, picture)
        good = wrong is None and self._fault is None
        return View(held, self._fault, good and not (held or blank or frozen), settled)

    def _begin(self, known: KnownView | None) -> None:
        self._edges = None if known is None else known.edges
        self._sharpness = 0.0 if known is None else known.sharpness
        self._fault = None if known is None else known.fault
        self._seen_seconds = 0.0 if known is None else _FOLLOW_SECONDS
        self._wrong_seconds = self._right_seconds = self._settled_seconds = 0.0
        self._other = None

    def _wrong(self, picture: PictureStatistics) -> Fault | None:
        """What is wrong with this picture alone; harder to please while the scene is stale."""
        if self._edges is None or not self._settings.minds_view:
            return None
        if self._seen_seconds < self._settings.after_seconds:
            return None  # it takes as long to know a view as to miss it
        like = view_similarity(self._edges, picture.edges)
        if not like.reliable:
            return None
        stale = self._fault is not None
        if like.visible < (_SEEN_AGAIN if stale else _SEEN_BELOW):
            return "covered"
        least = _SHARP_AGAIN if stale else _SHARP_BELOW
        if picture.sharpness < least * self._sharpness:
            # Another view may be a softer one, but then its edges are elsewhere.
            soft = view_similarity(out_of_focus(self._edges), picture.edges)
            return "defocused" if max(soft.same, like.same) >= _SAME_BLURRED else "moved"
        return "moved" if like.same < (SAME_AGAIN if stale else SAME_BELOW) else None

    def _decide(self, step: float, wrong: Fault | None) -> None:
        if wrong is None:
            self._right_seconds += step
            self._wrong_seconds = max(0.0, self._wrong_seconds - 2 * step)
            if self._right_seconds >= _BACK_SECONDS:
                self._fault = None
            return
        self._right_seconds = 0.0
        self._wrong_seconds += step
        if self._wrong_seconds >= self._settings.after_seconds:
            self._wrong_seconds = self._settings.after_seconds
            if wrong != self._fault:
                self._other, self._settled_seconds = None, 0.0
            self._fault = wrong

    def _settles(self, step: float, picture: PictureStatistics) -> bool:
        """Whether the other view has stayed what it is; asked only while it is another one."""
        if (
            self._other is None
            or not view_similarity(self._other, picture.edges).same >= SAME_AGAIN
        ):
            self._other, self._settled_seconds = picture.edges, 0.0
        part = min(1.0, step / _SETTLE_FOLLOW_SECONDS)
        self._other = self._other + np.float32(part) * (picture.edges - self._other)
        self._settled_seconds += step
        return self._settled_seconds >= self._settings.after_seconds

    def _follow(self, step: float, picture: PictureStatistics) -> None:
        """At first the mean of all that was seen, then a slow average."""
        self._seen_seconds = min(self._seen_seconds + step, _FOLLOW_SECONDS)
        part = min(1.0, step / max(self._seen_seconds, step, 1e-9))
        assert self._edges is not None  # a picture that is not blank was seen
        self._edges = self._edges + np.float32(part) * (picture.edges - self._edges)
        self._sharpness += part * (picture.sharpness - self._sharpness)

    def _is_frozen(self, step: float, picture: PictureStatistics) -> bool:
        last, self._last = self._last, picture
        same = last is not None and np.array_equal(last.edges, picture.edges)
        self._frozen_seconds = self._frozen_seconds + step if same else 0.0
        return self._frozen_seconds >= _FROZEN_SECONDS


class _IlluminationGate:
    """Is open while the light of the whole picture does not jump.

    A light that never rests cannot close it for good: after six times its time it opens, and stays
    open until the light has rested.
    """

    def __init__(self, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._past: deque[tuple[float, PictureStatistics]] = deque()
        self._rest_seconds = hold_seconds
        self._held_seconds = 0.0

    def connected(self) -> None:
        self._past.clear()

    def see(self, pts_seconds: float, step: float, picture: PictureStatistics) -> bool:
        """Whether alerts are to be held."""
        self._past.append((pts_seconds, picture))
        while len(self._past) > 1 and self._past[1][0] <= pts_seconds - _LIGHT_WINDOW_SECONDS:
            self._past.popleft()
        if _jumps(self._past[0][1], picture):
            self._rest_seconds = 0.0
        else:
            self._rest_seconds += step
        if self._rest_seconds >= self._hold_seconds:
            self._held_seconds = 0.0
            return False
        self._held_seconds += step
        return self._held_seconds < _LONGEST_HOLD_RATIO * self._hold_seconds


def _jumps(before: PictureStatistics, now: PictureStatistics) -> bool:
    luma, chroma = float(np.median(before.luma)), float(np.median(before.chroma))
    light = abs(median_step(before.luma, now.luma))
    colour = abs(median_step(before.chroma, now.chroma))
    return light > max(_LIGHT_LEVELS, _LIGHT_RATIO * luma) or colour > max(
        _CHROMA_LEVELS, _CHROMA_RATIO * chroma
    )
