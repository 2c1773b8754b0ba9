"""Outlier scores of candidate clips, for the selection of a support (ours).

An anomaly during adaptation must not become normal. So more candidate clips are taken than needed,
and each is coded over the dictionary of the others: content of a single clip has a high energy
there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from models.calibration import MAD_TO_DEVIATION, robust_spread
from models.config import SceneModelConfig
from models.dictionary import build_dictionary
from models.scene_model import Observation, SceneModel

_NEIGHBOURS = 2
_LEAST_CLIPS = 5
"""With fewer clips an outlier cannot be identified."""
_LEAST_SPREAD_RATIO = 0.25
"""Least spread, as a share of the prior spread: otherwise nearly equal clips would give
outliers."""


@dataclass(frozen=True, slots=True, eq=False)
class SupportCandidates:
    """Features and outlier scores of candidate support clips; see `SceneScorer.rate_candidates`."""

    observation: Observation
    size_hw: tuple[int, int]
    """Size of the clips in pixels."""
    outlier_scores: tuple[float, ...]
    """For each clip the robust z of its leave-one-out energy: 0 is the median, 1 one standard
    deviation above it; all 0 for fewer than five clips."""


@torch.no_grad()
def outlier_scores(
    model: SceneModel, observation: Observation, excluded: Sequence[Sequence[int]] | None = None
) -> list[float]:
    """Robust z of each clip's energy under the atoms of the others.

    Args:
        model: In evaluation mode.
        observation: Of C clips, in the order of time.
        excluded: For each clip the indices of the clips whose atoms are left out, its own among
            them, because a person who crosses the view appears in successive clips; None:
            `neighbours`.

    Returns:
        One value a clip, unbounded, high = outlier.
    """
    count = observation.features.shape[0]
    if count < _LEAST_CLIPS:
        return [0.0] * count
    whole = build_dictionary(observation.features, _with_single_cell_window(model.config))
    row_normal = model.row_normal(observation)
    pooled = [
        model.terms(observation[[clip]], whole.without(*near), row_normal).frames
        for clip, near in enumerate(neighbours(count) if excluded is None else excluded)
    ]
    terms = torch.cat(pooled)
    spread = torch.maximum(_deviation(terms), _LEAST_SPREAD_RATIO * model.prior_spread)
    energies = ((terms - terms.median(0).values) / spread) @ model.weights()
    return robust_z(energies.tolist())


def neighbours(count: int) -> list[range]:
    """For each clip its own index and two on each side, where there are enough others."""
    reach = _NEIGHBOURS if count >= 4 * _NEIGHBOURS + 2 else 0
    return [range(max(0, clip - reach), min(count, clip + reach + 1)) for clip in range(count)]


def robust_z(values: Sequence[float]) -> list[float]:
    """Robust z: distance from the median in units of 1.4826 times the median absolute deviation.

    Args:
        values: At least one; in units of the prior standard deviation, a quarter of which is the
            least unit.
    """
    middle = median(values)
    spread = robust_spread(values, middle)
    return [(value - middle) / max(spread, _LEAST_SPREAD_RATIO) for value in values]


def _with_single_cell_window(config: SceneModelConfig) -> SceneModelConfig:
    """Restrict own atoms to those of the cell itself: cheaper, and outliers are explained less."""
    return replace(config, window=1) if config.window else config


def _deviation(terms: Tensor) -> Tensor:
    return MAD_TO_DEVIATION * (terms - terms.median(0).values).abs().median(0).values
