"""`vedette average`: the mean of several weights."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from models.averaging import mean_of
from models.checkpoint import load_checkpoint, read_provenance, save_checkpoint
from pipeline.evaluation.leave_scenes_out import scene_names


def run_average(weights: Sequence[str], out: Path) -> None:
    """Write the mean of several weights, OUT.safetensors and OUT.json.

    Args:
        weights: Shipped names or paths.
        out: Without suffix.

    Raises:
        CheckpointError: one of them cannot be read.
        ValueError: see `models.averaging.mean_of`.
    """
    loaded = [load_checkpoint(one, torch.device("cpu")) for one in weights]
    origins = [read_provenance(one) for one in weights]
    trained, held_out = (
        [scene_names(one, key) for one in origins] for key in ("scenes", "held_out")
    )
    provenance: dict[str, object] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenes": sorted(trained[0].union(*trained)),
        "held_out": sorted(held_out[0].intersection(*held_out)),
        "mean_of": [
            {"name": Path(name).name, "fingerprint": model_id, "provenance": origin}
            for name, (_, model_id), origin in zip(weights, loaded, origins, strict=True)
        ],
    }
    save_checkpoint(mean_of([model for model, _ in loaded]), out, provenance)
