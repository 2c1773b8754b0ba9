"""Validation: separation of planted anomalies from normal clips in held-out scenes.

All design choices are based on this measure; labels of test sets are not used. `vedette train` ends
with `leave_scenes_out`; `HeldOutScene` is for `pipeline.training.measuring`, where normal and
planted clips come from different times.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from models.adaptation import adapt_observation
from models.config import SceneModelConfig
from models.scene_model import Observation, SceneModel
from models.standardise import standardised_energy
from pipeline.training.measuring import CLIP_LENGTH, compute_features
from pipeline.training.measuring_sampler import IndependentClips, MeasuringSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip

_BATCH = 8


@dataclass(frozen=True, slots=True)
class SceneResult:
    """Frame AUROC (0 … 1) of normal against planted clips in one scene."""

    scene: str
    energy: float
    """Of the energy as a whole."""
    terms: tuple[float, ...]
    """Of each pooled term alone: residual, and motion where the model has it."""


def held_out_options(config: SceneModelConfig) -> EpisodeOptions:
    """Options for whole frames at the size of that model, without augmentation."""
    return EpisodeOptions(
        clip_length=config.clip_length,
        stride=config.stride,
        crop_hw=config.size_hw,
        augment=False,
    )


@torch.no_grad()
def leave_scenes_out(
    model: SceneModel,
    scenes: dict[str, list[SceneClip]],
    names: list[str],
    shots: int = 10,
    queries: int = 24,
    seed: int = 0,
) -> list[SceneResult]:
    """Measure on each named scene; foreign patches come from all scenes."""
    sampler = MeasuringSampler(scenes, held_out_options(model.config), seed)
    results = []
    for name in names:
        support, normal, planted = sampler.normal_and_planted(name, shots, queries)
        scene = adapt_observation(model, model.observe_input(support), model.config.size_hw, "")
        labels = [0] * len(normal) + [1] * len(planted)
        energies, terms = [], []
        for batch in torch.split(torch.cat([normal, planted]), _BATCH):
            seen = model.terms(model.observe_input(batch), scene.dictionary, scene.row_normal)
            energies.append(standardised_energy(seen, scene.usual, model.weights())[0])
            terms.append(seen.frames)
        pooled = torch.cat(terms)
        results.append(
            SceneResult(
                name,
                float(roc_auc_score(labels, torch.cat(energies).numpy())),
                tuple(float(roc_auc_score(labels, column.numpy())) for column in pooled.T),
            )
        )
    return results


def measure_priors(
    model: SceneModel, scenes: dict[str, list[SceneClip]], shots: int = 10, queries: int = 8
) -> tuple[Tensor, Tensor]:
    """Typical mean and spread of the pooled terms on normal clips, over all scenes.

    Returns:
        Median over the scenes' medians and over their standard deviations, (terms,) each: the
        model's `prior_mean` and `prior_spread`. Not the mean: in scenes with little motion the
        logarithm of motion varies strongly, and a few such scenes would dominate.
    """
    return measure_priors_of([model], scenes, shots, queries)[0]


@torch.no_grad()
def measure_priors_of(
    models: Sequence[SceneModel],
    scenes: dict[str, list[SceneClip]],
    shots: int = 10,
    queries: int = 8,
    on_scene: Callable[[], None] = lambda: None,
) -> list[tuple[Tensor, Tensor]]:
    """`measure_priors` of several models with the same clips; a shared network runs once."""
    sampler = MeasuringSampler(scenes, held_out_options(models[0].config), seed=1)
    medians: list[list[Tensor]] = [[] for _ in models]
    spreads: list[list[Tensor]] = [[] for _ in models]
    for name in sampler.scenes:
        support, normal, _ = sampler.normal_and_planted(name, shots, queries)
        supports: dict[tuple[object, ...], Observation] = {}
        normals: dict[tuple[object, ...], Observation] = {}
        for number, model in enumerate(models):
            known = compute_features(model, support, supports)
            dictionary, row_normal = model.dictionary(known), model.row_normal(known)
            frames = model.terms(
                compute_features(model, normal, normals), dictionary, row_normal
            ).frames
            medians[number].append(frames.median(0).values)
            spreads[number].append(frames.std(0))
        on_scene()
    return [
        (torch.stack(middle).median(0).values, torch.stack(spread).median(0).values)
        for middle, spread in zip(medians, spreads, strict=True)
    ]


class HeldOutScene:
    """A held-out scene; its draws do not depend on the other scenes or on the order."""

    def __init__(self, sampler: MeasuringSampler, name: str, seed: int = 0) -> None:
        """Take a scene.

        Args:
            sampler: Created with `measuring_options`; several scenes may share it one after
                another.
            name: Of the scene.
            seed: The same seed gives the same clips.
        """
        self.name = name
        self._sampler = sampler
        sampler.reseed(zlib.crc32(name.encode()) + seed)

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """The next draw."""
        return self._sampler.independent(self.name, shots, queries)

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """Every whole clip of each of its videos."""
        return self._sampler.recordings(self.name)


def measuring_options(size_hw: tuple[int, int]) -> EpisodeOptions:
    """Options for whole frames of that size, in clips that fit every model."""
    return EpisodeOptions(clip_length=CLIP_LENGTH, crop_hw=size_hw, augment=False)


def untrained_scenes(
    provenances: Sequence[Mapping[str, object]], names: Sequence[str]
) -> list[str]:
    """Scenes that every model held out, or else scenes that no model was trained on.

    Args:
        provenances: Of each model, from its checkpoint.
        names: All scenes.
    """
    held_out = [_names(one.get("held_out")) for one in provenances]
    common = set(names).intersection(*held_out)
    if not common:
        common = set(names).difference(*(_names(one.get("scenes")) for one in provenances))
    return [name for name in names if name in common]


def _names(value: object) -> set[str]:
    return set(map(str, value)) if isinstance(value, (list, dict)) else set()
