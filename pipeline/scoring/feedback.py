"""What people accepted as normal: stores what stands out, and applies accepted events to scenes.

A scene on the disk stays as its adaptation built it. Accepted events lie beside it, one file each,
and are applied to whichever scene of the camera is in use: revoking one is exact, and another
adaptation loses none of them. Those of another view or of another model stay stored and are not
used.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from cameras.picture_statistics import view_similarity
from models import AdaptedScene, Scores
from models.feedback import explained_share, mismatch
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scenes.exemplar_store import Edges, StoredExemplar
from pipeline.scenes.peak_samples import PeakSamples
from pipeline.scenes.scene_watch import SAME_BELOW
from pipeline.scoring.frame_stepper import FrameStepper
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.messages import UNJUDGED, FrameMessage

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedbackThresholds:
    """When exemplars belong to an event, and when two events show the same."""

    alike_share: float = 0.5
    """Least part of what stands out in one event that the other one explains, 0 to 1."""
    lead_seconds: float = 1.0
    """Exemplars so shortly before an event belong to it: the smoothed score follows later."""
    warning_seconds: float = 600.0
    """At most one line in the log in this time about exemplars that cannot be stored."""


THRESHOLDS = FeedbackThresholds()


@dataclass(frozen=True, slots=True, eq=False)
class _PeakSample:
    captured_at: float
    exemplar: StoredExemplar


@dataclass(frozen=True, slots=True, eq=False)
class _AppliedScene:
    """A scene as it was adapted, and with the accepted events."""

    adapted: AdaptedScene
    with_feedback: AdaptedScene


class Feedback:
    """Of one camera. A full disk loses feedback, and no frame."""

    def __init__(self, camera: str, stepper: FrameStepper, shared: SharedParts) -> None:
        """Start with what is on the disk.

        Args:
            camera: Its name.
            stepper: Of the camera, for its scene and view.
            shared: Model, store, metrics, clock.
        """
        self._camera = camera
        self._stepper = stepper
        self._shared = shared
        self._floods = LimitedWarning(LOG, shared.clock.monotonic, THRESHOLDS.warning_seconds)
        self._peaks: PeakSamples[_PeakSample] = PeakSamples()
        self._connection: int | None = None
        self._applied: _AppliedScene | None = None

    def scene(self) -> AdaptedScene:
        """The scene in which the next frame is scored; there is one."""
        adapted = self._stepper.adaptation.scene
        assert adapted is not None  # a frame is scored only with a scene
        if self._applied is None or self._applied.adapted is not adapted:
            self._applied = _AppliedScene(adapted, self._apply(adapted))
        return self._applied.with_feedback

    def take(
        self, frame: FrameMessage, judgement: ScoredFrame, exit_score: float, scores: Scores
    ) -> None:
        """Store what a frame shows, if it stands out most within a short time.

        Args:
            frame: That was scored.
            judgement: Its result.
            exit_score: From this score on it stands out: it would keep an event active.
            scores: Of the frame, a batch of one.
        """
        if self._connection != frame.connection:
            self._store(self._peaks.close())
        self._connection = frame.connection
        calibration, energy = self._stepper.adaptation.calibration, float(scores.energies[0])
        stands_out = False
        if judgement.score is not None and judgement.state not in UNJUDGED and calibration:
            # The smoothed score follows the energy later: the energy alone counts, too.
            stands_out = max(judgement.score, calibration.score(energy)) >= exit_score

        def sample() -> _PeakSample:
            exemplar = self._shared.scorer.exemplar(scores, 0)
            return _PeakSample(
                frame.captured_at, StoredExemplar(exemplar, self._stepper.known_edges)
            )

        self._store(self._peaks.update(frame.pts_seconds, energy, stands_out, sample))

    def alike(
        self, span: tuple[float, float], earlier: Sequence[tuple[float, float]]
    ) -> list[bool]:
        """Which earlier spans of time showed the same as a later one.

        Args:
            span: Begin and end of the later one, Unix seconds.
            earlier: Likewise, of each earlier one.
        """
        self.store_pending()
        scene, exemplars = self._stepper.adaptation.scene, self._shared.exemplars
        lead = THRESHOLDS.lead_seconds
        seen = exemplars.between(self._camera, span[0] - lead, span[1], newest=False)
        if scene is None or seen is None:
            return [False] * len(earlier)
        config = self._shared.scorer.config
        found = []
        for begin, end in earlier:
            known = exemplars.between(self._camera, begin - lead, end, newest=False)
            found.append(
                known is not None
                and explained_share(scene, known.exemplar, seen.exemplar, config)
                >= THRESHOLDS.alike_share
            )
        return found

    def store_pending(self) -> None:
        """Store the peak of the time that is not over."""
        self._store(self._peaks.take())

    def reload(self) -> None:
        """Apply the accepted events again, as they have changed."""
        self._applied = None

    def close(self) -> None:
        """Store what is not stored."""
        self._store(self._peaks.close())

    def _store(self, samples: Sequence[_PeakSample]) -> None:
        for sample in samples:
            try:
                self._shared.exemplars.keep(self._camera, sample.captured_at, sample.exemplar)
            except OSError as error:
                self._floods.warn(
                    f"camera {self._camera}: an exemplar could not be stored: {error}"
                )

    def _apply(self, adapted: AdaptedScene) -> AdaptedScene:
        accepted = self._shared.exemplars.remembered(self._camera)
        self._shared.metrics.events_accepted_as_normal.labels(self._camera).set(len(accepted))
        scorer, known = self._shared.scorer, self._stepper.known_edges
        used = [
            one.exemplar
            for one in accepted
            if mismatch(one.exemplar, adapted, scorer.config) is None
            and _same_view(one.edges, known)
        ]
        if accepted:
            LOG.info(
                "camera %s: %d events are accepted as normal, %d of them of this view and model",
                self._camera,
                len(accepted),
                len(used),
            )
        return scorer.with_exemplars(adapted, used)


def accept_as_normal(
    shared: SharedParts,
    camera: str,
    event: str,
    span: tuple[float, float | None],
    newest: bool,
) -> bool:
    """Treat what an event showed as normal from now on; also of a camera that was removed.

    Args:
        shared: Store and clock.
        camera: Its name.
        event: Its id.
        span: Begin and end of the event, Unix seconds; None: it goes on.
        newest: Whether its last exemplars count most, as for something that stays.

    Returns:
        False where none of its exemplars is stored any more.

    Raises:
        OSError: it cannot be written.
    """
    begin, end = span
    until = shared.clock.unix() if end is None else end
    found = shared.exemplars.between(camera, begin - THRESHOLDS.lead_seconds, until, newest)
    if found is None:
        LOG.warning("camera %s: no exemplar of event %s is stored, not accepted", camera, event)
        return False
    for gone in shared.exemplars.remember(camera, event, found):
        LOG.info("camera %s: event %s is no longer accepted, it is the oldest", camera, gone)
    LOG.info("camera %s: what event %s showed is normal from now on", camera, event)
    return True


def revoke_normal(shared: SharedParts, camera: str, event: str) -> bool:
    """Treat what an event showed as before it was accepted; whether it was.

    Raises:
        OSError: it cannot be deleted.
    """
    if not shared.exemplars.forget(camera, event):
        return False
    LOG.info("camera %s: what event %s showed is not normal any more", camera, event)
    return True


def _same_view(edges: Edges | None, known: Edges | None) -> bool:
    """Whether two views are the same as far as is known."""
    if edges is None or known is None:
        return True
    like = view_similarity(known, edges)
    return not like.reliable or like.same >= SAME_BELOW
