"""The life of one camera's scene: collecting → fitting → calibrating → ready.

Pure: no model, no clock, no file. The owner asks `before` with every frame, does what the state
wants, and tells the result. The scoring worker and `vedette replay` walk the same way:

    waiting = adaptation.before(pts_seconds, clip, buffer.full, ages=buffer.ages)
    if adaptation.state == "fitting":
        adaptation.fitted(make_scene(scorer, adaptation))
    judgement = waiting or adaptation.judge(pts_seconds, energy_of(clip, adaptation.scene))
    if (widening := adaptation.widening()) is not None:
        adaptation.widened(widen(scorer, widening))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models import AdaptedScene
from models.calibration import Calibration, provisional, wanted_seconds
from models.calibrator import Calibrator
from models.scene_model import Observation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.calibration_window import CalibrationWindow, LearningProgress
from pipeline.scenes.scene_watch import REASONS, STEADY, View
from pipeline.scenes.support_clips import SupportClips
from pipeline.transport.messages import SceneState

Clip = npt.NDArray[np.uint8]

_FIRST_REASON = "first seen"

_ROUNDING_SECONDS = 1e-6  # sums of frame times miss a whole second by less


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """What one frame means; without numbers as long as the scene is being made."""

    state: SceneState
    progress: str
    """For people: "3/16" while collecting, and why if it is not the first time; "12/60 s" while
    calibrating; why it is held or stale."""
    energy: float | None = None
    """As the model gave it."""
    score: float | None = None
    """Of the smoothed energy: 0 = the median of normal, 1 = the threshold."""
    threshold: float | None = None
    """The smoothed energy at which the score is 1."""


class Adaptation:
    """Decides when a candidate for the support is taken, and when the scene is made.

    Time is that of the stream.
    """

    def __init__(
        self,
        settings: AdaptationSettings,
        scene: AdaptedScene | None = None,
        calibration: Calibration | None = None,
        reason: str = _FIRST_REASON,
        support: SupportClips | None = None,
    ) -> None:
        """Begin a scene, or go on with one that was kept.

        Args:
            settings: How a scene is made.
            scene: A kept scene; nothing is collected then.
            calibration: What was kept with it; without one, or with one that is not final, the
                calibration begins anew.
            reason: Why a scene is made, for people.
            support: Clips of a kept scene, to make another one of: nothing is collected then.
        """
        self.reason = reason
        self.of_kept = support is not None
        """Whether the scene is made of kept clips: its view and light are those of the kept one."""
        self.abandoned = False
        """Set when nobody waits for the scene any more, or there will be none."""
        self._settings = settings
        self._candidates: list[Clip] = []
        self._candidate_ages: list[Sequence[float]] = []
        self._candidate_seconds: list[float] = []
        self._last_candidate_seconds: float | None = None
        self._unfit_since_seconds: float | None = None
        self._state: SceneState = "collecting"
        self._scene: AdaptedScene | None = None
        self._calibrator: Calibrator | None = None
        self._seen: Observation | None = None
        self._minute: CalibrationWindow | None = None
        self.wider: RefitResult | None = None
        """The scene in use, if it is a wider one, and what calibrated it."""
        if support is not None:
            self._candidates, self._candidate_seconds = list(support.clips), list(support.seconds)
            self._candidate_ages = list(support.ages or ())
            self._state = "fitting"
        if scene is not None:
            self._begin(scene, calibration or provisional(scene.support_energies))

    @property
    def state(self) -> SceneState:
        """Where in its life the scene is."""
        return self._state

    @property
    def settings(self) -> AdaptationSettings:
        """How the scene is made."""
        return self._settings

    @property
    def candidates(self) -> npt.NDArray[np.uint8]:
        """The clips to choose the support from, uint8 (c, T, H, W, 3); at least one was taken."""
        return np.stack(self._candidates)

    @property
    def candidate_ages(self) -> Sequence[Sequence[float]] | None:
        """By how many seconds each frame of a candidate is older than its newest; None: nominal."""
        known = len(self._candidate_ages) == len(self._candidates)
        return tuple(self._candidate_ages) if known else None

    @property
    def candidate_seconds(self) -> Sequence[float]:
        """When each of them was taken, rising; over a change of connection without the pause."""
        return tuple(self._candidate_seconds)

    @property
    def scene(self) -> AdaptedScene | None:
        """The scene, once fitted."""
        return self._scene

    @property
    def calibration(self) -> Calibration | None:
        """How its energies are read, once fitted."""
        return None if self._calibrator is None else self._calibrator.calibration

    @property
    def kept(self) -> Calibration | None:
        """The same with all that was learnt since, to be kept: a restart goes on from it."""
        return None if self._calibrator is None else self._calibrator.kept

    @property
    def learning(self) -> LearningProgress:
        """How far it has come; time that is left is that of undisturbed normal life."""
        reading = self._settings.calibrator
        left = 0.0
        if self._state in ("collecting", "fitting"):
            missing = max(0, self._settings.candidates - len(self._candidates))
            left = missing * self._settings.candidate_interval_seconds
            left = reading.calibrate_seconds + (left if self._state == "collecting" else 0.0)
        elif self._state == "calibrating" and self._calibrator is not None:
            gone = self._calibrator.normal_seconds
            if self._minute is not None:
                gone = self._minute.now_seconds
            left = max(0.0, reading.calibrate_seconds - gone)
        return LearningProgress(
            trusted=self._state == "ready",
            trusted_in_seconds=left,
            normal_seconds=0.0 if self._calibrator is None else self._calibrator.normal_seconds,
            wanted_seconds=wanted_seconds(reading.alarms_per_day),
        )

    def connected(self) -> None:
        """Another connection begins, whose time has nothing to do with the last one's."""
        self._last_candidate_seconds = None
        self._unfit_since_seconds = None
        if self._calibrator is not None:
            self._calibrator.connected()
        if self._minute is not None:
            self._minute.interrupted()

    def before(
        self,
        pts_seconds: float,
        clip: Clip,
        full: bool,
        view: View = STEADY,
        ages: Sequence[float] | None = None,
    ) -> ScoredFrame | None:
        """Look at a frame before it is scored.

        Args:
            pts_seconds: Stream time of the clip's newest frame.
            clip: uint8 (T, H, W, 3).
            full: Whether the clip is made of T moments; others are fit neither for the support nor
                for an energy.
            view: What the frame says about its camera.
            ages: By how many seconds each frame of the clip is older than its newest; None: as the
                model wants them.

        Returns:
            The judgement where there is no energy to be had. None: the clip wants one, and then
            `judge`. When the state has become "fitting", the owner makes the scene of `candidates`
            and calls `fitted`.
        """
        if self._scene is not None:
            # A clip that repeats its first frame shows a jump that never was: after a reconnection
            # or at the start of another pass it would be a false alarm.
            return None if full else ScoredFrame(*self._state_in(view))
        if self._state == "collecting" and full and self._due(pts_seconds, view):
            self._take(pts_seconds, clip)
            if ages is not None:
                self._candidate_ages.append(ages)
            if len(self._candidates) == self._settings.candidates:
                self._state = "fitting"
        return ScoredFrame(self._state, self._progress())

    def fitted(self, fitted: BuiltScene) -> None:
        """Take the scene that was made of the candidates, which are let go."""
        self._candidates.clear()
        self._candidate_ages.clear()
        self._seen = fitted.seen
        self._begin(fitted.scene, provisional(fitted.scene.support_energies))

    def widening(self) -> RefitRequest | None:
        """What a wider scene is to be made of, once, when the first minute is over; see `widened`.

        Until the answer comes the threshold stays conservative. What was seen is let go.
        """
        if self._scene is None or self._minute is None or not self._minute.over:
            return None
        found = RefitRequest(
            self._minute,
            self._scene.size_hw,
            self._settings.calibrator,
            wanted=self._settings.wider_clips,
            least=self._settings.frames,
            seen=self._seen,
            seen_seconds=tuple(self._candidate_seconds),
        )
        self._let_go()
        return found

    def widened(self, wider: RefitResult | None) -> None:
        """Go on with a wider scene; None: there is none, and the first one goes on."""
        if wider is not None:
            before, self.wider = self._calibrator, wider
            self._begin(wider.scene, wider.calibration)
            if before is not None and self._calibrator is not None:
                self._calibrator.follow(before)
        elif self._calibrator is not None:
            self._calibrator.waiting = False

    def judge(
        self,
        pts_seconds: float,
        energy: float,
        view: View = STEADY,
        cached_features: Callable[[], Observation] | None = None,
        enter: float = 1.0,
    ) -> ScoredFrame:
        """Read an energy; of a view that is not the known one in steady light nothing is learnt.

        Args:
            pts_seconds: Stream time of the clip's newest frame.
            energy: Of a clip for which `before` gave None.
            view: What the frame says about its camera.
            cached_features: Gives the features of the clip, for a refit; None: there is no refit.
            enter: Score from which on people are told; such a moment is not usual.

        Raises:
            RuntimeError: there is no scene yet.
        """
        if self._calibrator is None:
            raise RuntimeError(f"judge: want a fitted scene, got one that is {self._state}")
        if view.fault is not None or view.held:
            self._calibrator.connected()
            if self._minute is not None:
                self._minute.interrupted()
            calibration = self._calibrator.calibration
            score = calibration.score(energy)
            return ScoredFrame(*self._state_in(view), energy, score, calibration.threshold)
        state, progress = self._state, self._progress()
        usual = self._calibrator.calibration.score(energy) < enter
        reading = self._calibrator.read(pts_seconds, energy)
        if self._minute is not None and cached_features is not None:
            # The score follows the energy somewhat later: what comes into the picture counts too.
            usual = usual and reading.score < enter
            self._minute.see(pts_seconds, cached_features if view.fit else None, usual)
        elif cached_features is None:
            self._let_go()
            self._calibrator.waiting = False
        if self._calibrator.done:
            self._state = "ready"
        return ScoredFrame(state, progress, energy, reading.score, reading.threshold)

    def _begin(self, scene: AdaptedScene, calibration: Calibration) -> None:
        self._scene = scene
        reading = self._settings.calibrator
        candidates = 0 if self._seen is None else len(self._candidate_seconds)
        if calibration.final or not self._settings.widens(candidates):
            self._let_go()
        else:
            self._minute = CalibrationWindow(reading.calibrate_seconds)
        self._calibrator = Calibrator(reading, calibration, waiting=self._minute is not None)
        self._state = "ready" if self._calibrator.done else "calibrating"

    def _let_go(self) -> None:
        self._minute = self._seen = None
        self._candidate_seconds.clear()

    def _due(self, pts_seconds: float, view: View) -> bool:
        last, interval = self._last_candidate_seconds, self._settings.candidate_interval_seconds
        if last is not None and pts_seconds - last < interval - _ROUNDING_SECONDS:
            return False
        if view.fit:
            return True
        if self._unfit_since_seconds is None:
            self._unfit_since_seconds = pts_seconds
        return pts_seconds - self._unfit_since_seconds >= self._settings.max_wait_seconds

    def _take(self, pts_seconds: float, clip: Clip) -> None:
        last, step = self._last_candidate_seconds, self._settings.candidate_interval_seconds
        if last is not None:
            step = pts_seconds - last
        before = self._candidate_seconds[-1] if self._candidate_seconds else 0.0
        self._candidates.append(clip)
        self._candidate_seconds.append(before + step)
        self._last_candidate_seconds = pts_seconds
        self._unfit_since_seconds = None

    def _state_in(self, view: View) -> tuple[SceneState, str]:
        """State and progress of a scene that is there, in a view that may not be judged."""
        if view.fault is not None:
            return "stale", REASONS[view.fault]
        if view.held:
            return "suppressed", "the light has changed"
        return self._state, self._progress()

    def _progress(self) -> str:
        if self._state == "collecting":
            unfit = "" if self._unfit_since_seconds is None else ", no usable picture"
            why = "" if self.reason == _FIRST_REASON else f", {self.reason}"
            return f"{len(self._candidates)}/{self._settings.candidates}{unfit}{why}"
        if self._state == "calibrating" and self._calibrator is not None:
            wanted = self._settings.calibrator.calibrate_seconds
            return f"{min(self._calibrator.normal_seconds, wanted):.0f}/{wanted:.0f} s"
        return ""
