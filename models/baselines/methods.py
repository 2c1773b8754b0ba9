"""All methods by name, and the checkpoints of those that are learned."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from models.baselines.anogan import AnoGan
from models.baselines.autoencoder import AutoEncoder, SimilarityAutoEncoder
from models.baselines.background import Background
from models.baselines.baseline import Baseline, LearnedBaseline
from models.baselines.difference import Difference
from models.baselines.imagenet import ImageNetFeatures
from models.baselines.maml_autoencoder import FirstOrderAutoEncoder, MetaAutoEncoder
from models.baselines.nearest import changed, nearest_neighbour
from models.baselines.rgan import MetaRGan, RGan, TunedRGan
from models.baselines.scorer import BaselineScorer
from models.baselines.sparse_autoencoder import SparseAutoEncoder
from models.baselines.variational import VariationalAutoEncoder
from models.checkpoint import (
    CheckpointError,
    fingerprint,
    read_pair,
    write_pair,
)
from models.scorer import SceneScorer

LEARNED: Mapping[str, type[LearnedBaseline]] = MappingProxyType(
    {
        "ae-mse": AutoEncoder,
        "ae-ssim": SimilarityAutoEncoder,
        "vae": VariationalAutoEncoder,
        "anogan": AnoGan,
        "maml-ae": MetaAutoEncoder,
        "maml-ae-first-order": FirstOrderAutoEncoder,
        "rgan": RGan,
        "rgan-maml": MetaRGan,
        "sparse-ae": SparseAutoEncoder,
    }
)
"""Methods that `vedette train --method` trains."""
SAME_WEIGHTS: Mapping[str, tuple[str, type[LearnedBaseline]]] = MappingProxyType(
    {"rgan-tuned": ("rgan", TunedRGan)}
)
"""Methods with the weights of another one."""
UNLEARNED: Mapping[str, type[Baseline]] = MappingProxyType(
    {"difference": Difference, "background": Background, "imagenet": ImageNetFeatures}
)
SCENE_MODELS = ("model", "nearest")
"""Methods with the weights of a scene model, shipped or trained."""
METHODS = (*SCENE_MODELS, *UNLEARNED, *LEARNED, *SAME_WEIGHTS)

AnyScorer = SceneScorer | BaselineScorer


def load_method(
    name: str,
    weights: str | Path | None = None,
    device: str = "cpu",
    size_hw: tuple[int, int] | None = None,
) -> AnyScorer:
    """A method, ready to adapt.

    Args:
        name: One of `METHODS`.
        weights: Checkpoint of a learned method; of a scene model also a shipped name, by default
            the shipped weights.
        device: Of scene models; baselines run on the CPU.
        size_hw: Size that frames are scaled to; None: the method's.

    Raises:
        CheckpointError: the weights are missing, damaged or of another method.
        MissingWeightsError: the package with the weights is not installed.
        ValueError: an unknown method, weights for a method without, or no such device.
    """
    if name not in METHODS:
        raise ValueError(f"method: want {', '.join(METHODS)}, got {name!r}")
    if name in SCENE_MODELS:
        return scene_method(name, SceneScorer.load(weights or "vedette", device), size_hw)
    if name in UNLEARNED:
        if weights is not None:
            raise ValueError(f"method {name}: has no weights, got {weights}")
        kind = UNLEARNED[name]
        return BaselineScorer(kind() if size_hw is None else kind(size_hw), name, "")
    if weights is None:
        raise CheckpointError(
            f"method {name}: want a checkpoint, {name}=PATH; "
            f"vedette train --method {_trained_as(name)} writes one"
        )
    baseline, model_id = load_baseline(name, Path(weights), size_hw)
    return BaselineScorer(baseline, name, model_id)


def scene_method(
    name: str, scorer: SceneScorer, size_hw: tuple[int, int] | None = None
) -> SceneScorer:
    """A method of `SCENE_MODELS` with a loaded model; arguments as `load_method`."""
    if size_hw is not None:
        scorer = changed(scorer, size_hw=size_hw)
    return nearest_neighbour(scorer) if name == "nearest" else scorer


def save_baseline(
    baseline: LearnedBaseline, name: str, path: Path, provenance: dict[str, object]
) -> None:
    """Write PATH.safetensors and PATH.json.

    Args:
        baseline: Trained.
        name: Of the method, one of `LEARNED`.
        path: Without suffix; the folder is created.
        provenance: Plain data for people.
    """
    tensors = {key: value.contiguous() for key, value in baseline.state_dict().items()}
    head: dict[str, object] = {
        "kind": "baseline",
        "method": name,
        "size_hw": baseline.size_hw,
        "fingerprint": fingerprint(tensors),
        "provenance": provenance,
    }
    write_pair(path, tensors, head)


def load_baseline(
    name: str, path: Path, size_hw: tuple[int, int] | None = None
) -> tuple[LearnedBaseline, str]:
    """Read what `save_baseline` wrote.

    Args:
        name: Of the method, with the weights of which it shares.
        path: With or without suffix.
        size_hw: Size of frames; None: that of the training.

    Returns:
        The baseline in evaluation mode, without gradients, and the fingerprint of its weights.

    Raises:
        CheckpointError: missing, damaged, or of another method.
    """
    path = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    head, tensors = read_pair(path, "baseline")
    wanted = _trained_as(name)
    if head.get("method") != wanted:
        raise CheckpointError(f"{path}.json: want method {wanted}, got {head.get('method')}")
    size = head.get("size_hw")
    if not (isinstance(size, list) and len(size) == 2):
        raise CheckpointError(f"{path}.json: want size_hw as [height, width], got {size!r}")
    trained_hw = (int(size[0]), int(size[1]))
    kind = SAME_WEIGHTS[name][1] if name in SAME_WEIGHTS else LEARNED[name]
    if not kind.any_size and size_hw not in (None, trained_hw):
        raise CheckpointError(
            f"{path}.json: {name} takes frames of the size of its training, want {trained_hw} "
            f"(height, width), got {size_hw}"
        )
    baseline = kind(size_hw or trained_hw)
    try:
        baseline.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path}.safetensors: not the weights of {name}") from error
    if head.get("fingerprint") != fingerprint(tensors):
        raise CheckpointError(f"{path}.safetensors: the weights are not those of {path}.json")
    return baseline.eval().requires_grad_(False), fingerprint(tensors)


def new_baseline(name: str, seed: int, size_hw: tuple[int, int] | None = None) -> LearnedBaseline:
    """An untrained baseline.

    Args:
        name: One of `LEARNED`.
        seed: The same seed gives the same weights.
        size_hw: Size of frames in multiples of 16; None: the method's.

    Raises:
        ValueError: the method is not learned.
    """
    if name not in LEARNED:
        raise ValueError(f"method: want a learned one, {', '.join(LEARNED)}, got {name!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LEARNED[name]() if size_hw is None else LEARNED[name](size_hw)


def _trained_as(name: str) -> str:
    return SAME_WEIGHTS[name][0] if name in SAME_WEIGHTS else name
