"""How far each of many clips stands out from the others, before some become a support (ours).

What runs through the scene while it is adapted to must not become normal. So more clips are looked
at than are needed, and each is coded over the dictionary of the others: what only one moment knows
stands out there, whatever it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from models.config import SceneModelConfig
from models.dictionary import build_dictionary
from models.scene_model import Observation, SceneModel

_NEIGHBOURS = 2
_LEAST_CLIPS = 5
"""With fewer there is no telling who of them is the odd one."""
_LEAST_SPREAD_RATIO = 0.25
"""Of the spread that the model expects: clips that are nearly alike shall not make outliers."""
_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class SupportCandidates:
    """Clips that the network has seen, and how far each stands out; see `SceneScorer.rated`."""

    observation: Observation
    size_hw: tuple[int, int]
    """Size of the clips in pixels."""
    outlier_scores: tuple[float, ...]
    """For each clip a robust z of its leave-one-out energy: 0 is the median, 1 one standard
    deviation above it; all 0 for fewer than five clips."""


@torch.no_grad()
def outlier_scores(
    model: SceneModel, observation: Observation, beside: Sequence[Sequence[int]] | None = None
) -> list[float]:
    """Robust z of each clip's energy under the atoms of the others.

    Args:
        model: In evaluation mode.
        observation: Of C clips, in the order of time.
        beside: Whoever crosses the picture is seen in clip after clip: for each clip the places of
            those that do not count as knowing it, its own among them; None: `neighbours`.

    Returns:
        One value a clip, unbounded, high = stands out.
    """
    count = observation.features.shape[0]
    if count < _LEAST_CLIPS:
        return [0.0] * count
    whole = build_dictionary(observation.features, _of_each_place(model.config))
    row_normal = model.row_normal(observation)
    pooled = [
        model.terms(observation[[clip]], whole.without(*near), row_normal).frames
        for clip, near in enumerate(neighbours(count) if beside is None else beside)
    ]
    terms = torch.cat(pooled)
    spread = torch.maximum(_deviation(terms), _LEAST_SPREAD_RATIO * model.prior_spread)
    energies = ((terms - terms.median(0).values) / spread) @ model.weights()
    return robust_z(energies.tolist())


def neighbours(count: int) -> list[range]:
    """Of so many clips for each itself and two on each side, where there are enough others."""
    reach = _NEIGHBOURS if count >= 4 * _NEIGHBOURS + 2 else 0
    return [range(max(0, clip - reach), min(count, clip + reach + 1)) for clip in range(count)]


def robust_z(values: Sequence[float]) -> list[float]:
    """Distances from the median in standard deviations, as the median distance gives them.

    Args:
        values: At least one; in units of an expected standard deviation, of which a quarter is the
            least that counts as one.
    """
    middle = median(values)
    spread = _MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
    return [(value - middle) / max(spread, _LEAST_SPREAD_RATIO) for value in values]


def _of_each_place(config: SceneModelConfig) -> SceneModelConfig:
    """Of a cell's own atoms only those of its very place: cheaper, and less is explained away."""
    return replace(config, window=1) if config.window else config


def _deviation(terms: Tensor) -> Tensor:
    return _MAD_TO_DEVIATION * (terms - terms.median(0).values).abs().median(0).values
