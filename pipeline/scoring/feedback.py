"""What all scenes remember: keeps what stands out, and gives scenes what was labelled normal.

The scene on the disk stays what its adaptation made. What is remembered lies beside it, an event a
file, and is given to whichever scene of the camera is in use, so that taking it back is exact and
another adaptation loses nothing of it. Of another view, or seen by another model, it is kept and
not used.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cameras.picture_statistics import view_similarity
from models import AdaptedScene, SceneScorer, Scores
from models.feedback import explained, misfit
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scenes.exemplar_store import Edges, ExemplarStore, StoredExemplar
from pipeline.scenes.peak_samples import PeakSamples
from pipeline.scenes.scene_watch import SAME_BELOW
from pipeline.scoring.camera_scorer import CameraScorer
from pipeline.scoring.view_changes import UNJUDGED
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import FrameMessage

LOG = logging.getLogger(__name__)

_ALIKE = 0.5
"""Part of what stands out that must be explained by what stood out before, to be the same."""
_LEAD_SECONDS = 1.0
"""What stood out so shortly before an event belongs to it: the smoothed score follows later."""


@dataclass(frozen=True, slots=True, eq=False)
class _ShownMoment:
    captured_at: float
    kept: StoredExemplar


@dataclass(frozen=True, slots=True, eq=False)
class _Applied:
    """A scene as it was adapted, and with what is remembered."""

    adapted: AdaptedScene
    remembering: AdaptedScene


class Feedback:
    """Of all cameras of the scoring worker. A full disk loses feedback, and no frame."""

    def __init__(self, scenes: Path, scorer: SceneScorer, metrics: Metrics) -> None:
        """Begin with what is on the disk.

        Args:
            scenes: Folder of all scenes.
            scorer: The model.
            metrics: Of the worker.
        """
        self._store = ExemplarStore(scenes)
        self._scorer = scorer
        self._metrics = metrics
        self._floods = LimitedWarning(LOG, period_seconds=600.0)
        self._moments: dict[str, tuple[int, PeakSamples[_ShownMoment]]] = {}
        self._applied: dict[str, _Applied] = {}

    def scene(self, camera: str, camera_scorer: CameraScorer) -> AdaptedScene:
        """The scene to score the next frame in; there is one."""
        adapted = camera_scorer.adaptation.scene
        assert adapted is not None  # `before` gave None, and it does so only with a scene
        applied = self._applied.get(camera)
        if applied is None or applied.adapted is not adapted:
            applied = _Applied(adapted, self._remembering(camera, camera_scorer, adapted))
            self._applied[camera] = applied
        return applied.remembering

    def take(
        self,
        frame: FrameMessage,
        camera_scorer: CameraScorer,
        judgement: ScoredFrame,
        exit_score: float,
        scores: Scores,
        place: int,
    ) -> None:
        """Keep what a frame shows, if it stands out from what is kept of a short while.

        Args:
            frame: That was judged.
            camera_scorer: Of its camera.
            judgement: What it means.
            exit_score: From this score on it stands out: it would keep an event up.
            scores: Of its batch.
            place: Its place there.
        """
        connection, moments = self._moments.get(frame.camera, (frame.connection, PeakSamples()))
        if connection != frame.connection:
            self._keep(frame.camera, moments.close())
        self._moments[frame.camera] = frame.connection, moments
        calibration, energy = camera_scorer.adaptation.calibration, float(scores.energies[place])
        stands_out = False
        if judgement.score is not None and judgement.state not in UNJUDGED and calibration:
            # The score follows the energy somewhat later: what comes into the picture counts too.
            stands_out = max(judgement.score, calibration.score(energy)) >= exit_score
        self._keep(
            frame.camera,
            moments.see(
                frame.pts_seconds,
                energy,
                stands_out,
                lambda: _ShownMoment(
                    frame.captured_at,
                    StoredExemplar(self._scorer.exemplar(scores, place), _edges(camera_scorer)),
                ),
            ),
        )

    def remember(
        self, camera: str, event: str, begin: float, end: float | None, newest: bool
    ) -> bool:
        """Let what an event showed be normal from now on.

        Args:
            camera: Its name.
            event: Its id.
            begin: When it began, Unix seconds.
            end: When it ended; None: it goes on.
            newest: Whether what it showed last counts most, as of what stays.

        Returns:
            False where nothing is kept of it any more.

        Raises:
            OSError: it cannot be written.
        """
        if camera in self._moments:
            self._keep(camera, self._moments[camera][1].take())
        until = time.time() if end is None else end
        kept = self._store.between(camera, begin - _LEAD_SECONDS, until, newest)
        if kept is None:
            LOG.warning("camera %s: nothing is kept of event %s, not remembered", camera, event)
            return False
        for gone in self._store.remember(camera, event, kept):
            LOG.info("camera %s: event %s is remembered no more, it is the oldest", camera, gone)
        self._applied.pop(camera, None)
        LOG.info("camera %s: what event %s showed is normal from now on", camera, event)
        return True

    def forget(self, camera: str, event: str) -> bool:
        """Let what an event showed be what it was; whether it was remembered.

        Raises:
            OSError: it cannot be deleted.
        """
        if not self._store.forget(camera, event):
            return False
        self._applied.pop(camera, None)
        LOG.info("camera %s: what event %s showed is not normal any more", camera, event)
        return True

    def alike(
        self,
        camera: str,
        camera_scorer: CameraScorer,
        span: tuple[float, float],
        earlier: Sequence[tuple[float, float]],
    ) -> list[bool]:
        """Which earlier spans of time showed what one of now showed.

        Args:
            camera: Its name.
            camera_scorer: Its camera_scorer.
            span: Begin and end, Unix seconds.
            earlier: Likewise.
        """
        scene = camera_scorer.adaptation.scene
        if camera in self._moments:
            self._keep(camera, self._moments[camera][1].take())
        seen = self._store.between(camera, span[0] - _LEAD_SECONDS, span[1], newest=False)
        if scene is None or seen is None:
            return [False] * len(earlier)
        found = []
        for begin, end in earlier:
            known = self._store.between(camera, begin - _LEAD_SECONDS, end, newest=False)
            found.append(
                known is not None
                and explained(scene, known.exemplar, seen.exemplar, self._scorer.config) >= _ALIKE
            )
        return found

    def leave(self, camera: str) -> None:
        """The camera is gone."""
        if camera in self._moments:
            self._keep(camera, self._moments.pop(camera)[1].close())
        self._applied.pop(camera, None)

    def close(self) -> None:
        """Keep what is in hand."""
        for camera in [*self._moments]:
            self.leave(camera)

    def _keep(self, camera: str, moments: Sequence[_ShownMoment]) -> None:
        for moment in moments:
            try:
                self._store.keep(camera, moment.captured_at, moment.kept)
            except OSError as error:
                self._floods.warn(f"camera {camera}: what stood out could not be kept: {error}")

    def _remembering(
        self, camera: str, camera_scorer: CameraScorer, adapted: AdaptedScene
    ) -> AdaptedScene:
        remembered = self._store.remembered(camera)
        self._metrics.events_accepted_as_normal.labels(camera).set(len(remembered))
        known = _edges(camera_scorer)
        used = [
            kept.exemplar
            for kept in remembered
            if misfit(kept.exemplar, adapted, self._scorer.config) is None
            and _same_view(kept.edges, known)
        ]
        if remembered:
            LOG.info(
                "camera %s: remembers %d events, %d of this view and model",
                camera,
                len(remembered),
                len(used),
            )
        return self._scorer.remember(adapted, used)


def _edges(camera_scorer: CameraScorer) -> Edges | None:
    known = None if camera_scorer.watch is None else camera_scorer.watch.known
    return None if known is None else known.edges


def _same_view(edges: Edges | None, known: Edges | None) -> bool:
    """Whether two views are the same as far as is known."""
    if edges is None or known is None:
        return True
    like = view_similarity(known, edges)
    return not like.reliable or like.same >= SAME_BELOW
