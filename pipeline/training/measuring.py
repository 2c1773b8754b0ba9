"""Measuring several detectors on the same clips: support, normal and planted queries, video.

A detector is a model with its own choice of support clips. A network shared by several models runs
once on each clip.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.adaptation import AdaptedScene, adapt_observation
from models.baselines.baseline import INTERVAL_SECONDS
from models.inputs import grey_pixels
from models.scene_model import TERMS, Observation, SceneModel
from models.standardise import standardised_energy
from pipeline.evaluation.baselines import FrameDifference
from pipeline.evaluation.roc import Values
from pipeline.evaluation.separation import DrawScores, Recording
from pipeline.training.measuring_sampler import IndependentClips

SCORES = ("energy", *TERMS)
"""The energy as a whole, then each pooled term alone."""
DIFFERENCE = "frame difference"
CLIP_LENGTH = 5
"""Frames of a drawn clip, 0.1 s apart; a model of fewer frames gets the newest."""
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A model and the support that it is measured with."""

    name: str
    model: SceneModel
    """In evaluation mode, of at most `CLIP_LENGTH` frames."""
    shots: int | None = None
    """Number of support clips, the first of those drawn; None: all."""
    contaminated: float = 0.0
    """Probability of each support clip to contain a planted anomaly."""


class OneFrame(SceneModel):
    """Model of clips that repeat their newest frame, without motion."""

    def observe_input(
        self, pixels: Tensor, autocast: bool = False, ages: Tensor | None = None
    ) -> Observation:
        """Compute features of the newest frame of clips; see `SceneModel`."""
        return super().observe_input(pixels[:, -1:].expand_as(pixels), autocast, ages)


class Stage(Protocol):
    """A scene that clips can be drawn from."""

    @property
    def name(self) -> str:
        """Name for messages."""

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """The next draw; clips of `CLIP_LENGTH` frames, grey or in colour."""

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """Every whole clip of each normal recording, in order, 0.1 s apart."""


@dataclass(frozen=True, slots=True, eq=False)
class StageScores:
    """Scores of all detectors in one scene."""

    name: str
    detectors: dict[tuple[str, str], list[DrawScores]]
    """(detector, score) → its draws; the detector `DIFFERENCE` has only the energy."""
    kinds: list[tuple[str, ...]]
    """For each draw, the kinds of its planted clips."""
    contaminated: dict[str, int]
    """For each detector, the number of contaminated support clips over all draws."""


@dataclass(frozen=True, slots=True)
class MeasuringOptions:
    """Amount of clips and video to measure on."""

    shots: int = 10
    draws: int = 3
    queries: int = 48
    """Normal clips a draw, and as many planted ones."""
    video: bool = True
    """Also score the normal video of the scene, frame by frame."""


def measure(
    stage: Stage,
    detectors: Sequence[Detector],
    options: MeasuringOptions,
    on_scored: Callable[[int], None] = lambda _: None,
) -> StageScores:
    """Draw clips of one scene and score them by every detector.

    Args:
        stage: The scene.
        detectors: With distinct names.
        options: Amount of clips and video.
        on_scored: Called with the number of clips after each batch.

    Raises:
        ValueError: a model needs longer clips than are drawn, colour where there is none, more
            shots than are drawn, or contaminated support where there is none.
    """
    for detector in detectors:
        _check(detector, options)
    queries: list[tuple[_Scored, _Scored]] = []
    adapted: list[dict[str, AdaptedScene]] = []
    kinds, places = [], []
    contaminated = dict.fromkeys((detector.name for detector in detectors), 0)
    for number in range(options.draws):
        drawn = stage.draw(options.shots, options.queries)
        scenes = {}
        for detector in detectors:
            mask = _contaminated(detector, drawn, number)
            contaminated[detector.name] += int(mask.sum())
            scenes[detector.name] = _adapted(detector, drawn, mask)
        adapted.append(scenes)
        normal = _Scored.of(drawn.normal, detectors, [scenes], on_scored)
        queries.append((normal, _Scored.of(drawn.planted, detectors, [scenes], on_scored)))
        kinds.append(drawn.kinds)
        places.append(drawn.support_places)
    videos = []
    if options.video:
        videos = [_Scored.of(clips, detectors, adapted, on_scored) for clips in stage.recordings()]
    found: dict[tuple[str, str], list[DrawScores]] = {}
    for key in queries[0][0].values[0]:
        found[key] = [
            DrawScores(
                normal.values[0][key],
                planted.values[0][key],
                tuple(
                    _recording(video.values[draw][key], recording, places[draw])
                    for recording, video in enumerate(videos)
                ),
            )
            for draw, (normal, planted) in enumerate(queries)
        ]
    return StageScores(stage.name, found, kinds, contaminated)


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Scores of some clips in the scenes of some draws."""

    values: list[dict[tuple[str, str], Values]]
    """For each draw: (detector, score) → (clips,)."""

    @staticmethod
    @torch.no_grad()
    def of(
        clips: Iterable[Tensor],
        detectors: Sequence[Detector],
        scenes: Sequence[dict[str, AdaptedScene]],
        on_scored: Callable[[int], None],
    ) -> "_Scored":
        parts: list[dict[tuple[str, str], list[Values]]] = [{} for _ in scenes]
        for batch in _batches(clips):
            cache: dict[tuple[object, ...], Observation] = {}
            differences = _differences(batch)
            for detector in detectors:
                observation = compute_features(detector.model, batch, cache)
                for part, of_draw in zip(parts, scenes, strict=True):
                    scored = _score(detector.model, observation, of_draw[detector.name])
                    for score, values in scored.items():
                        part.setdefault((detector.name, score), []).append(values)
            for part in parts:
                part.setdefault((DIFFERENCE, "energy"), []).append(differences)
            on_scored(len(batch))
        return _Scored(
            [{key: np.concatenate(values) for key, values in part.items()} for part in parts]
        )


def _check(detector: Detector, options: MeasuringOptions) -> None:
    length, shots = detector.model.config.clip_length, detector.shots
    if length > CLIP_LENGTH:
        raise ValueError(
            f"{detector.name}: want a model of at most {CLIP_LENGTH} frames, got {length}"
        )
    interval = detector.model.config.clip_interval_seconds
    if length > 1 and abs(interval - INTERVAL_SECONDS) > 1e-9:
        raise ValueError(
            f"{detector.name}: want frames {INTERVAL_SECONDS:g} s apart, got {interval:g} s"
        )
    if shots is not None and not 1 <= shots <= options.shots:
        raise ValueError(f"{detector.name}: want 1 to {options.shots} shots, got {shots}")


def _adapted(detector: Detector, drawn: IndependentClips, mask: Values) -> AdaptedScene:
    support = drawn.support.clone()
    for place in np.flatnonzero(mask):
        support[place] = drawn.contaminated[place]
    support = support[: detector.shots]
    size_hw = (int(support.shape[-2]), int(support.shape[-1]))
    with torch.no_grad():
        observation = compute_features(detector.model, support, {})
        return adapt_observation(detector.model, observation, size_hw, "")


def _contaminated(detector: Detector, drawn: IndependentClips, number: int) -> Values:
    """Mask of the contaminated support clips; nested for growing shares."""
    count = len(drawn.support) if detector.shots is None else detector.shots
    if detector.contaminated and not drawn.contaminated.numel():
        raise ValueError(f"{detector.name}: want contaminated support clips, got none")
    chance = np.random.default_rng([number, *np.ravel(drawn.support_places)]).random(count)
    return np.asarray(chance < detector.contaminated, dtype=np.float64)


def compute_features(
    model: SceneModel, clips: Tensor, cache: dict[tuple[object, ...], Observation]
) -> Observation:
    """Features and motion of clips; taken from the cache if another model has the same network.

    Args:
        model: Of at most as many frames as the clips have; it gets the newest.
        clips: Grey (B, T, H, W), or RGB (B, T, 3, H, W), in [0, 1].
        cache: Observations of the same clips by network; extended.

    Raises:
        ValueError: the model needs colour where there is none.
    """
    config = model.config
    motion = config.motion if config.motion_weight > 0 else None
    key = (id(model.backbone), config.clip_length, motion, type(model))
    if key not in cache:
        pixels = clips[:, -config.clip_length :]
        if config.colour and pixels.ndim == 4:
            raise ValueError(f"{config.preset}: want clips in colour, got grey ones")
        if not config.colour and pixels.ndim == 5:
            pixels = grey_pixels(pixels)
        cache[key] = model.observe_input(pixels.to(next(model.parameters()).device))
    return cache[key]


def _score(model: SceneModel, observation: Observation, scene: AdaptedScene) -> dict[str, Values]:
    terms = model.terms(observation, scene.dictionary, scene.row_normal)
    energies, _ = standardised_energy(terms, scene.usual, model.weights())
    columns = [energies, *terms.frames.unbind(1)]
    return {
        name: column.cpu().numpy().astype(np.float64)
        for name, column in zip(SCORES, columns, strict=False)  # a model may have no motion term
    }


def _differences(clips: Tensor) -> Values:
    """Frame-difference baseline of each clip's newest frame."""
    grey = grey_pixels(clips) if clips.ndim == 5 else clips
    pixels = (grey[:, -2:, ..., None] * 255).round().to(torch.uint8).expand(-1, -1, -1, -1, 3)
    floor = FrameDifference()
    found = []
    for earlier, newest in pixels.numpy():
        floor.reset()
        floor.push(0.0, np.ascontiguousarray(earlier))
        found.append(floor.push(INTERVAL_SECONDS, np.ascontiguousarray(newest)))
    return np.array(found)


def _recording(values: Values, number: int, places: Sequence[tuple[int, int]]) -> Recording:
    """Scores of a normal video; clips that share frames with a support clip do not count."""
    newest = np.arange(len(values)) + CLIP_LENGTH - 1
    counted = np.ones(len(values), dtype=np.bool_)
    for recording, place in places:
        if recording == number:
            counted &= np.abs(newest - place) >= CLIP_LENGTH
    return Recording(values, (newest * INTERVAL_SECONDS).astype(np.float64), counted)


def _batches(clips: Iterable[Tensor]) -> Iterator[Tensor]:
    remaining = iter(clips)
    while batch := list(islice(remaining, _BATCH)):
        yield torch.stack(batch)
