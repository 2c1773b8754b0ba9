"""State machine of one camera's scene: collecting → fitting → calibrating → ready.

No model, no clock, no file. The caller passes every frame to `before_scoring`, does the work that
the state calls for, and returns its result. The scoring worker and `vedette replay` run the same
loop:

    waiting = adaptation.before_scoring(pts_seconds, clip, buffer.full, ages=buffer.ages)
    if adaptation.state == "fitting":
        adaptation.apply_scene(build_scene(scorer, adaptation))
    judgement = waiting or adaptation.judge(pts_seconds, energy_of(clip, adaptation.scene))
    if (request := adaptation.refit_request()) is not None:
        adaptation.apply_refit(refit_scene(scorer, request))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models import AdaptedScene
from models.calibration import Calibration, provisional, wanted_seconds
from models.calibrator import Calibrator
from models.scene_model import Observation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.calibration_window import CalibrationWindow, LearningProgress
from pipeline.scenes.candidate_collector import CandidateCollector, Clip
from pipeline.scenes.scene_watch import REASONS, STEADY, ViewState
from pipeline.scenes.support_clips import SupportClips
from pipeline.transport.messages import SceneState

_FIRST_REASON = "first seen"


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """The result for one frame; without numbers until the scene is built."""

    state: SceneState
    progress: str
    """For people: "3/16" while collecting, with the reason if it is not the first scene; "12/60 s"
    while calibrating; the reason of the state "held" or "stale"."""
    energy: float | None = None
    """Of the model, unsmoothed."""
    score: float | None = None
    """Of the smoothed energy: 0 = the median of normal, 1 = the threshold."""
    threshold: float | None = None
    """The smoothed energy at which the score is 1."""


class Adaptation:
    """Decides when the scene is built, when it is calibrated, and what each frame scores in it.

    All times are stream time.
    """

    def __init__(
        self,
        settings: AdaptationSettings,
        scene: AdaptedScene | None = None,
        calibration: Calibration | None = None,
        reason: str = _FIRST_REASON,
        support: SupportClips | None = None,
        kept: SupportClips | None = None,
    ) -> None:
        """Start a new scene, or continue with a stored one.

        Args:
            settings: How a scene is built.
            scene: A stored scene; no candidates are collected then.
            calibration: Stored with it; without one, or with one that is not final, the
                calibration starts again.
            reason: Why a scene is built, for people.
            support: Clips of a stored scene, to build a new one from: no candidates are collected
                then.
            kept: Clips that are part of the support; only the others are collected, without
                spare candidates.
        """
        self.reason = reason
        self.from_stored_clips = support is not None
        """Whether the scene is built from stored clips, whose view and illumination are known."""
        self.abandoned = False
        """Set when the scene is no longer needed, or cannot be built."""
        self._settings = settings
        self.candidates = CandidateCollector(settings, support, kept)
        """The clips to choose the support from."""
        self._state: SceneState = "collecting" if support is None else "fitting"
        self._scene: AdaptedScene | None = None
        self._calibrator: Calibrator | None = None
        self._candidate_features: Observation | None = None
        self._window: CalibrationWindow | None = None
        self.refit_result: RefitResult | None = None
        """The result of the refit, if its scene is the one in use."""
        if scene is not None:
            self._start(scene, calibration or provisional(scene.support_energies))

    @property
    def state(self) -> SceneState:
        """State of the scene."""
        return self._state

    @property
    def settings(self) -> AdaptationSettings:
        """How the scene is built."""
        return self._settings

    @property
    def scene(self) -> AdaptedScene | None:
        """The scene, once fitted."""
        return self._scene

    @property
    def calibration(self) -> Calibration | None:
        """Maps its energies to scores, once fitted."""
        return None if self._calibrator is None else self._calibrator.calibration

    @property
    def calibration_to_store(self) -> Calibration | None:
        """The calibration with all updates since, for a restart to continue from."""
        return None if self._calibrator is None else self._calibrator.snapshot

    def score_at_rate(self, alarms_per_day: float) -> float | None:
        """The present score that would be 1 at another target rate; None: not yet calibrated."""
        return None if self._calibrator is None else self._calibrator.score_at_rate(alarms_per_day)

    @property
    def learning(self) -> LearningProgress:
        """Progress; the time left is undisturbed normal time."""
        settings = self._settings.calibrator
        left = 0.0
        if self._state in ("collecting", "fitting"):
            missing = max(0, self.candidates.wanted - self.candidates.count)
            left = missing * self._settings.candidate_interval_seconds
            left = settings.calibrate_seconds + (left if self._state == "collecting" else 0.0)
        elif self._state == "calibrating" and self._calibrator is not None:
            elapsed = self._calibrator.normal_seconds
            if self._window is not None:
                elapsed = self._window.now_seconds
            left = max(0.0, settings.calibrate_seconds - elapsed)
        return LearningProgress(
            trusted=self._state == "ready",
            trusted_in_seconds=left,
            normal_seconds=0.0 if self._calibrator is None else self._calibrator.normal_seconds,
            wanted_seconds=wanted_seconds(settings.alarms_per_day),
        )

    def connected(self) -> None:
        """Start a new connection: its stream time is unrelated to that of the last one."""
        self.candidates.connected()
        if self._calibrator is not None:
            self._calibrator.connected()
        if self._window is not None:
            self._window.interrupted()

    def before_scoring(
        self,
        pts_seconds: float,
        clip: Clip,
        full: bool,
        view: ViewState = STEADY,
        ages: Sequence[float] | None = None,
    ) -> ScoredFrame | None:
        """Take a frame before it is scored.

        Args:
            pts_seconds: Stream time of the clip's newest frame.
            clip: uint8 (T, H, W, 3).
            full: Whether the clip has T different frames; others can neither become support nor
                be scored.
            view: The state of the view in this frame.
            ages: Age of each frame of the clip, in seconds before its newest one; None: at the
                intervals of the model.

        Returns:
            The result of a frame that is not scored. None: score the clip, then call `judge`. When
            the state becomes "fitting", the caller builds the scene from `candidates` and calls
            `apply_scene`.
        """
        if self._scene is not None:
            # A clip that repeats its first frame shows a jump that did not happen: after a
            # reconnection or at the start of another pass it would be a false alarm.
            return None if full else ScoredFrame(*self._state_with(view))
        if self._state == "collecting" and full:
            self.candidates.offer(pts_seconds, clip, view.usable, ages)
            if self.candidates.complete:
                self._state = "fitting"
        return ScoredFrame(self._state, self._progress())

    def apply_scene(self, built: BuiltScene) -> None:
        """Start to use the scene that was built from the candidates, and release these."""
        self.candidates.release_clips()
        self._candidate_features = built.candidate_features
        self._start(built.scene, provisional(built.scene.support_energies))

    def refit_request(self) -> RefitRequest | None:
        """Request a refit, once, when the calibration window is over; answer with `apply_refit`.

        Until then the threshold stays conservative. The stored features are released.
        """
        if self._scene is None or self._window is None or not self._window.over:
            return None
        request = RefitRequest(
            self._window,
            self._scene.size_hw,
            self._settings.calibrator,
            wanted=self._settings.refit_clips,
            least=self._settings.frames,
            candidate_features=self._candidate_features,
            candidate_seconds=tuple(self.candidates.seconds),
        )
        self._end_window()
        return request

    def apply_refit(self, refit: RefitResult | None) -> None:
        """Start to use the refitted scene; None: there is none, and the first one stays in use."""
        if refit is not None:
            before, self.refit_result = self._calibrator, refit
            self._start(refit.scene, refit.calibration)
            if before is not None and self._calibrator is not None:
                self._calibrator.continue_from(before)
        elif self._calibrator is not None:
            self._calibrator.waiting = False

    def judge(
        self,
        pts_seconds: float,
        energy: float,
        view: ViewState = STEADY,
        cached_features: Callable[[], Observation] | None = None,
        enter: float = 1.0,
    ) -> ScoredFrame:
        """Map an energy to a score; only the known view in steady light updates the calibration.

        Args:
            pts_seconds: Stream time of the clip's newest frame.
            energy: Of a clip for which `before_scoring` returned None.
            view: The state of the view in this frame.
            cached_features: Gives the features of the clip, for a refit; None: there is no refit.
            enter: Score at which an event begins; a frame at or above it is not usual.

        Raises:
            RuntimeError: there is no scene yet.
        """
        if self._calibrator is None:
            raise RuntimeError(f"judge: want a fitted scene, got one that is {self._state}")
        if view.fault is not None or view.suppressed:
            self._calibrator.connected()
            if self._window is not None:
                self._window.interrupted()
            calibration = self._calibrator.calibration
            score = calibration.score(energy)
            return ScoredFrame(*self._state_with(view), energy, score, calibration.threshold)
        state, progress = self._state, self._progress()
        usual = self._calibrator.calibration.score(energy) < enter
        reading = self._calibrator.read(pts_seconds, energy)
        if self._window is not None and cached_features is not None:
            # The score lags behind the energy: the frames in which something enters count too.
            usual = usual and reading.score < enter
            self._window.add(pts_seconds, cached_features if view.usable else None, usual)
        elif cached_features is None:
            self._end_window()
            self._calibrator.waiting = False
        if self._calibrator.done:
            self._state = "ready"
        return ScoredFrame(state, progress, energy, reading.score, reading.threshold)

    def _start(self, scene: AdaptedScene, calibration: Calibration) -> None:
        self._scene = scene
        settings = self._settings.calibrator
        candidates = 0 if self._candidate_features is None else len(self.candidates.seconds)
        if calibration.final or not self._settings.can_refit(candidates):
            self._end_window()
        else:
            self._window = CalibrationWindow(settings.calibrate_seconds)
        self._calibrator = Calibrator(settings, calibration, waiting=self._window is not None)
        self._state = "ready" if self._calibrator.done else "calibrating"

    def _end_window(self) -> None:
        self._window = self._candidate_features = None
        self.candidates.release_times()

    def _state_with(self, view: ViewState) -> tuple[SceneState, str]:
        """State and progress of a scene in use, whose view may be another one."""
        if view.fault is not None:
            return "stale", REASONS[view.fault]
        if view.suppressed:
            return "suppressed", "the light has changed"
        return self._state, self._progress()

    def _progress(self) -> str:
        if self._state == "collecting":
            unusable = ", no usable picture" if self.candidates.waits_for_usable else ""
            why = "" if self.reason == _FIRST_REASON else f", {self.reason}"
            return f"{self.candidates.count}/{self.candidates.wanted}{unusable}{why}"
        if self._state == "calibrating" and self._calibrator is not None:
            wanted = self._settings.calibrator.calibrate_seconds
            return f"{min(self._calibrator.normal_seconds, wanted):.0f}/{wanted:.0f} s"
        return ""
