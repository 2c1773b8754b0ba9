"""Check that a camera still shows the scene that it was adapted to. Pure; stream time.

Two checks are made for every frame. A sudden change of light of the whole picture, as by a switch,
suppresses alerts for some seconds. A view that is not the known one (the same edges in the same
places, as sharp as before) for some time makes the scene stale, until the view is back or a new
scene is adapted. The known view follows the frames slowly, so that moving shadows and nightfall are
no change of view.
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
"""Moved: another view; covered: nothing visible; defocused: the known view, but not sharp; light:
the known view in an illumination that the scene does not match (set by illumination.py); or the
camera is blind (set by the ingest worker)."""

REASONS: dict[Fault, str] = {
    "moved": "the view has changed",
    "covered": "nothing is visible: covered, or suddenly dark",
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
"""Similarity of two views below which they differ, and from which on they are the same again."""
_SEEN_BELOW, _SEEN_AGAIN = 0.25, 0.5
_SHARP_BELOW, _SHARP_AGAIN = 0.5, 0.65
_SAME_BLURRED = 0.25
"""Real scenes that are softer than another one have at most 0.20 in common with it, themselves at a
blur of 6 of 320 pixels at least 0.29, at 9 all but two of 32."""


@dataclass(frozen=True, slots=True)
class SceneWatchSettings:
    """When changes count, in seconds."""

    after_seconds: float = 10.0
    """How long the view must be wrong before the scene is stale."""
    hold_seconds: float = 5.0
    """How long alerts are suppressed after a sudden change of light; 0: not at all."""
    check_view: bool = True
    """False: every view counts as the known one."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownView:
    """The stored description of a view."""

    edges: Floats
    """As `PictureStatistics.edges`, averaged."""
    sharpness: float
    fault: Fault | None = None
    """The fault when it was stored."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """State of the view in one frame."""

    suppressed: bool = False
    """The light has just changed: no alerts."""
    fault: Fault | None = None
    """Why the scene is stale."""
    usable: bool = True
    """May update models: the known view in steady light, neither blank nor frozen."""
    settled: bool = False
    """The view is another one, and has been stable long enough to adapt to it."""
    illumination_changed: bool = False
    """The illumination has been another one long enough; the caller must answer."""


STEADY = ViewState()


class SceneWatch:
    """Checks the view of one camera, frame by frame."""

    def __init__(self, settings: SceneWatchSettings, known: KnownView | None = None) -> None:
        """Start with a known view; None: the first frame defines it."""
        self._settings = settings
        self._light = _JumpGate(settings.hold_seconds)
        self._last_seconds: float | None = None
        self._last: PictureStatistics | None = None
        self._frozen_seconds = 0.0
        self._edges: Floats | None
        self._sharpness: float
        self._fault: Fault | None
        self._other: Floats | None
        self._start(known)

    @property
    def known(self) -> KnownView | None:
        """The known view, to be stored; None before the first frame that is not blank."""
        if self._edges is None:
            return None
        return KnownView(self._edges, self._sharpness, self._fault)

    def restart(self, known: KnownView | None = None) -> None:
        """Restart with a known view; None: the next frames define it."""
        self._start(known)

    def connected(self) -> None:
        """Start a new connection: its stream time is unrelated to that of the last one."""
        self._last_seconds = None
        self._light.connected()

    def update(self, pts_seconds: float, picture: PictureStatistics) -> ViewState:
        """Process the next frame.

        Args:
            pts_seconds: Its time in the stream.
            picture: Its statistics.
        """
        last = self._last_seconds
        step = 0.0 if last is None else min(max(0.0, pts_seconds - last), _LONGEST_STEP_SECONDS)
        self._last_seconds = pts_seconds
        blank = picture.contrast < _BLANK_CONTRAST
        if self._edges is None and not blank:
            self._edges, self._sharpness = picture.edges, picture.sharpness
        suppressed = self._light.update(pts_seconds, step, picture)
        frozen = self._is_frozen(step, picture)
        wrong = self._wrong(picture)
        self._decide(step, wrong)
        settled = self._fault == "moved" and self._settles(step, picture) and not suppressed
        if wrong is None and self._fault is None and not blank:
            self._follow(step, picture)
        good = wrong is None and self._fault is None
        return ViewState(
            suppressed, self._fault, good and not (suppressed or blank or frozen), settled
        )

    def _start(self, known: KnownView | None) -> None:
        self._edges = None if known is None else known.edges
        self._sharpness = 0.0 if known is None else known.sharpness
        self._fault = None if known is None else known.fault
        self._observed_seconds = 0.0 if known is None else _FOLLOW_SECONDS
        self._wrong_seconds = self._right_seconds = self._settled_seconds = 0.0
        self._other = None

    def _wrong(self, picture: PictureStatistics) -> Fault | None:
        """The fault of this frame alone; the thresholds are stricter while the scene is stale."""
        if self._edges is None or not self._settings.check_view:
            return None
        if self._observed_seconds < self._settings.after_seconds:
            return None  # a view is known only after the time that a fault takes to count
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
        """Whether the other view is stable; called only while the view is another one."""
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
        """Update the known view: first the mean of all frames, then a slow moving average."""
        self._observed_seconds = min(self._observed_seconds + step, _FOLLOW_SECONDS)
        part = min(1.0, step / max(self._observed_seconds, step, 1e-9))
        assert self._edges is not None  # a frame that is not blank has set it
        self._edges = self._edges + np.float32(part) * (picture.edges - self._edges)
        self._sharpness += part * (picture.sharpness - self._sharpness)

    def _is_frozen(self, step: float, picture: PictureStatistics) -> bool:
        last, self._last = self._last, picture
        same = last is not None and np.array_equal(last.edges, picture.edges)
        self._frozen_seconds = self._frozen_seconds + step if same else 0.0
        return self._frozen_seconds >= _FROZEN_SECONDS


class _JumpGate:
    """Suppresses alerts after a jump of the light of the whole picture.

    Light that keeps jumping cannot suppress them for good: after six times the hold time they are
    admitted, until the light has been steady for that time.
    """

    def __init__(self, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._past: deque[tuple[float, PictureStatistics]] = deque()
        self._rest_seconds = hold_seconds
        self._suppressed_seconds = 0.0

    def connected(self) -> None:
        self._past.clear()

    def update(self, pts_seconds: float, step: float, picture: PictureStatistics) -> bool:
        """Whether alerts are to be suppressed."""
        self._past.append((pts_seconds, picture))
        while len(self._past) > 1 and self._past[1][0] <= pts_seconds - _LIGHT_WINDOW_SECONDS:
            self._past.popleft()
        if _jumps(self._past[0][1], picture):
            self._rest_seconds = 0.0
        else:
            self._rest_seconds += step
        if self._rest_seconds >= self._hold_seconds:
            self._suppressed_seconds = 0.0
            return False
        self._suppressed_seconds += step
        return self._suppressed_seconds < _LONGEST_HOLD_RATIO * self._hold_seconds


def _jumps(before: PictureStatistics, now: PictureStatistics) -> bool:
    luma, chroma = float(np.median(before.luma)), float(np.median(before.chroma))
    light = abs(median_step(before.luma, now.luma))
    colour = abs(median_step(before.chroma, now.chroma))
    return light > max(_LIGHT_LEVELS, _LIGHT_RATIO * luma) or colour > max(
        _CHROMA_LEVELS, _CHROMA_RATIO * chroma
    )
