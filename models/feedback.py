"""Feedback exemplars: alerts that people labelled normal (ours, not in the paper).

`exemplar_of` stores of one sample the feature vectors of its cells with the highest energy, and the
motion there. `with_exemplars` adds exemplars to a scene, without a gradient step: as atoms that
their cell and the cells around it may use, and as motion that counts as typical there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.adaptation import AdaptedScene
from models.config import SceneModelConfig
from models.dictionary import Dictionary, farthest_first, prepare, safe_step
from models.energy import remaining_residual
from models.row_normal import log_ratio_at
from models.scene_exemplars import SceneExemplars
from models.scene_model import Observation

MOST_CELLS = 128
"""Most cells stored of one sample; a vehicle on 240×320 covers about as many."""
CELL_ATOMS = 48
"""Most exemplar atoms of one cell, chosen farthest first."""
_LEAST_RATIO = 0.2
"""Least energy of a stored cell, as a share of the highest cell's; below it is noise."""
REACH_CELLS = 3
"""Radius in cells around its place within which an exemplar is used."""
_CANDIDATES = 96
"""Number of candidates that the exemplar atoms are chosen from: the nearest, at equal distance the
newest."""
_MOTION_MARGIN = 0.25
"""In units of log motion: an exemplar allows a quarter more motion than it had."""
_NO_CLIP = -1
"""Clip number of an atom that comes from no support clip."""


@dataclass(frozen=True, slots=True, eq=False)
class FeedbackExemplar:
    """Features and motion of the anomalous cells of one sample; on the CPU, in half precision."""

    cells: Tensor
    """Places in row order, int64 (n,)."""
    vectors: Tensor
    """Their feature vectors from the network, float16 (n, d·l²)."""
    motion: Tensor
    """Motion of the cells, without the moving share (`models.motion`), float16 (n, C); (0,) where
    the model has no motion term."""
    grid_hw: tuple[int, int]
    """Rows and columns of cells in the frame."""
    model_id: str
    """Identity of the model that computed the features."""

    def __post_init__(self) -> None:
        """Check that the tensors fit together.

        Raises:
            ValueError: says what was got and what is wanted.
        """
        count, cells = self.cells.numel(), self.grid_hw[0] * self.grid_hw[1]
        if self.cells.shape != (count,) or self.vectors.shape[:1] != (count,):
            raise ValueError(
                f"exemplar: want a vector for each cell, got {tuple(self.vectors.shape)} "
                f"for {tuple(self.cells.shape)}"
            )
        if self.motion.numel() and self.motion.shape[:1] != (count,):
            raise ValueError(f"exemplar: want motion of {count} cells, got {self.motion.shape[0]}")
        if not ((self.cells >= 0) & (self.cells < cells)).all():
            raise ValueError(f"exemplar: want cells of a grid of {self.grid_hw}, got others")
        if not (torch.isfinite(self.vectors).all() and torch.isfinite(self.motion).all()):
            raise ValueError("exemplar: want finite values")


@torch.no_grad()
def exemplar_of(
    observation: Observation, anomaly_map: Tensor, config: SceneModelConfig, model_id: str
) -> FeedbackExemplar:
    """Store the anomalous cells of one sample.

    Args:
        observation: Of one clip.
        anomaly_map: Its map, (h, w), > 0 where the energy is above the typical one.
        config: Of the model.
        model_id: Its identity.
    """
    flat = anomaly_map.flatten()
    strongest = flat.topk(min(MOST_CELLS, flat.numel()))
    least = (_LEAST_RATIO * strongest.values[0]).clamp_min(0.0)
    cells = strongest.indices[strongest.values > least]
    place = cells.to(observation.features.device)
    vectors = feature_vectors_at(observation.features, place, config.receptive_field)
    motion = torch.zeros(0)
    if observation.motion is not None:
        motion = observation.motion[0, :-1].flatten(1).T[place]
    height, width = anomaly_map.shape
    return FeedbackExemplar(
        cells.cpu(), vectors.half().cpu(), motion.half().cpu(), (height, width), model_id
    )


def merge_exemplars(exemplars: Sequence[FeedbackExemplar]) -> FeedbackExemplar:
    """Merge the exemplars of several samples into one.

    Args:
        exemplars: At least one; of one model and one frame size.

    Raises:
        ValueError: none, or of several models or sizes.
    """
    kinds = {(one.model_id, one.grid_hw, one.vectors.shape[1]) for one in exemplars}
    if len(kinds) != 1:
        raise ValueError(f"exemplars: want one model and frame size, got {len(kinds)} kinds")
    return FeedbackExemplar(
        torch.cat([one.cells for one in exemplars]),
        torch.cat([one.vectors for one in exemplars]),
        torch.cat([one.motion for one in exemplars]),
        exemplars[0].grid_hw,
        exemplars[0].model_id,
    )


@torch.no_grad()
def with_exemplars(
    scene: AdaptedScene, exemplars: Sequence[FeedbackExemplar], config: SceneModelConfig
) -> AdaptedScene:
    """Return the scene with these exemplars in place of any earlier ones.

    Args:
        scene: Its earlier exemplars are dropped.
        exemplars: Oldest first; an empty sequence gives the scene as it was adapted.
        config: Of the model.

    Raises:
        ValueError: an exemplar of another model, or of another frame size.
    """
    for one in exemplars:
        if (problem := mismatch(one, scene, config)) is not None:
            raise ValueError(f"exemplar: {problem}")
    seen = [one for one in exemplars if one.cells.numel()]
    if not seen:
        return replace(scene, exemplars=None)
    height, width = seen[0].grid_hw
    dictionary = scene.dictionary
    device = dictionary.mean.device
    cells = torch.cat([one.cells for one in seen]).to(device)
    vectors = torch.cat([one.vectors for one in seen]).float().to(device)
    atoms = prepare(vectors.unsqueeze(1), dictionary.mean[cells], config).squeeze(1)
    near, table = _within_reach(cells, height, width)
    around = atoms[table.clamp_min(0)] * (table >= 0).unsqueeze(-1)
    chosen = farthest_first(around, CELL_ATOMS)
    added = torch.gather(around, 1, chosen.unsqueeze(-1).expand(-1, -1, around.shape[-1]))
    own = torch.cat([dictionary.own[near], added], dim=1)
    own_clip = torch.cat([dictionary.own_clip[near], torch.full_like(chosen, _NO_CLIP)], dim=1)
    second = Dictionary(
        own=own,
        shared=dictionary.shared,
        mean=dictionary.mean[near],
        step=safe_step(own, dictionary.shared),
        own_clip=own_clip,
        shared_clip=dictionary.shared_clip,
    )
    allowance = typical_motion = None
    usual = scene.usual.mean
    if seen[0].motion.numel() and scene.row_normal is not None:
        moved = torch.cat([one.motion for one in seen]).float().to(device)
        ratio = log_ratio_at(moved, scene.row_normal, cells // width)
        allowance = _allowance(cells, ratio, height, width)
        typical_motion = usual[1]
    added_to_scene = SceneExemplars(near, second, usual[0], allowance, typical_motion)
    return replace(scene, exemplars=added_to_scene)


def feature_vectors_at(features: Tensor, cells: Tensor, receptive_field: int) -> Tensor:
    """Feature vectors of some cells of one feature map: (1, d, h, w) → (cells, d·l²)."""
    columns = functional.unfold(features, receptive_field, padding=receptive_field // 2)
    return columns[0].T[cells]


def mismatch(
    exemplar: FeedbackExemplar, scene: AdaptedScene, config: SceneModelConfig
) -> str | None:
    """Why an exemplar cannot be used in a scene, as a message; None: it can."""
    if exemplar.model_id != scene.model_id:
        return f"want of model {scene.model_id}, got of model {exemplar.model_id}"
    height, width = (-(-size // config.stride) for size in scene.size_hw)
    values, found = scene.dictionary.mean.shape[1], exemplar.vectors.shape[1]
    if (exemplar.grid_hw, found) != ((height, width), values):
        return (
            f"want of a grid of {(height, width)} with {values} values, "
            f"got {exemplar.grid_hw} with {found}"
        )
    return None


def _within_reach(cells: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Find the cells that may use the exemplar atoms at `cells`.

    Returns:
        Cells that may use any, rising (R,), and for each the indices of its candidates, padded with
        −1, (R, at most 96).
    """
    reach = torch.arange(-REACH_CELLS, REACH_CELLS + 1, device=cells.device)
    down, right = (step.flatten() for step in torch.meshgrid(reach, reach, indexing="ij"))
    row = (cells // width).unsqueeze(1) + down
    column = (cells % width).unsqueeze(1) + right
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    number = torch.arange(cells.numel(), device=cells.device).unsqueeze(1).expand_as(row)[inside]
    far = torch.maximum(down.abs(), right.abs()).expand_as(row)[inside]
    target = (row * width + column)[inside]
    # The nearest first, at equal distance the newest.
    order = (far * cells.numel() + (cells.numel() - 1 - number)).argsort(stable=True)
    order = order[target[order].argsort(stable=True)]
    target, number = target[order], number[order]
    near, counts = torch.unique(target, return_counts=True)
    rank = torch.arange(target.numel(), device=cells.device)
    rank = rank - (counts.cumsum(0) - counts).repeat_interleave(counts)
    kept = rank < _CANDIDATES
    table = cells.new_full((near.numel(), int(rank[kept].max()) + 1), -1)
    line = torch.arange(near.numel(), device=cells.device).repeat_interleave(counts)
    table[line[kept], rank[kept]] = number[kept]
    return near, table


def _allowance(cells: Tensor, motion: Tensor, height: int, width: int) -> Tensor:
    """Highest exemplar motion in each cell's neighbourhood, plus a margin; −∞ elsewhere."""
    seen = motion.new_full((height * width,), -torch.inf)
    seen = seen.scatter_reduce(0, cells, motion + _MOTION_MARGIN, "amax")
    side = 2 * REACH_CELLS + 1
    grid = seen.view(1, 1, height, width)
    return functional.max_pool2d(grid, side, 1, REACH_CELLS)[0, 0]


@torch.no_grad()
def explained_share(
    scene: AdaptedScene, known: FeedbackExemplar, seen: FeedbackExemplar, config: SceneModelConfig
) -> float:
    """Share of one exemplar's excess residual that another exemplar explains.

    Args:
        scene: The scene of both.
        known: The exemplar that is added to the scene for this comparison only.
        seen: The exemplar to be explained.
        config: Of the model.

    Returns:
        Share 0 … 1 of the residual above the typical one; 0 where they cannot be compared.
    """
    if any(mismatch(one, scene, config) is not None for one in (known, seen)):
        return 0.0
    exemplars = with_exemplars(scene, [known], config).exemplars
    if exemplars is None or not seen.cells.numel():
        return 0.0
    device = scene.dictionary.mean.device
    cells, vectors = seen.cells.to(device), seen.vectors.float().to(device)
    left = remaining_residual(vectors, scene.dictionary, cells, config)
    excess = (left - exemplars.typical_residual).clamp_min(0.0)
    rows = torch.searchsorted(exemplars.cells, cells).clamp_max(exemplars.cells.numel() - 1)
    near = exemplars.cells[rows] == cells
    rest = excess.clone()
    if near.any():
        then = remaining_residual(vectors[near], exemplars.dictionary, rows[near], config)
        rest[near] = torch.minimum(excess[near], (then - exemplars.typical_residual).clamp_min(0.0))
    whole = float(excess.sum())
    return 1.0 - float(rest.sum()) / whole if whole > 0 else 0.0
