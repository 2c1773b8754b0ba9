"""1-NN on the features of a scene model: the residual of the best atom, without other terms."""

from dataclasses import replace
from typing import Any

from models.checkpoint import identity
from models.scene_model import SceneModel
from models.scorer import SceneScorer


def nearest_neighbour(scorer: SceneScorer) -> SceneScorer:
    """The scorer with its network and dictionary, but one atom a cell, no motion, no other term."""
    return changed(scorer, coder="nearest", motion_weight=0.0, residual_weight=1.0)


def changed(scorer: SceneScorer, **fields: Any) -> SceneScorer:
    """A scorer with the same network and another configuration.

    Args:
        scorer: Not changed.
        fields: Of `SceneModelConfig`, none that changes the network.
    """
    model = SceneModel(replace(scorer.config, **fields))
    model.backbone = scorer.model.backbone
    terms = model.prior_mean.numel()
    model.prior_mean = scorer.model.prior_mean[:terms].clone()
    model.prior_spread = scorer.model.prior_spread[:terms].clone()
    model.eval().requires_grad_(False)
    return SceneScorer(model, identity(model), scorer.device)
