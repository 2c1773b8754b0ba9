"""Does one moment show what another one showed? As far as a scene can tell (ours)."""

import torch

from models.adaptation import AdaptedScene
from models.config import SceneModelConfig
from models.feedback import FeedbackExemplar, misfit, remember
from models.scene_exemplars import left_over


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
