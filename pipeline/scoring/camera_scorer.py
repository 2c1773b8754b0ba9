"""One camera inside the scoring worker: its frames in hand, its recent past, its scene. Pure."""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cameras.blindness import Blindness
from cameras.picture_statistics import measure
from models.stillness import StillWatch
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.illumination import Illumination, IlluminationMonitor
from pipeline.scenes.scene_watch import STEADY, KnownView, SceneWatch, View
from pipeline.scoring.clips import ClipBuffer
from pipeline.transport.messages import FrameMessage

USUAL_SECONDS = 10.0
"""Stream time without an unusual frame after which the next scene may learn again."""


BLIND: dict[str, Blindness] = {"frozen": "frozen", "black": "black", "constant": "constant"}
"""Reasons of a frame, as faults of a view."""


class UnusableFrameError(ValueError):
    """A frame that cannot be scored; the others of its camera still can."""

    def __init__(self, frame: FrameMessage, reason: str) -> None:
        super().__init__(f"camera {frame.camera}, frame {frame.index}: {reason}")
        self.frame = frame


@dataclass(frozen=True, slots=True, eq=False)
class ReadyFrame:
    """A frame whose turn has come."""

    frame: FrameMessage
    clip: npt.NDArray[np.uint8]
    """uint8 (T, H, W, 3), the clip that ends at the frame."""
    ages: tuple[float, ...]
    """By how many seconds each of its frames is older than it."""
    waiting: ScoredFrame | None
    """The frame's judgement where there is no energy to be had; None: it wants one."""
    view: View
    """What the frame says about its camera."""
    full: bool
    """Whether the clip is made of as many moments as it has frames."""


class CameraScorer:
    """Takes the frames of one camera in order, each once, and makes their clips."""

    def __init__(
        self,
        buffer: ClipBuffer,
        adaptation: Adaptation,
        watch: SceneWatch | None = None,
        light: IlluminationMonitor | None = None,
    ) -> None:
        self._buffer = buffer
        self.adaptation = adaptation
        self.watch = watch
        self.light = light
        self.stillness = StillWatch(buffer.length)
        self.cuts = 0
        """Seams in the pictures so far, within connections."""
        self._unusual_seconds: float | None = None
        self._newest: tuple[int, int] | None = None
        self._connection: int | None = None
        self._in_hand: set[tuple[int, int]] = set()
        self._queue: deque[FrameMessage] = deque()

    @property
    def depth(self) -> int:
        """Frames whose turn has not come."""
        return len(self._queue)

    @property
    def ready(self) -> bool:
        """Whether a frame can be served; while the scene is made, all wait for it."""
        return bool(self._queue) and self.adaptation.state != "fitting"

    def adapt_anew(self, reason: str) -> None:
        """Begin another scene from what is seen from now on.

        Args:
            reason: Why, for people.
        """
        self.go_on(Adaptation(self.adaptation.settings, reason=reason), None)

    def go_on(
        self, adaptation: Adaptation, known: KnownView | None, light: Illumination | None = None
    ) -> None:
        """Go on with another scene, and with what is known of its view and its light."""
        self.adopt(adaptation)
        if self.watch is not None:
            self.watch.restart(known)
        if self.light is not None:
            self.light.restart(light)

    def abandon(self) -> None:
        """Nobody waits any more for a scene that is being made for it."""
        self.adaptation.abandoned = True

    def adopt(self, adaptation: Adaptation) -> None:
        """Go on with another scene, in the same view and light."""
        self.abandon()
        self.adaptation = adaptation

    def collect_anew(self, failed: Adaptation) -> None:
        """The support of the scene could not be used."""
        if failed is self.adaptation:
            self.adaptation = Adaptation(failed.settings, reason=failed.reason)

    def note(self, pts_seconds: float, judgement: ScoredFrame, exit_score: float) -> None:
        """Remember whether a frame was usual: what follows one that was not is not learnt from.

        Args:
            pts_seconds: Its time in the stream.
            judgement: What it meant.
            exit_score: From this score on it is unusual.
        """
        if self.light is not None and judgement.score is not None:
            self.light.note(pts_seconds, judgement.score)
        judged = judgement.state in ("calibrating", "ready") and judgement.score is not None
        if not judged or (judgement.score or 0.0) >= exit_score:
            self._unusual_seconds = pts_seconds

    def take(self, frame: FrameMessage) -> bool:
        """Take a frame, unless it came before.

        An ingest worker that had no answer sends again what it has; so does its successor.

        Returns:
            True where the frame came before and is done: the answer was lost, and is to be given
            again.
        """
        key = frame.connection, frame.index
        if self._newest is not None and key <= self._newest:
            return not frame.context and key not in self._in_hand
        self._newest = key
        self._queue.append(frame)
        if not frame.context:
            self._in_hand.add(key)
        return False

    def advance(self) -> ReadyFrame | None:
        """Go on to the next frame that is to be scored; None where there is none in hand.

        Raises:
            UnusableFrameError: it does not fit the frames before it, or the scene.
        """
        while self._queue:
            frame = self._queue.popleft()
            if frame.connection != self._connection:
                self._connection = frame.connection
                self._buffer.reset()
                self.adaptation.connected()
                self._unusual_seconds = None
                if self.watch is not None:
                    self.watch.connected()
                if self.light is not None:
                    self.light.connected()
            try:
                clip = self._buffer.push(frame.pts_seconds, frame.pixels)
            except ValueError as error:
                if frame.context:
                    continue
                raise UnusableFrameError(frame, str(error)) from error
            if self._buffer.cut:
                self.cuts += 1
                self.adaptation.connected()
            if frame.context:
                continue
            scene, size_hw = self.adaptation.scene, clip.shape[1:3]
            if scene is not None and scene.size_hw != size_hw:
                reason = f"want {scene.size_hw} (H, W) as the scene, got {size_hw}"
                raise UnusableFrameError(frame, reason)
            view = self._see(frame)
            full = self._buffer.full
            ages = self._buffer.ages
            waiting = self.adaptation.before(frame.pts_seconds, clip, full, view, ages)
            return ReadyFrame(frame, clip, ages, waiting, view, full)
        return None

    def is_usual(self, pts_seconds: float) -> bool:
        """Whether nothing was unusual for so long that another scene may learn from a frame."""
        unusual = self._unusual_seconds
        return unusual is None or pts_seconds - unusual >= USUAL_SECONDS

    def _see(self, frame: FrameMessage) -> View:
        view = self._watched(frame)
        blind = BLIND.get(frame.blind or "")
        return view if blind is None else replace(view, fault=blind, fit=False, settled=False)

    def _watched(self, frame: FrameMessage) -> View:
        if self.watch is None:
            return STEADY
        picture = measure(frame.pixels)
        view = self.watch.see(frame.pts_seconds, picture)
        if self.light is None:
            return view
        return self.light.see(frame.pts_seconds, picture, view)

    def finish(self, connection: int, index: int) -> None:
        """The frame is done: the sink has its score, or it was unusable."""
        self._in_hand.discard((connection, index))
