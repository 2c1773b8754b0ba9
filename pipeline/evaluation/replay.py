"""A recording scored as a live camera is, in one process: by the same `CameraScorer`."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from prometheus_client import CollectorRegistry

from cameras import Picture
from cameras.sampling import Sampler, resize
from models import AdaptedScene, SceneScorer
from pipeline.config import AdaptSection, Camera
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scoring.camera_scorer import CameraScorer
from pipeline.scoring.frame_stepper import ClippedFrame
from pipeline.scoring.scoring_batch import score_clips
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.clock import PROCESS_CLOCK
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import FrameMessage

Pixels = npt.NDArray[np.uint8]

_NAME = "recording"
_CONNECTION = 1


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedFrame:
    """One sampled frame and its result."""

    index: int
    """Position among the sampled frames, from 0."""
    pts_seconds: float
    pixels: Pixels
    """uint8 (H, W, 3), RGB, as large as it was decoded."""
    judgement: ScoredFrame
    anomaly_map: npt.NDArray[np.float32] | None
    """(h, w) in units of the score; None as long as there is no scene."""
    gradient: npt.NDArray[np.float32] | None = None
    """Pooled gradient heatmap (h, w); None where it is not wanted, or without scene."""


def replay(
    pictures: Iterable[Picture],
    scorer: SceneScorer,
    adaptation: Adaptation,
    frames_per_second: float,
    batch_size: int = 8,
    adapt: AdaptSection | None = None,
    with_gradients: bool = False,
) -> Iterator[ReplayedFrame]:
    """Score every sampled frame of a recording, in order.

    View changes, illumination changes and refits have the same effects as in the live pipeline.
    Scenes are stored in a temporary folder.

    Args:
        pictures: The recording.
        scorer: The model.
        adaptation: The first scene; collects its support from the recording unless it has one.
        frames_per_second: Rate of the sampling.
        batch_size: Frames scored at once; the scores do not depend on it.
        adapt: Settings for what `adaptation` does not decide, such as `on_light_change`; None:
            the default ones.
        with_gradients: Compute the gradient heatmap of every frame too.

    Raises:
        SourceError: the recording cannot be decoded.
    """
    sampler = Sampler(frames_per_second)
    sampled = (picture for picture in pictures if sampler.accept(picture.pts_seconds))
    with TemporaryDirectory() as folder:
        run = _Replay(Path(folder), scorer, adaptation, adapt or AdaptSection(), with_gradients)
        pending: list[_Pending] = []
        for index, picture in enumerate(sampled):
            pending.append(run.take(index, picture))
            if len(pending) == batch_size:
                yield from run.judge(pending)
                pending.clear()
        yield from run.judge(pending)


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """A frame that waits for its batch."""

    picture: Picture
    clipped: ClippedFrame


class _Replay:
    """One camera scorer and its builder, in one thread."""

    def __init__(
        self,
        folder: Path,
        scorer: SceneScorer,
        adaptation: Adaptation,
        adapt: AdaptSection,
        with_gradients: bool,
    ) -> None:
        self._with_gradients = with_gradients
        metrics = Metrics(CollectorRegistry())
        self._scorer = scorer
        self._shared = SharedParts.in_folder(folder, scorer, metrics, PROCESS_CLOCK, threaded=False)
        settings = Camera.model_validate({"source": _NAME, "adapt": adapt})
        self._camera = CameraScorer(_NAME, settings, self._shared, adaptation)

    def take(self, index: int, picture: Picture) -> _Pending:
        """The next frame and its clip."""
        seconds = picture.pts_seconds
        pixels = resize(picture.pixels, self._scorer.config.size_hw)
        self._camera.take(
            FrameMessage(_NAME, _CONNECTION, index, seconds, seconds, 0.0, 0, False, 0, pixels)
        )
        clipped = self._camera.stepper.next_clip()
        assert clipped is not None  # it was taken
        return _Pending(picture, clipped)

    def judge(self, pending: Sequence[_Pending]) -> Iterator[ReplayedFrame]:
        """The results of some frames, whose clips are scored at once as long as the scene stays."""
        camera, stepper, builder = self._camera, self._camera.stepper, self._shared.builder
        scene, scores = None, {}
        still, judged_places = copy(stepper.stillness), list[int]()
        for place, one in enumerate(pending):
            work = camera.step(one.clipped)
            if work.waiting is None:
                if camera.scene() is not scene:
                    # Those after the change were scored in the scene before, or not at all.
                    stepper.stillness = still
                    for earlier in judged_places:
                        assert scene is not None
                        still.slot(pending[earlier].clipped.clip[-1], scene)
                    scene, still, judged_places = camera.scene(), copy(still), []
                    full = [n for n in range(place, len(pending)) if pending[n].clipped.full]
                    items = [camera.item(pending[n].clipped) for n in full]
                    scores = dict(zip(full, score_clips(self._scorer, items), strict=True))
                judged_places.append(place)
            judged = camera.judge(work, scores.get(place))
            picture = one.picture
            yield ReplayedFrame(
                work.frame.index,
                picture.pts_seconds,
                picture.pixels,
                judged.judgement,
                judged.anomaly_map,
                self._gradient(one, scene) if judged.anomaly_map is not None else None,
            )
            camera.follow_up(work)
            stepper.finish(_CONNECTION, work.frame.index)
            camera.abandon_outdated()
            builder.build_pending()
            builder.apply_results()
            camera.apply_results()

    def _gradient(
        self, one: _Pending, scene: AdaptedScene | None
    ) -> npt.NDArray[np.float32] | None:
        if not self._with_gradients or scene is None:
            return None
        (heatmaps,) = self._scorer.gradient_maps(torch.from_numpy(one.clipped.clip[None]), [scene])
        return heatmaps[0].numpy()


def score_record(camera: str, frame: ReplayedFrame) -> dict[str, object]:
    """One frame as plain data: an object of scores.jsonl.

    Args:
        camera: Name of the recording.
        frame: Its numbers are null as long as there is no scene.
    """
    judgement = frame.judgement
    return {
        "camera": camera,
        "index": frame.index,
        "pts_seconds": round(frame.pts_seconds, 6),
        "energy": judgement.energy,
        "score": judgement.score,
        "threshold": judgement.threshold,
        "state": judgement.state,
    }
