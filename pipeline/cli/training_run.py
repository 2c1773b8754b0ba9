"""What every training command does: resume, leave scenes out, show progress, save its state."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

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

from pipeline.telemetry.atomic_write import atomic_path
from pipeline.training.scenes import SceneClip, load_scenes, scene_files


class Resumable(Protocol):
    """A trainer whose state can be restored."""

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from what `state()` returned."""


class TrainingFiles:
    """Files of one run beside its checkpoint OUT: OUT.train.pt (state) and OUT.train.csv (log)."""

    def __init__(self, out: Path) -> None:
        """Name the files; creates nothing.

        Args:
            out: Checkpoint path without suffix.
        """
        self.state = out.parent / (out.name + ".train.pt")
        self.log = out.parent / (out.name + ".train.csv")

    def resume(self, trainer: Resumable, device: torch.device) -> dict[str, Any]:
        """Restore a trainer; the state may hold more than that of the trainer.

        Raises:
            ValueError: there is no state, or it is damaged, or of another training.
        """
        if not self.state.is_file():
            raise ValueError(f"--resume: want {self.state}, which is not there")
        try:
            state: dict[str, Any] = torch.load(self.state, weights_only=True, map_location=device)
            trainer.resume(state)
        except ValueError:
            raise
        except Exception as error:  # torch raises any exception for a damaged file
            raise ValueError(f"--resume: {self.state} is not a state of this training") from error
        return state

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state, atomically."""
        with atomic_path(self.state) as partial:
            torch.save(state, partial)


def check_held_out(hold_out: Collection[str], scenes: Collection[str], folder: Path) -> None:
    """Check that scenes to be left out exist.

    Raises:
        ValueError: names those that do not.
    """
    unknown = sorted(set(hold_out) - set(scenes))
    if unknown:
        raise ValueError(f"--hold-out: no scene {', '.join(unknown)} in {folder}")


def load_showing_progress(
    folder: Path, console: Console, **options: Any
) -> dict[str, list[SceneClip]]:
    """`load_scenes` with a progress bar; options as there."""
    count = sum(len(files) for files in scene_files(folder).values())
    with Progress(console=console) as bar:
        task = bar.add_task("decoding scenes", total=count)
        return load_scenes(folder, on_file=lambda _: bar.advance(task), **options)


def training_progress(console: Console) -> Progress:
    """Progress of the iterations; its tasks have the field `measures`, a text."""
    return Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[measures]}"),
        console=console,
    )
