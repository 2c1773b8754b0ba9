"""`vedette train`: meta-train the default model on a folder of normal scenes."""

import csv
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from models.checkpoint import save_checkpoint
from models.config import PRESETS
from models.meta_training import Trainer, TrainingOptions
from models.scene_model import SceneModel
from pipeline.datasets.episodes import EpisodeOptions, EpisodeSampler
from pipeline.datasets.scenes import SceneClip, load_scenes, scene_files
from pipeline.evaluation.leave_scenes_out import SceneResult, leave_scenes_out, measure_priors

_SAVE_EVERY = 100


def run_train(
    scenes_folder: Path,
    out: Path,
    options: TrainingOptions,
    hold_out: list[str],
    resume: bool,
    console: Console,
) -> list[SceneResult]:
    """Train, write the checkpoint OUT.safetensors and OUT.json, and measure on held-out scenes.

    Args:
        scenes_folder: One subfolder a scene (see `pipeline.datasets.scenes`).
        out: Checkpoint path without suffix; OUT.train.pt (to resume) and OUT.train.csv (log) are
            kept beside it.
        options: Settings of the run.
        hold_out: Scenes not trained on but measured on.
        resume: Go on from OUT.train.pt.
        console: Where progress is shown.

    Raises:
        DatasetError: the folder is no folder of scenes.
        ValueError: a held-out scene does not exist, or there is nothing to resume.
    """
    torch.manual_seed(options.seed)
    config = PRESETS["vedette"]
    model = SceneModel(config)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(model, options)
    state_path = out.parent / (out.name + ".train.pt")
    if resume:
        if not state_path.is_file():
            raise ValueError(f"--resume: want {state_path}, which is not there")
        try:
            trainer.resume(torch.load(state_path, weights_only=True))
        except ValueError:
            raise
        except Exception as error:  # a file of anything makes torch raise anything
            raise ValueError(f"--resume: {state_path} is no state of this training") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    scenes = _load(scenes_folder, console)
    unknown = sorted(set(hold_out) - set(scenes))
    if unknown:
        raise ValueError(f"--hold-out: no scene {', '.join(unknown)} in {scenes_folder}")
    training = {name: clips for name, clips in scenes.items() if name not in hold_out}
    started = time.monotonic()
    _train(trainer, training, out, state_path, console)
    model.load_state_dict(trainer.averaged)
    model.eval()
    console.print("measuring the typical energies of normal life …")
    mean, spread = measure_priors(model, training)
    model.prior_mean.copy_(mean)
    model.prior_spread.copy_(spread)
    results = leave_scenes_out(model, scenes, hold_out) if hold_out else []
    provenance: dict[str, object] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training": asdict(options),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "scenes": sorted(training),
        "held_out": {result.scene: round(result.energy, 4) for result in results},
    }
    save_checkpoint(model, out, provenance)
    console.print(f"wrote {out}.safetensors and {out}.json")
    return results


def _train(
    trainer: Trainer,
    scenes: dict[str, list[SceneClip]],
    out: Path,
    state_path: Path,
    console: Console,
) -> None:
    config, options = trainer.model.config, trainer.options
    episodes = EpisodeOptions(clip_length=config.clip_length, stride=config.stride)
    # A resumed run must not see the first episodes again, hence the iteration in the seed.
    sampler = EpisodeSampler(scenes, episodes, options.seed * 1_000_003 + trainer.iteration)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("energy normal {task.fields[normal]:.3f} planted {task.fields[planted]:.3f}"),
        console=console,
    )
    log_path = out.parent / (out.name + ".train.csv")
    with log_path.open("a", newline="") as log_file, bar:
        log = csv.writer(log_file)
        task = bar.add_task(
            "", total=options.iterations, completed=trainer.iteration, loss=0, normal=0, planted=0
        )
        while trainer.iteration < options.iterations:
            done = trainer.step(sampler.draw)
            bar.update(
                task,
                advance=1,
                loss=done.loss,
                normal=done.energy_normal,
                planted=done.energy_planted,
            )
            log.writerow(asdict(done).values())
            if done.iteration % _SAVE_EVERY == 0 or done.iteration == options.iterations:
                log_file.flush()
                partial = state_path.with_suffix(".tmp")
                torch.save(trainer.state(), partial)
                partial.replace(state_path)


def _load(folder: Path, console: Console) -> dict[str, list[SceneClip]]:
    count = sum(len(files) for files in scene_files(folder).values())
    with Progress(console=console) as bar:
        task = bar.add_task("decoding scenes", total=count)
        return load_scenes(folder, on_file=lambda _: bar.advance(task))


def print_results(results: list[SceneResult], console: Console) -> None:
    """One JSON line a held-out scene, for people and for scripts."""
    for result in results:
        console.print_json(json.dumps(asdict(result)), indent=None)
