"""Several detectors on exactly the same clips: support, normal and planted queries, whole video.

A detector is a model with the support that it is given. Models that share a network look at every
clip once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.adaptation import AdaptedScene, adapt_observation
from models.inputs import grey_pixels
from models.scene_model import TERMS, Observation, SceneModel
from models.standardise import standardised_energy
from pipeline.evaluation.baselines import INTERVAL_SECONDS, FrameDifference
from pipeline.evaluation.roc import Values
from pipeline.evaluation.separation import DrawScores, Recording
from pipeline.training.episodes import IndependentClips

SCORES = ("energy", *TERMS)
"""The energy as a whole, then each pooled term alone."""
DIFFERENCE = "frame difference"
CLIP_LENGTH = 5
"""Frames of a drawn clip, 0.1 s apart; a model that wants fewer gets the newest."""
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A model as it is to be measured."""

    name: str
    model: SceneModel
    """In evaluation mode, of at most `CLIP_LENGTH` frames."""
    shots: int | None = None
    """The first so many support clips; None: all that are drawn."""
    tainted: float = 0.0
    """Share of support clips with something planted into them: each is, with this probability."""


class OneFrame(SceneModel):
    """Sees clips that repeat their newest frame: nothing moves."""

    def observe_input(
        self, pixels: Tensor, autocast: bool = False, ages: Tensor | None = None
    ) -> Observation:
        """Look at the newest frame of clips; see `SceneModel`."""
        return super().observe_input(pixels[:, -1:].expand_as(pixels), autocast, ages)


class Stage(Protocol):
    """A scene that clips can be drawn from."""

    @property
    def name(self) -> str:
        """For people."""

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """The next draw; clips of `CLIP_LENGTH` frames, grey or in colour."""

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """Every whole clip of each normal recording, in order, 0.1 s apart."""


@dataclass(frozen=True, slots=True, eq=False)
class StageScores:
    """What all detectors gave in one scene."""

    name: str
    detectors: dict[tuple[str, str], list[DrawScores]]
    """(detector, score) → its draws; the detector `DIFFERENCE` has the energy alone."""
    kinds: list[tuple[str, ...]]
    """For each draw the kinds of its planted clips."""
    tainted: dict[str, int]
    """For each detector the number of support clips that were tainted, over all draws."""


@dataclass(frozen=True, slots=True)
class MeasuringOptions:
    """How much is measured."""

    shots: int = 10
    draws: int = 3
    queries: int = 48
    """Normal clips a draw, and as many planted ones."""
    video: bool = True
    """Score the normal video of the scene too, frame by frame."""


def measure(
    stage: Stage,
    detectors: Sequence[Detector],
    options: MeasuringOptions,
    seen: Callable[[int], None] = lambda _: None,
) -> StageScores:
    """Draw clips of one scene and score them by every detector.

    Args:
        stage: The scene.
        detectors: With names of their own.
        options: How much is measured.
        seen: Told the number of clips after each batch.

    Raises:
        ValueError: a model wants longer clips than are drawn, colour where there is none, more
            shots than are drawn, or tainted support where there is none.
    """
    for detector in detectors:
        _check(detector, options)
    queries: list[tuple[_Scored, _Scored]] = []
    adapted: list[dict[str, AdaptedScene]] = []
    kinds, places = [], []
    tainted = dict.fromkeys((detector.name for detector in detectors), 0)
    for number in range(options.draws):
        drawn = stage.draw(options.shots, options.queries)
        scenes = {}
        for detector in detectors:
            mask = _taint(detector, drawn, number)
            tainted[detector.name] += int(mask.sum())
            scenes[detector.name] = _adapted(detector, drawn, mask)
        adapted.append(scenes)
        normal = _Scored.of(drawn.normal, detectors, [scenes], seen)
        queries.append((normal, _Scored.of(drawn.planted, detectors, [scenes], seen)))
        kinds.append(drawn.kinds)
        places.append(drawn.support_places)
    videos = []
    if options.video:
        videos = [_Scored.of(clips, detectors, adapted, seen) for clips in stage.recordings()]
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
    return StageScores(stage.name, found, kinds, tainted)


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Scores of some clips in the scenes of some draws."""

    values: list[dict[tuple[str, str], Values]]
    """For each draw (detector, score) → (clips,)."""

    @staticmethod
    @torch.no_grad()
    def of(
        clips: Iterable[Tensor],
        detectors: Sequence[Detector],
        scenes: Sequence[dict[str, AdaptedScene]],
        seen: Callable[[int], None],
    ) -> "_Scored":
        parts: list[dict[tuple[str, str], list[Values]]] = [{} for _ in scenes]
        for batch in _batches(clips):
            looked: dict[tuple[object, ...], Observation] = {}
            differences = _differences(batch)
            for detector in detectors:
                observation = look(detector.model, batch, looked)
                for part, of_draw in zip(parts, scenes, strict=True):
                    scored = _score(detector.model, observation, of_draw[detector.name])
                    for score, values in scored.items():
                        part.setdefault((detector.name, score), []).append(values)
            for part in parts:
                part.setdefault((DIFFERENCE, "energy"), []).append(differences)
            seen(len(batch))
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
        support[place] = drawn.tainted[place]
    support = support[: detector.shots]
    size_hw = (int(support.shape[-2]), int(support.shape[-1]))
    with torch.no_grad():
        return adapt_observation(detector.model, look(detector.model, support, {}), size_hw, "")


def _taint(detector: Detector, drawn: IndependentClips, number: int) -> Values:
    """Which support clips are tainted; those of a smaller share are among those of a larger."""
    count = len(drawn.support) if detector.shots is None else detector.shots
    if detector.tainted and not drawn.tainted.numel():
        raise ValueError(f"{detector.name}: want clips to taint the support with, got none")
    chance = np.random.default_rng([number, *np.ravel(drawn.support_places)]).random(count)
    return np.asarray(chance < detector.tainted, dtype=np.float64)


def look(
    model: SceneModel, clips: Tensor, looked: dict[tuple[object, ...], Observation]
) -> Observation:
    """What a model's network sees; looked at before if another model has the same network.

    Args:
        model: Of at most as many frames as the clips have; it gets the newest.
        clips: Grey (B, T, H, W), or RGB (B, T, 3, H, W), in [0, 1].
        looked: What was seen of these very clips so far; added to.

    Raises:
        ValueError: the model wants colour where there is none.
    """
    config = model.config
    motion = config.motion if config.motion_weight > 0 else None
    key = (id(model.backbone), config.clip_length, motion, type(model))
    if key not in looked:
        pixels = clips[:, -config.clip_length :]
        if config.colour and pixels.ndim == 4:
            raise ValueError(f"{config.preset}: want clips in colour, got grey ones")
        if not config.colour and pixels.ndim == 5:
            pixels = grey_pixels(pixels)
        looked[key] = model.observe_input(pixels.to(next(model.parameters()).device))
    return looked[key]


def _score(model: SceneModel, observation: Observation, scene: AdaptedScene) -> dict[str, Values]:
    terms = model.terms(observation, scene.dictionary, scene.row_normal)
    energies, _ = standardised_energy(terms, scene.usual, model.weights())
    columns = [energies, *terms.frames.unbind(1)]
    return {
        name: column.cpu().numpy().astype(np.float64)
        for name, column in zip(SCORES, columns, strict=False)  # a model may have no motion term
    }


def _differences(clips: Tensor) -> Values:
    """The differencing floor of each clip's newest frame."""
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
    """A normal video; the frames whose clips share pictures with a support clip do not count."""
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
