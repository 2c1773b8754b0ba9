"""Figures of the paper as numbers and pictures: loss curves, and samples over Langevin steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from models.config import PAPER, Shrinkage
from models.scene_model import SceneModel
from models.training.langevin import LangevinOptions, sample
from models.training.meta_training import Trainer, TrainingOptions
from models.training.objectives import Episode, mean_energy
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip

_PARTS = 6
"""Parts of a run that the loss is averaged over."""
_SHRINKAGES: tuple[Shrinkage, ...] = ("soft", "sigshrink")
_SHOWN = 4


def loss_curves(
    scenes: Mapping[str, Sequence[SceneClip]],
    iterations: int,
    size_hw: tuple[int, int],
    queries: int,
    console: Console,
) -> dict[str, list[float]]:
    """Loss of the paper's model and objective with each shrinkage, from the same initial weights.

    Args:
        scenes: In colour.
        iterations: Of each run, at least 6; one task a step.
        size_hw: Size of frames, multiples of 32.
        queries: Normal and corrupted queries of a task.
        console: Where each run is announced.

    Returns:
        For each shrinkage the mean loss of each sixth of the run.
    """
    found = {}
    for shrinkage in _SHRINKAGES:
        console.print(f"{iterations} iterations with {shrinkage}")
        trainer = Trainer(
            untrained(size_hw, shrinkage),
            TrainingOptions(
                iterations,
                episodes=1,
                learning_rate=1e-4,
                weight_decay=0.0,
                discriminative_weight=0.0,
                contrastive_weight=1.0,
            ),
        )
        sampler = episodes(scenes, size_hw, queries)
        losses = [trainer.step(sampler.draw).loss for _ in range(iterations)]
        found[shrinkage] = [mean(part) for part in np.array_split(losses, _PARTS)]
    return found


def energies_over_steps(
    model: SceneModel, episode: Episode, steps: int, picture: Path | None
) -> dict[str, list[float]]:
    """Mean energy of samples after each Langevin step, from patches and from noise.

    Args:
        model: In evaluation mode.
        episode: With normal and corrupted queries.
        steps: Number of steps.
        picture: PNG to write: a row a clip, its start and the samples after each step; or None.

    Returns:
        For `patches` and `noise` the energies of the start and after each step; for `normal` the
        energy of the normal queries, `steps` + 1 times.

    Raises:
        FloatingPointError: sampling diverged.
    """
    with torch.no_grad():
        dictionary = model.dictionary(model.observe_input(episode.support))
    energy = mean_energy(model, dictionary)
    noise = torch.rand(episode.corrupted.shape, generator=torch.Generator().manual_seed(0))
    rows: list[list[Tensor]] = []
    with torch.no_grad():
        found = {"normal": [float(energy(episode.normal).mean())] * (steps + 1)}
    for name, start in (("patches", episode.corrupted), ("noise", noise)):
        random = torch.Generator().manual_seed(1)
        states = sample(energy, start, LangevinOptions(steps=steps), random).states
        with torch.no_grad():
            found[name] = [float(energy(clips).mean()) for clips in (start, *states)]
        rows += [[clips[number, -1] for clips in (start, *states)] for number in range(len(start))]
    if picture is not None:
        sheet = torch.cat([torch.cat(row, 2) for row in rows], 1).permute(1, 2, 0)
        pixels = (sheet * 255).round().to(torch.uint8).numpy()
        picture.parent.mkdir(parents=True, exist_ok=True)
        _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        picture.write_bytes(png.tobytes())
    return found


def untrained(size_hw: tuple[int, int], shrinkage: Shrinkage) -> SceneModel:
    """The paper's model with random weights, the same for every shrinkage."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SceneModel(replace(PAPER, size_hw=size_hw, shrinkage=shrinkage))


def episodes(
    scenes: Mapping[str, Sequence[SceneClip]], size_hw: tuple[int, int], queries: int = _SHOWN
) -> EpisodeSampler:
    """Episodes of whole frames with normal and corrupted queries, five shots."""
    options = EpisodeOptions(
        clip_length=1,
        stride=32,
        crop_hw=size_hw,
        shots=(5,),
        queries=0,
        patched=queries,
        augment=False,
    )
    return EpisodeSampler({name: list(clips) for name, clips in scenes.items()}, options, 0)


def as_rows(curves: Mapping[str, Any]) -> list[str]:
    """A Markdown table: a row a curve."""
    count = max(len(curve) for curve in curves.values())
    lines = [f"| | {' | '.join(str(number) for number in range(count))} |"]
    lines.append(f"|{'---|' * (count + 1)}")
    for name, curve in curves.items():
        lines.append(f"| {name} | {' | '.join(f'{value:.4f}' for value in curve)} |")
    return lines
