"""Normal motion of each row of a scene: perspective without a camera model (ours).

People near the camera cover more pixels, and more pixels a second, than people far away. In a fixed
view both depend on the row, nearly linearly, so that two parameters fitted on a few support clips
are enough; motion is then expressed as a multiple of the fitted value.
"""

import torch
from torch import Tensor

from models.motion import BOXES

QUANTILE = 0.7
"""Quantile of the motion of a row's moving cells that is its normal."""
_AROUND = 1
"""Rows of cells on each side that are pooled with a row."""
_MOVING = 0.05
"""Share of a cell's box that must move for the cell to count."""
_FEWEST_CELLS = 8
"""Least number of moving cells of a row, with the rows around it, for the row to count."""
_FLOOR = 0.3
"""Lowest normal of a row, as a share of the median row's: a line may pass zero."""
_PRIOR = 2.5
"""Prior normal of a row, in pixels a frame interval: median of the training scenes at 240×320."""
_PRIOR_CELLS = 30.0
"""Weight of the prior in moving cells."""
_LOG_OFFSET = 0.3
"""Added to a ratio before its logarithm: below it, less motion makes little difference."""


@torch.no_grad()
def fit_row_normal(motion: Tensor) -> Tensor:
    """Fit the normal of every row.

    Args:
        motion: Of the support, as `models.motion.observe_motion` gives it, (K, C + 1, h, w).

    Returns:
        (C, h), positive.
    """
    values, moving = motion[:, :-1], motion[:, -1:] > _MOVING
    clips, channels, height, width = values.shape
    marked = torch.where(moving, values, torch.nan).permute(1, 2, 0, 3)
    padding = torch.full((channels, _AROUND, clips, width), torch.nan, device=motion.device)
    padded = torch.cat([padding, marked, padding], dim=1)
    # (C, h, K · rows · w): motion of each row and those around it.
    around = padded.unfold(1, 2 * _AROUND + 1, 1).flatten(2)
    counts = (~around[0].isnan()).sum(-1)
    known = counts >= _FEWEST_CELLS
    prior = motion.new_full((channels, height), _PRIOR)
    if not bool(known.any()):
        return prior
    quantiles = torch.nanquantile(around[:, known], QUANTILE, dim=-1)
    middle = quantiles.median(dim=-1, keepdim=True).values
    rows = torch.arange(height, device=motion.device, dtype=motion.dtype)
    if int(known.sum()) < 3:
        line = quantiles.mean(dim=-1, keepdim=True).expand(-1, height)
    else:
        line = _line(rows[known], quantiles, counts[known].to(motion.dtype), rows)
    normal = torch.maximum(line, _FLOOR * middle).clamp_min(1e-3)
    cells = float(moving.sum())
    share = cells / (cells + _PRIOR_CELLS)
    return torch.exp(share * normal.log() + (1.0 - share) * prior.log())


def log_ratio(motion: Tensor, normal: Tensor) -> Tensor:
    """Log of the motion of every cell as a multiple of what is normal in its row.

    Args:
        motion: (B, C + 1, h, w).
        normal: (C, h).

    Returns:
        (B, lags, h, w), log of the mean over the boxes; at least log 0.3, about 0.3 for a walker
        like those of the support.
    """
    return _by_lag(motion[:, :-1] / normal.unsqueeze(-1))


def log_ratio_at(motion: Tensor, normal: Tensor, rows: Tensor) -> Tensor:
    """`log_ratio` of single cells.

    Args:
        motion: Of n cells, without the moving share, (n, C).
        normal: (C, h).
        rows: Row of each cell, int (n,).

    Returns:
        (n,), mean over the lags.
    """
    return _by_lag(motion / normal[:, rows].T).mean(1)


def _by_lag(ratio: Tensor) -> Tensor:
    """(B, C, …) to (B, lags, …)."""
    by_lag = ratio.reshape(ratio.shape[0], -1, len(BOXES), *ratio.shape[2:]).mean(2)
    return torch.log(by_lag + _LOG_OFFSET)


def _line(x: Tensor, y: Tensor, weights: Tensor, at: Tensor) -> Tensor:
    """Weighted least squares of y (C, n) over x (n,), evaluated at some places: (C, places)."""
    share = weights / weights.sum()
    middle_x, middle_y = (share * x).sum(), (share * y).sum(-1, keepdim=True)
    deviation = x - middle_x
    slope = (share * deviation * (y - middle_y)).sum(-1) / (share * deviation.square()).sum()
    return middle_y + slope.unsqueeze(-1) * (at - middle_x)
