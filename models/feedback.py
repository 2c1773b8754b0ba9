"""The memory of a scene: what people labelled normal after all (ours, not in the paper).

`exemplar_of` keeps of a moment what made it stand out: the feature vectors of its strongest cells,
and what moved there. `remember` gives them to a scene, without a gradient step: as atoms that
their cell and those around it may use, and as motion that is nothing unusual there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.adaptation import AdaptedScene
from models.config import SceneModelConfig
from models.dictionary import Dictionary, farthest_first, prepare, safe_step
from models.row_normal import log_ratio_at
from models.scene_exemplars import SceneExemplars, left_over
from models.scene_model import Observation

MOST_CELLS = 128
"""Cells that are kept of one moment; a vehicle on 240×320 covers about as many."""
CELL_ATOMS = 48
"""Remembered atoms that a cell uses at most, chosen farthest first."""
_LEAST_RATIO = 0.2
"""Of the strongest cell; what stands out less is noise, and nobody's business."""
REACH_CELLS = 3
"""How far around its place what is remembered holds."""
_CANDIDATES = 96
"""Atoms that these are chosen from: the nearest, and of those as near the newest."""
_MOTION_MARGIN = 0.25
"""In units of log motion: the same again may move a quarter more."""
_NO_CLIP = -1
"""Number of the support clip of an atom that is of none."""


@dataclass(frozen=True, slots=True, eq=False)
class FeedbackExemplar:
    """What stood out at one moment; on the CPU, in half precision."""

    cells: Tensor
    """Places in row order, int64 (n,)."""
    vectors: Tensor
    """Their feature vectors as the network gave them, float16 (n, d·l²)."""
    motion: Tensor
    """What moved there, without the moving share (`models.motion`), float16 (n, C); (0,) where the
    model has no motion term."""
    grid_hw: tuple[int, int]
    """Cells of the picture."""
    model_id: str
    """Identity of the model that saw it."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

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
    """Keep what stands out at one moment.

    Args:
        observation: Of one clip.
        anomaly_map: Its map, (h, w), > 0 where more is seen than is typical.
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


def merged(exemplar: Sequence[FeedbackExemplar]) -> FeedbackExemplar:
    """Several moments as one.

    Args:
        exemplar: At least one; of one model and one size of pictures.

    Raises:
        ValueError: none, or of several models or sizes.
    """
    kinds = {(one.model_id, one.grid_hw, one.vectors.shape[1]) for one in exemplar}
    if len(kinds) != 1:
        raise ValueError(f"exemplars: want moments of one kind, got of {len(kinds)}")
    return FeedbackExemplar(
        torch.cat([one.cells for one in exemplar]),
        torch.cat([one.vectors for one in exemplar]),
        torch.cat([one.motion for one in exemplar]),
        exemplar[0].grid_hw,
        exemplar[0].model_id,
    )


@torch.no_grad()
def remember(
    scene: AdaptedScene, exemplar: Sequence[FeedbackExemplar], config: SceneModelConfig
) -> AdaptedScene:
    """The scene, with this memory and no other.

    Args:
        scene: Any; what it remembered before does not count.
        exemplar: Oldest first; none of it gives the scene as it was adapted.
        config: Of the model.

    Raises:
        ValueError: exemplar of another model, or of another size of pictures.
    """
    for one in exemplar:
        if (problem := misfit(one, scene, config)) is not None:
            raise ValueError(f"exemplar: {problem}")
    seen = [one for one in exemplar if one.cells.numel()]
    if not seen:
        return replace(scene, memory=None)
    height, width = seen[0].grid_hw
    dictionary = scene.dictionary
    device = dictionary.mean.device
    cells = torch.cat([one.cells for one in seen]).to(device)
    vectors = torch.cat([one.vectors for one in seen]).float().to(device)
    atoms = prepare(vectors.unsqueeze(1), dictionary.mean[cells], config).squeeze(1)
    remembering, table = _within_reach(cells, height, width)
    around = atoms[table.clamp_min(0)] * (table >= 0).unsqueeze(-1)
    chosen = farthest_first(around, CELL_ATOMS)
    added = torch.gather(around, 1, chosen.unsqueeze(-1).expand(-1, -1, around.shape[-1]))
    own = torch.cat([dictionary.own[remembering], added], dim=1)
    own_clip = torch.cat(
        [dictionary.own_clip[remembering], torch.full_like(chosen, _NO_CLIP)], dim=1
    )
    second = Dictionary(
        own=own,
        shared=dictionary.shared,
        mean=dictionary.mean[remembering],
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
    memory = SceneExemplars(remembering, second, usual[0], allowance, typical_motion)
    return replace(scene, memory=memory)


def feature_vectors_at(features: Tensor, cells: Tensor, receptive_field: int) -> Tensor:
    """Feature vectors of some cells of one feature map: (1, d, h, w) → (cells, d·l²)."""
    columns = functional.unfold(features, receptive_field, padding=receptive_field // 2)
    return columns[0].T[cells]


def misfit(exemplar: FeedbackExemplar, scene: AdaptedScene, config: SceneModelConfig) -> str | None:
    """Why a scene cannot remember exemplar, for people; None: it can."""
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
    """Which cells may use which of the atoms that were seen at `cells`.

    Returns:
        The cells that may use any, rising (R,), and for each the numbers of its candidates, −1
        where there are no more, (R, at most 96).
    """
    reach = torch.arange(-REACH_CELLS, REACH_CELLS + 1, device=cells.device)
    down, right = (step.flatten() for step in torch.meshgrid(reach, reach, indexing="ij"))
    row = (cells // width).unsqueeze(1) + down
    column = (cells % width).unsqueeze(1) + right
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    number = torch.arange(cells.numel(), device=cells.device).unsqueeze(1).expand_as(row)[inside]
    far = torch.maximum(down.abs(), right.abs()).expand_as(row)[inside]
    target = (row * width + column)[inside]
    # The nearest first, and of those as near the newest.
    order = (far * cells.numel() + (cells.numel() - 1 - number)).argsort(stable=True)
    order = order[target[order].argsort(stable=True)]
    target, number = target[order], number[order]
    remembering, counts = torch.unique(target, return_counts=True)
    rank = torch.arange(target.numel(), device=cells.device)
    rank = rank - (counts.cumsum(0) - counts).repeat_interleave(counts)
    kept = rank < _CANDIDATES
    table = cells.new_full((remembering.numel(), int(rank[kept].max()) + 1), -1)
    line = torch.arange(remembering.numel(), device=cells.device).repeat_interleave(counts)
    table[line[kept], rank[kept]] = number[kept]
    return remembering, table


def _allowance(cells: Tensor, motion: Tensor, height: int, width: int) -> Tensor:
    """The most motion that was seen in a cell or right around it, and a margin; −∞ elsewhere."""
    seen = motion.new_full((height * width,), -torch.inf)
    seen = seen.scatter_reduce(0, cells, motion + _MOTION_MARGIN, "amax")
    side = 2 * REACH_CELLS + 1
    grid = seen.view(1, 1, height, width)
    return functional.max_pool2d(grid, side, 1, REACH_CELLS)[0, 0]


@torch.no_grad()
def explained(
    scene: AdaptedScene, known: FeedbackExemplar, seen: FeedbackExemplar, config: SceneModelConfig
) -> float:
    """How much of what stands out would not, if the scene remembered something else.

    Args:
        scene: In which both stood out.
        known: To be remembered for the question only.
        seen: What stands out.
        config: Of the model.

    Returns:
        Part 0 … 1 of the residual beyond the typical one; 0 where they cannot be compared.
    """
    if any(misfit(one, scene, config) is not None for one in (known, seen)):
        return 0.0
    memory = remember(scene, [known], config).memory
    if memory is None or not seen.cells.numel():
        return 0.0
    device = scene.dictionary.mean.device
    cells, vectors = seen.cells.to(device), seen.vectors.float().to(device)
    left = left_over(vectors, scene.dictionary, cells, config)
    excess = (left - memory.typical_residual).clamp_min(0.0)
    rows = torch.searchsorted(memory.cells, cells).clamp_max(memory.cells.numel() - 1)
    near = memory.cells[rows] == cells
    rest = excess.clone()
    if near.any():
        then = left_over(vectors[near], memory.dictionary, rows[near], config)
        rest[near] = torch.minimum(excess[near], (then - memory.typical_residual).clamp_min(0.0))
    whole = float(excess.sum())
    return 1.0 - float(rest.sum()) / whole if whole > 0 else 0.0
