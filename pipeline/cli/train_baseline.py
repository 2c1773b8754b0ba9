"""`vedette train --method`: train a baseline on a folder of normal scenes."""

import csv
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from models.baselines.methods import new_baseline, save_baseline
from models.baselines.training import BaselineTrainer
from pipeline.cli.training_run import (
    TrainingFiles,
    check_held_out,
    load_showing_progress,
    training_progress,
)
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import scene_files

_SAVE_EVERY = 100
_FRAMES_PER_SECOND = 10.0
_GAP_FRAMES = 20


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """Settings of one run."""

    method: str
    """One of `models.baselines.methods.LEARNED`."""
    iterations: int
    """Episodes, each one optimiser step."""
    learning_rate: float = 1e-3
    queries: int = 4
    seed: int = 0
    shots: int = 5
    size_hw: tuple[int, int] | None = None
    """Size of frames; None: the method's."""


def leave_one_out_runs(folder: Path, out: Path) -> list[tuple[Path, list[str]]]:
    """For each scene the checkpoint OUT-SCENE, and the scene that it is trained without.

    Raises:
        DatasetError: the folder is no folder of scenes.
    """
    return [(out.parent / f"{out.name}-{name}", [name]) for name in scene_files(folder)]


def train_baseline(
    folder: Path,
    out: Path,
    run: BaselineRun,
    hold_out: list[str],
    resume: bool,
    console: Console,
) -> None:
    """Train, and write OUT.safetensors and OUT.json; OUT.train.pt is kept to resume from.

    Args:
        folder: Scenes, or categories in MVTec layout (see `pipeline.training.scenes`).
        out: Checkpoint path without suffix; OUT.train.csv has the losses.
        run: What is trained.
        hold_out: Scenes that are left out.
        resume: Go on from OUT.train.pt.
        console: Where progress is shown.

    Raises:
        DatasetError: the folder is no folder of scenes.
        FloatingPointError: training diverged.
        ValueError: an unknown method, a held-out scene that does not exist, or nothing to resume.
    """
    baseline = new_baseline(run.method, run.seed, run.size_hw)
    trainer = BaselineTrainer(baseline, run.iterations, run.learning_rate, run.seed)
    files = TrainingFiles(out)
    state: dict[str, Any] = {"cpu_seconds": 0.0}
    if resume:
        state = files.resume(trainer, torch.device("cpu"))
    check_held_out(hold_out, scene_files(folder), folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    scenes = load_showing_progress(
        folder,
        console,
        height=baseline.size_hw[0],
        frames_per_second=_FRAMES_PER_SECOND,
        colour=True,
    )
    training = {name: clips for name, clips in scenes.items() if name not in hold_out}
    sampler = EpisodeSampler(
        training,
        EpisodeOptions(
            clip_length=baseline.clip_length,
            crop_hw=baseline.size_hw,
            shots=(run.shots,),
            queries=0,
            patched=run.queries,
            gap=_GAP_FRAMES,
            augment=False,
        ),
        run.seed,
    )
    if "sampler" in state:
        sampler.resume(state["sampler"])
    used = _train(trainer, sampler, files, state["cpu_seconds"], console)
    provenance: dict[str, object] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training": asdict(run),
        "cpu_minutes": round(used / 60, 1),
        "scenes": sorted(training),
        "held_out": sorted(hold_out),
    }
    save_baseline(baseline, run.method, out, provenance)
    console.print(f"wrote {out}.safetensors and {out}.json", highlight=False)


def _train(
    trainer: BaselineTrainer,
    sampler: EpisodeSampler,
    files: TrainingFiles,
    used_before: float,
    console: Console,
) -> float:
    """Take all steps; CPU seconds used, those of earlier parts of the run included."""
    started = time.process_time()
    bar = training_progress(console)

    def used() -> float:
        return used_before + time.process_time() - started

    with files.log.open("a", newline="") as log_file, bar:
        log = csv.writer(log_file)
        if log_file.tell() == 0:
            log.writerow(["iteration", "loss"])
        task = bar.add_task("", total=trainer.iterations, completed=trainer.iteration, measures="")
        while trainer.iteration < trainer.iterations:
            episode = sampler.draw()
            loss = trainer.step(episode.support, episode.normal)
            bar.update(task, advance=1, measures=f"loss {loss:.4f}")
            log.writerow([trainer.iteration, loss])
            if trainer.iteration % _SAVE_EVERY == 0 or trainer.iteration == trainer.iterations:
                log_file.flush()
                state = {**trainer.state(), "sampler": sampler.state(), "cpu_seconds": used()}
                files.save_state(state)
    return used()
