"""The mean of several weights that went on from the same ones (ours, not in the paper).

Runs that begin from one network end in one valley of the loss, and their mean lies lower in it than
most of them (Wortsman et al., Model soups, ICML 2022). It costs nothing when a frame is scored.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from models.config import PRESETS
from models.scene_model import SceneModel


def mean_of(models: Sequence[SceneModel]) -> SceneModel:
    """One model with the mean of the others' weights, and of their typical energies.

    Args:
        models: At least two of one preset with the same widths. How a scene is coded and judged is
            the preset's of today, whatever it was when they were trained.

    Raises:
        ValueError: fewer than two, or they are not of one shape.
    """
    if len(models) < 2:
        raise ValueError(f"averaging: want at least 2 weights, got {len(models)}")
    kinds = sorted({(model.config.preset, model.config.widths) for model in models})
    if len(kinds) > 1:
        raise ValueError(f"averaging: want weights of one preset and widths, got {kinds}")
    preset, widths = kinds[0]
    mean = SceneModel(replace(PRESETS[preset], widths=widths))
    states = [model.state_dict() for model in models]
    mean.load_state_dict(
        {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    )
    return mean.eval()
