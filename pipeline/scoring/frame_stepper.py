"""Takes the frames of one camera in order and follows its scene, view and illumination. Pure."""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cameras.blindness import Blindness
from cameras.picture_statistics import Floats, measure
from models.stillness import StillWatch
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.illumination import Illumination, IlluminationMonitor
from pipeline.scenes.scene_watch import STEADY, KnownView, SceneWatch, ViewState
from pipeline.scenes.support_clips import SupportClips
from pipeline.scoring.clips import ClipBuffer
from pipeline.transport.messages import FrameMessage

USUAL_SECONDS = 10.0
"""Stream time without an unusual frame after which the next scene may learn again."""


BLIND: dict[str, Blindness] = {"frozen": "frozen", "black": "black", "constant": "constant"}
"""Values of `FrameMessage.blind`, as faults of a view."""


class UnusableFrameError(ValueError):
    """A frame that cannot be scored; the other frames of its camera can."""

    def __init__(self, frame: FrameMessage, reason: str) -> None:
        super().__init__(f"camera {frame.camera}, frame {frame.index}: {reason}")
        self.frame = frame


@dataclass(frozen=True, slots=True, eq=False)
class ClippedFrame:
    """The next frame with its clip; nothing has been decided about it."""

    frame: FrameMessage
    clip: npt.NDArray[np.uint8]
    """uint8 (T, H, W, 3), the clip that ends at the frame."""
    ages: tuple[float, ...]
    """By how many seconds each frame of the clip is older than the newest, oldest first."""
    full: bool
    """Whether the clip has T different frames."""
    reconnected: bool
    """Whether a connection begins between the frame before it and this one."""
    cuts: int
    """Discontinuities within a connection since the frame before."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadyFrame:
    """A frame to be scored, or one that cannot have an energy."""

    frame: FrameMessage
    clip: npt.NDArray[np.uint8]
    """uint8 (T, H, W, 3), the clip that ends at the frame."""
    ages: tuple[float, ...]
    """By how many seconds each frame of the clip is older than the newest, oldest first."""
    waiting: ScoredFrame | None
    """The result of a frame that has no energy; None: the clip is to be scored."""
    view: ViewState
    """The state of the camera's view at this frame."""
    full: bool
    """Whether the clip has T different frames."""


class FrameStepper:
    """Takes the frames of one camera in order, each once, and builds their clips.

    Live scoring and replay use it in the same way: `take`, `next_clip`, `step`, then `note` with
    the score.
    """

    def __init__(
        self,
        buffer: ClipBuffer,
        adaptation: Adaptation,
        watch: SceneWatch | None = None,
        light: IlluminationMonitor | None = None,
    ) -> None:
        """Start without frames.

        Args:
            buffer: Empty.
            adaptation: The scene, or what collects its support.
            watch: Follows the view; None: every view is the known one.
            light: Follows the illumination; None: every illumination is that of the scene.
        """
        self._buffer = buffer
        self.adaptation = adaptation
        self.watch = watch
        self.light = light
        self.stillness = StillWatch(buffer.length)
        self.cuts = 0
        """Discontinuities so far, within connections."""
        self._unusual_seconds: float | None = None
        self._newest: tuple[int, int] | None = None
        self._connection: int | None = None
        self._reconnected = False
        self._new_cuts = 0
        self._in_hand: set[tuple[int, int]] = set()
        self._queue: deque[FrameMessage] = deque()

    @property
    def depth(self) -> int:
        """Number of frames in the queue."""
        return len(self._queue)

    @property
    def ready(self) -> bool:
        """Whether a frame can be scored; while the scene is fitted, all frames wait for it."""
        return bool(self._queue) and self.adaptation.state != "fitting"

    @property
    def known_view(self) -> KnownView | None:
        """The view of the scene; None: not known."""
        return None if self.watch is None else self.watch.known

    @property
    def known_edges(self) -> Floats | None:
        """The edges of that view, as `PictureStatistics.edges`; None: not known."""
        known = self.known_view
        return None if known is None else known.edges

    def take(self, frame: FrameMessage) -> bool:
        """Take a frame, unless it was received before.

        An ingest worker that had no answer sends its frames again; so does its successor.

        Returns:
            True where the frame was received before and is done: the answer was lost and is to be
            sent again.
        """
        key = frame.connection, frame.index
        if self._newest is not None and key <= self._newest:
            return not frame.context and key not in self._in_hand
        self._newest = key
        self._queue.append(frame)
        if not frame.context:
            self._in_hand.add(key)
        return False

    def finish(self, connection: int, index: int) -> None:
        """Mark a frame as done: the sink has its score, or it was unusable."""
        self._in_hand.discard((connection, index))

    def next_clip(self) -> ClippedFrame | None:
        """The next frame that is to be scored, with its clip; None: the queue is empty.

        Depends on the frames only, so that replay can score several clips at once.

        Raises:
            UnusableFrameError: the frame does not fit the frames before it.
        """
        while self._queue:
            frame = self._queue.popleft()
            if frame.connection != self._connection:
                self._connection = frame.connection
                self._buffer.reset()
                self._reconnected = True
            try:
                clip = self._buffer.push(frame.pts_seconds, frame.pixels)
            except ValueError as error:
                if frame.context:
                    continue
                raise UnusableFrameError(frame, str(error)) from error
            self._new_cuts += self._buffer.cut
            if frame.context:
                continue
            clipped = ClippedFrame(
                frame,
                clip,
                self._buffer.ages,
                self._buffer.full,
                self._reconnected,
                self._new_cuts,
            )
            self._reconnected, self._new_cuts = False, 0
            return clipped
        return None

    def step(self, clipped: ClippedFrame) -> ReadyFrame:
        """Follow view, illumination and adaptation to a frame; frames come in order.

        Raises:
            UnusableFrameError: the frame is not of the size of the scene.
        """
        frame = clipped.frame
        if clipped.reconnected:
            self._connected()
        if clipped.cuts:
            self.cuts += clipped.cuts
            self.adaptation.connected()
        scene, size_hw = self.adaptation.scene, clipped.clip.shape[1:3]
        if scene is not None and scene.size_hw != size_hw:
            reason = f"want {scene.size_hw} (H, W) as the scene, got {size_hw}"
            raise UnusableFrameError(frame, reason)
        view = self._view(frame)
        clip, ages, full = clipped.clip, clipped.ages, clipped.full
        waiting = self.adaptation.before_scoring(frame.pts_seconds, clip, full, view, ages)
        return ReadyFrame(frame, clip, ages, waiting, view, full)

    def advance(self) -> ReadyFrame | None:
        """`next_clip` and `step` in one; None: the queue is empty.

        Raises:
            UnusableFrameError: the frame does not fit the frames before it, or the scene.
        """
        clipped = self.next_clip()
        return None if clipped is None else self.step(clipped)

    def note(self, pts_seconds: float, judgement: ScoredFrame, exit_score: float) -> None:
        """Note the score of a frame: the next scene learns nothing for a while after a high one.

        Args:
            pts_seconds: Time of the frame in the stream.
            judgement: Its result.
            exit_score: From this score on the frame is unusual.
        """
        if self.light is not None and judgement.score is not None:
            self.light.add_score(pts_seconds, judgement.score)
        judged = judgement.state in ("calibrating", "ready") and judgement.score is not None
        if not judged or (judgement.score or 0.0) >= exit_score:
            self._unusual_seconds = pts_seconds

    def is_usual(self, pts_seconds: float) -> bool:
        """Whether the last unusual frame is long enough ago for the next scene to learn."""
        unusual = self._unusual_seconds
        return unusual is None or pts_seconds - unusual >= USUAL_SECONDS

    def adapt_again(self, reason: str, kept: SupportClips | None = None) -> None:
        """Start another scene from the frames that follow, in a view that is not known.

        Args:
            reason: Why, for people.
            kept: Clips that are part of its support; None: none.
        """
        settings = self.adaptation.settings
        self.switch_scene(Adaptation(settings, reason=reason, kept=kept), None)

    def switch_scene(
        self, adaptation: Adaptation, known: KnownView | None, light: Illumination | None = None
    ) -> None:
        """Continue with another scene, its view and its illumination (None: not known)."""
        self.adopt(adaptation)
        if self.watch is not None:
            self.watch.restart(known)
        if self.light is not None:
            self.light.restart(light)

    def adopt(self, adaptation: Adaptation) -> None:
        """Continue with another scene, in the same view and illumination."""
        self.abandon()
        self.adaptation = adaptation

    def abandon(self) -> None:
        """Give up the scene: a build of it or of its refit is not used any more."""
        self.adaptation.abandoned = True

    def collect_again(self, failed: Adaptation) -> None:
        """Collect another support, if this adaptation, whose support is unusable, is in use."""
        if failed is self.adaptation:
            self.adaptation = Adaptation(failed.settings, reason=failed.reason)

    def _connected(self) -> None:
        self.adaptation.connected()
        self._unusual_seconds = None
        if self.watch is not None:
            self.watch.connected()
        if self.light is not None:
            self.light.connected()

    def _view(self, frame: FrameMessage) -> ViewState:
        view = self._measured_view(frame)
        blind = BLIND.get(frame.blind or "")
        return view if blind is None else replace(view, fault=blind, usable=False, settled=False)

    def _measured_view(self, frame: FrameMessage) -> ViewState:
        if self.watch is None:
            return STEADY
        picture = measure(frame.pixels)
        view = self.watch.update(frame.pts_seconds, picture)
        if self.light is None:
            return view
        return self.light.update(frame.pts_seconds, picture, view)
