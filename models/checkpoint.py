"""Weights and scenes on disk: safetensors beside JSON, never pickle, no module paths.

A checkpoint NAME is NAME.safetensors (the tensors) and NAME.json (the configuration, a fingerprint
of the tensors, and their provenance). Scenes are stored in the same way.
"""

import hashlib
import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from models.adaptation import AdaptedScene
from models.backbone import to_channels_last
from models.config import SceneModelConfig
from models.dictionary import Dictionary
from models.feedback import FeedbackExemplar
from models.scene_model import SceneModel
from models.standardise import TermStatistics

FORMAT = 1
WEIGHTS_FOLDER = Path(__file__).parent / "weights"


class CheckpointError(ValueError):
    """A checkpoint or a scene that cannot be used: which, why, and what is wanted."""


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """First 16 hex digits of the SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def identity(model: SceneModel) -> str:
    """Identity that a scene shares with its model: hash of the weights and of the configuration.

    The same weights with another configuration give energies of another scale, so that the
    threshold of the scene would be wrong.
    """
    config = json.dumps(model.config.to_json(), sort_keys=True)
    return hashlib.sha256(f"{fingerprint(model.state_dict())}{config}".encode()).hexdigest()[:16]


def save_checkpoint(model: SceneModel, path: Path, provenance: dict[str, object]) -> None:
    """Write PATH.safetensors and PATH.json, each atomically.

    Args:
        model: The model to save.
        path: Without suffix; the folder is created.
        provenance: Plain data for people: when, trained on what, by which command.
    """
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    head: dict[str, object] = {
        "kind": "model",
        "fingerprint": fingerprint(tensors),
        "config": model.config.to_json(),
        "provenance": provenance,
    }
    write_pair(path, tensors, head)


def load_checkpoint(weights: str | Path, device: torch.device) -> tuple[SceneModel, str]:
    """Read a model for inference.

    Args:
        weights: A name shipped in models/weights, or a path with or without suffix.
        device: Device of the model.

    Returns:
        The model in evaluation mode without gradients, and its `identity`.

    Raises:
        CheckpointError: missing, damaged, of another kind or another model. There is no fallback to
            random weights.
    """
    path = _locate(weights)
    head, tensors = read_pair(path, "model")
    try:
        config = SceneModelConfig.from_json(_dictionary(head, "config", path))
        model = SceneModel(config)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}.json: no configuration of a model: {error}") from error
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        # The first line says only which method failed, the second what the first difference is.
        reason = textwrap.shorten("".join(str(error).splitlines()[1:2]), 160)
        raise CheckpointError(f"{path}.json does not fit its weights: {reason}") from error
    if head.get("fingerprint") != fingerprint(tensors):
        raise CheckpointError(f"{path}.safetensors: the weights are not those of {path}.json")
    to_channels_last(model.eval().requires_grad_(False).to(device))
    return model, identity(model)


def read_provenance(weights: str | Path) -> dict[str, object]:
    """Provenance of a model: the plain data passed to `save_checkpoint`.

    Args:
        weights: As `load_checkpoint`.

    Raises:
        CheckpointError: missing, damaged, or of another kind.
    """
    path = _locate(weights)
    head, _ = read_pair(path, "model")
    return _dictionary(head, "provenance", path)


def save_scene(scene: AdaptedScene, path: Path) -> None:
    """Write PATH.safetensors and PATH.json, each atomically."""
    dictionary = scene.dictionary
    tensors = {
        "own": dictionary.own.contiguous(),
        "shared": dictionary.shared.contiguous(),
        "mean": dictionary.mean.contiguous(),
        "step": dictionary.step.contiguous(),
        "own_clip": dictionary.own_clip.contiguous(),
        "shared_clip": dictionary.shared_clip.contiguous(),
        **{f"usual_{name}": value.clone() for name, value in scene.usual.tensors().items()},
    }
    if scene.row_normal is not None:
        tensors["row_normal"] = scene.row_normal.contiguous()
    head: dict[str, object] = {
        "kind": "scene",
        "model": scene.model_id,
        "fingerprint": fingerprint(tensors),
        "size_hw": scene.size_hw,
        "shots": scene.shots,
        "support_energies": scene.support_energies,
    }
    write_pair(path, tensors, head)


def load_scene(path: Path, model_id: str, device: torch.device) -> AdaptedScene:
    """Read a scene.

    Raises:
        CheckpointError: missing, damaged, or a scene of another model.
    """
    head, tensors = read_pair(path, "scene")
    if head.get("model") != model_id:
        raise CheckpointError(
            f"{path}.json: want a scene of model {model_id}, got one of model {head.get('model')}"
        )
    if head.get("fingerprint") != fingerprint(tensors):
        raise CheckpointError(f"{path}.safetensors: the tensors are not those of {path}.json")
    try:
        at = {name: tensor.to(device) for name, tensor in tensors.items()}
        return AdaptedScene(
            dictionary=Dictionary(
                at["own"],
                at["shared"],
                at["mean"],
                at["step"],
                at["own_clip"],
                at["shared_clip"],
            ),
            row_normal=at.get("row_normal"),
            usual=TermStatistics(at["usual_mean"], at["usual_spread"], at["usual_crowding"]),
            support_energies=tuple(float(e) for e in head["support_energies"]),  # type: ignore[attr-defined]
            size_hw=_size(head["size_hw"]),
            shots=int(head["shots"]),  # type: ignore[call-overload]
            model_id=model_id,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}.json: damaged, {error!r}") from error


def save_exemplar(exemplar: FeedbackExemplar, path: Path, extra: Mapping[str, Tensor]) -> None:
    """Write an exemplar and further tensors as one file, atomically.

    Args:
        exemplar: Of one or several samples.
        path: With suffix; its folder exists.
        extra: Further tensors, by names that the exemplar does not use.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {
        **{name: tensor.contiguous() for name, tensor in extra.items()},
        "cells": exemplar.cells.contiguous(),
        "vectors": exemplar.vectors.contiguous(),
        "motion": exemplar.motion.contiguous(),
        "grid_hw": torch.tensor(exemplar.grid_hw),
    }
    head = {"format": str(FORMAT), "kind": "exemplar", "model": exemplar.model_id}
    # Always the same name: a partial file left by a crash is replaced by the next write.
    _write_atomic(path, path.parent / "exemplar.tmp", save(tensors, head))


def load_exemplar(path: Path) -> tuple[FeedbackExemplar, dict[str, Tensor]]:
    """Read what `save_exemplar` wrote: the exemplar and the further tensors.

    Raises:
        CheckpointError: missing, damaged, or no exemplar.
    """
    try:
        with safe_open(path, framework="pt") as file:
            head = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if head.get("kind") != "exemplar" or head.get("format") != str(FORMAT):
            raise ValueError(f"want an exemplar of format {FORMAT}, got {head}")
        height, width = map(int, tensors.pop("grid_hw"))
        exemplar = FeedbackExemplar(
            tensors.pop("cells"),
            tensors.pop("vectors"),
            tensors.pop("motion"),
            (height, width),
            head["model"],
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as an exemplar: {error}") from error
    return exemplar, tensors


def _size(value: object) -> tuple[int, int]:
    if not (isinstance(value, list) and len(value) == 2):
        raise ValueError(f"size_hw: want [height, width], got {value!r}")
    return int(value[0]), int(value[1])


def shipped_weights() -> list[str]:
    """Names of the weights in models/weights."""
    return sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.json"))


def _locate(weights: str | Path) -> Path:
    text = str(weights)
    if "/" not in text and not text.endswith((".safetensors", ".json")):
        path = WEIGHTS_FOLDER / text
        if not path.with_suffix(".json").is_file():
            raise CheckpointError(
                f"weights {text!r}: want a shipped name ({', '.join(shipped_weights()) or 'none'}) "
                "or a path with a slash in it"
            )
        return path
    path = Path(text)
    return path.with_suffix("") if path.suffix in (".safetensors", ".json") else path


def write_pair(path: Path, tensors: dict[str, Tensor], head: dict[str, object]) -> None:
    """Write PATH.safetensors and PATH.json with this format's number, each atomically."""
    head = {"format": FORMAT, **head}
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ((".safetensors", save(tensors)), (".json", json.dumps(head, indent=1).encode()))
    for suffix, data in parts:
        final = path.parent / (path.name + suffix)
        _write_atomic(final, path.parent / (path.name + suffix + ".tmp"), data)


def _write_atomic(path: Path, partial: Path, data: bytes) -> None:
    """Write a file by renaming a partial one; `models` cannot use the helper of `pipeline`."""
    partial.write_bytes(data)
    os.replace(partial, path)


def read_pair(path: Path, kind: str) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Read what `write_pair` wrote: the JSON object and the tensors.

    Raises:
        CheckpointError: missing, damaged, or of another kind.
    """
    try:
        head = json.loads((path.parent / (path.name + ".json")).read_bytes())
        tensors = load((path.parent / (path.name + ".safetensors")).read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename}: no such file; want a {kind}") from error
    except (ValueError, SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as a {kind}: {error}") from error
    if not isinstance(head, dict) or head.get("kind") != kind or head.get("format") != FORMAT:
        found = "something else"
        if isinstance(head, dict) and "kind" in head:
            found = f"a {head['kind']} of format {head.get('format')}"
        raise CheckpointError(f"{path}.json: want a {kind} of format {FORMAT}, got {found}")
    return head, tensors


def _dictionary(head: dict[str, object], key: str, path: Path) -> dict[str, object]:
    value = head.get(key)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}.json: want an object at {key!r}, got {value!r}")
    return value
