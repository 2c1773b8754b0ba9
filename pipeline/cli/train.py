"""`vedette train`: meta-train a model on a folder of normal scenes."""

import csv
import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from models.backbone import to_channels_last
from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SceneModelConfig
from models.device import resolve_device
from models.scene_model import SceneModel
from models.training.growing import grow
from models.training.meta_training import StepResult, Trainer, TrainingOptions
from pipeline.cli.train_settings import TrainSettings
from pipeline.cli.training_run import (
    TrainingFiles,
    check_held_out,
    load_showing_progress,
    training_progress,
)
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.langevin_sheet import LangevinViewer
from pipeline.training.validation import SceneResult, leave_scenes_out, measure_priors

_SAVE_EVERY = 100
_SAVE_SECONDS = 60.0
"""The state is also saved after so long, since an iteration may take many seconds."""
_SHOWN = 4


def run_train(
    scenes_folder: Path,
    out: Path,
    options: TrainingOptions,
    hold_out: list[str],
    resume: bool,
    console: Console,
    settings: TrainSettings | None = None,
) -> list[SceneResult]:
    """Train, write the checkpoint OUT.safetensors and OUT.json, and measure on held-out scenes.

    Args:
        scenes_folder: One subfolder a scene (see `pipeline.training.scenes`).
        out: Checkpoint path without suffix; OUT.train.pt (to resume) and OUT.train.csv (log) are
            kept beside it.
        options: What is learned.
        hold_out: Scenes not trained on but measured on.
        resume: Go on from OUT.train.pt.
        console: Where progress is shown.
        settings: What is trained; the default model unless given.

    Raises:
        DatasetError: the folder is no folder of scenes.
        FloatingPointError: training diverged.
        CheckpointError: the weights to begin with cannot be used.
        ValueError: a held-out scene does not exist, there is nothing to resume, no such device, or
            the weights to begin with are of another preset.
    """
    settings = settings or TrainSettings()
    device = resolve_device(settings.device)
    torch.manual_seed(options.seed)
    config, initial = settings.config, None
    if settings.init is not None:
        config, initial = _initial(settings.init, settings)
    trained = replace(config, shrinkage=settings.shrinkage or config.shrinkage)
    model = _model(trained)
    if initial is not None:
        model.load_state_dict(initial)
    trainer = Trainer(model.to(device), options)
    files = TrainingFiles(out)
    resumed: dict[str, Any] = {}
    if resume:
        resumed = files.resume(trainer, device)
    out.parent.mkdir(parents=True, exist_ok=True)
    scenes = load_showing_progress(
        scenes_folder,
        console,
        frames_per_second=settings.frames_per_second,
        colour=settings.config.colour,
    )
    check_held_out(hold_out, scenes, scenes_folder)
    training = {name: clips for name, clips in scenes.items() if name not in hold_out}
    started = time.monotonic()
    episodes = settings.episodes(options)
    # Without the sampler's state the first episodes must not be drawn again, hence the iteration.
    sampler = EpisodeSampler(training, episodes, options.seed * 1_000_003 + trainer.iteration)
    if "sampler" in resumed:
        sampler.resume(resumed["sampler"])
    viewer = None
    if settings.images is not None:
        shown = EpisodeSampler(training, replace(episodes, queries=0, patched=_SHOWN), options.seed)
        viewer = LangevinViewer(settings.images, settings.images_every, shown.draw().to(device))
    _train(trainer, sampler, viewer, files, console)
    model = _model(config).eval()
    model.load_state_dict(trainer.averaged)
    if initial is not None:
        _blend(model, initial, settings.blend)
    console.print("measuring the typical energies of normal video …")
    mean, spread = measure_priors(model, training)
    model.prior_mean.copy_(mean)
    model.prior_spread.copy_(spread)
    results = leave_scenes_out(model, scenes, hold_out) if hold_out else []
    provenance: dict[str, object] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training": asdict(options),
        "init": settings.init and Path(settings.init).name,
        "blend": settings.blend,
        "queries": settings.queries,
        "shots": settings.shots,
        "crop_hw": settings.crop_hw,
        "augmented": settings.augment,
        "crowd_share": settings.crowd_share,
        "truncated_share": settings.truncated_share,
        "shrinkage": trained.shrinkage,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "scenes": sorted(training),
        "held_out": {result.scene: round(result.energy, 4) for result in results},
    }
    save_checkpoint(model, out, provenance)
    console.print(f"wrote {out}.safetensors and {out}.json")
    return results


def _initial(
    weights: str, settings: TrainSettings
) -> tuple[SceneModelConfig, dict[str, torch.Tensor]]:
    """The model to train, from initial weights; grown if it is wider than they are."""
    model, _ = load_checkpoint(weights, torch.device("cpu"))
    config = replace(
        settings.config,
        widths=settings.widths or model.config.widths,
        size_hw=settings.size_hw or model.config.size_hw,
    )
    if model.config.preset != config.preset:
        raise ValueError(
            f"--init: want weights of preset {config.preset}, got {model.config.preset}"
        )
    if model.config.widths == config.widths:
        return config, dict(model.state_dict())
    return config, grow(model.state_dict(), model.config, config)


@torch.no_grad()
def _blend(model: SceneModel, initial: dict[str, torch.Tensor], share: float) -> None:
    """Blend the weights of the model with the initial ones."""
    for name, value in model.state_dict().items():
        value.lerp_(initial[name].to(value.device), 1.0 - share)


def _model(config: SceneModelConfig) -> SceneModel:
    model = SceneModel(config)
    to_channels_last(model)
    return model


def _train(
    trainer: Trainer,
    sampler: EpisodeSampler,
    viewer: LangevinViewer | None,
    files: TrainingFiles,
    console: Console,
) -> None:
    options = trainer.options
    bar = training_progress(console)
    with files.log.open("a", newline="") as log_file, bar:
        log = csv.writer(log_file)
        empty = log_file.tell() == 0
        task = bar.add_task("", total=options.iterations, completed=trainer.iteration, measures="")
        saved_at = time.monotonic()
        while trainer.iteration < options.iterations:
            done = trainer.step(sampler.draw)
            bar.update(task, advance=1, measures=_as_text(done))
            if empty:
                log.writerow(["iteration", "loss", "learning_rate", *done.measures])
                empty = False
            log.writerow([done.iteration, done.loss, done.learning_rate, *done.measures.values()])
            if viewer is not None:
                viewer.draw(trainer)
            is_due = time.monotonic() - saved_at > _SAVE_SECONDS
            is_last = done.iteration == options.iterations
            if is_due or is_last or done.iteration % _SAVE_EVERY == 0:
                saved_at = time.monotonic()
                log_file.flush()
                files.save_state({**trainer.state(), "sampler": sampler.state()})


def _as_text(step: StepResult) -> str:
    """Text of a step for the progress bar."""
    return " ".join(
        f"{name.replace('_', ' ')} {value:.3f}"
        for name, value in {"loss": step.loss, **step.measures}.items()
    )


def print_results(results: list[SceneResult], console: Console) -> None:
    """Print one JSON line per held-out scene."""
    for result in results:
        console.print_json(json.dumps(asdict(result)), indent=None)
