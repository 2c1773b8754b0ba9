"""Contact sheet of Langevin sampling on corrupted clips, for visual inspection."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.energy import residual_energy
from models.scene_model import SceneModel
from models.training.langevin import LangevinOptions, sample
from models.training.meta_training import Trainer
from models.training.objectives import Episode, mean_energy

Pixels = npt.NDArray[np.uint8]

_GAP = 4
_HEADER = 22
_FULL_SCALE = 1.0  # energy that is drawn in the brightest colour; vectors have unit length


class LangevinViewer:
    """Draws the same clips at intervals of iterations, so that the sheets show progress."""

    def __init__(self, folder: Path, every: int, episode: Episode) -> None:
        """Create the folder of the sheets.

        Args:
            folder: Created if missing.
            every: Iterations from one sheet to the next.
            episode: With normal and corrupted queries, on the model's device.

        Raises:
            OSError: the folder cannot be created.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._every = every
        self._episode = episode

    def draw(self, trainer: Trainer) -> Path | None:
        """Write the sheet of this iteration if it is due.

        Raises:
            FloatingPointError: sampling diverged.
            OSError: the sheet cannot be written.
        """
        if trainer.iteration % self._every != 0:
            return None
        path = self._folder / f"{trainer.iteration:06d}.png"
        langevin = trainer.options.contrastive.langevin
        sheet = langevin_sheet(trainer.model, self._episode, langevin)
        _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        path.write_bytes(png.tobytes())
        return path


def langevin_sheet(
    model: SceneModel, episode: Episode, options: LangevinOptions, seed: int = 0
) -> Pixels:
    """Draw one row a query: original, corrupted, each step, and energy of the corrupted one.

    Args:
        model: In any mode; no parameter gets a gradient.
        episode: With normal and corrupted queries, on the model's device.
        options: Of the sampling.
        seed: Of the Langevin noise.

    Returns:
        RGB uint8 (H, W, 3); clips are shown by their newest frame.

    Raises:
        FloatingPointError: sampling diverged.
    """
    with torch.no_grad():
        dictionary = model.dictionary(model.observe_input(episode.support))
        features = model.features(episode.corrupted)
        energies = residual_energy(features, dictionary, model.config)
    random = torch.Generator().manual_seed(seed)
    samples = sample(mean_energy(model, dictionary), episode.corrupted, options, random)
    shown = [episode.normal, episode.corrupted, *samples.states]
    columns = [[_picture(clip) for clip in clips] for clips in shown]
    size_hw = columns[0][0].shape[:2]
    columns.append([_heat(cells, size_hw) for cells in energies])
    names = ["query", "corrupted", *(f"step {number + 1}" for number in range(options.steps))]
    return np.hstack(
        [_column(name, tiles) for name, tiles in zip([*names, "energy"], columns, strict=True)]
    )


def _picture(clip: Tensor) -> Pixels:
    """The newest frame of a clip, (T, H, W) or (T, 3, H, W) in [0, 1]."""
    newest = (clip[-1].detach().cpu() * 255.0).round().to(torch.uint8).numpy()
    if newest.ndim == 2:
        return np.repeat(newest[..., None], 3, axis=2)
    return np.ascontiguousarray(newest.transpose(1, 2, 0))


def _heat(cells: Tensor, size_hw: tuple[int, ...]) -> Pixels:
    """Energies of cells, each enlarged to the pixels that it covers."""
    levels = (cells.cpu() / _FULL_SCALE).clamp(0.0, 1.0) * 255.0
    large = cv2.resize(
        levels.to(torch.uint8).numpy(), size_hw[::-1], interpolation=cv2.INTER_NEAREST
    )
    colours = cv2.applyColorMap(large, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _column(name: str, tiles: list[Pixels]) -> Pixels:
    width = tiles[0].shape[1]
    header: Pixels = np.full((_HEADER, width, 3), 255, dtype=np.uint8)
    cv2.putText(header, name, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    rows = [header, *(np.pad(tile, ((0, _GAP), (0, 0), (0, 0))) for tile in tiles)]
    return np.pad(np.vstack(rows), ((0, 0), (0, _GAP), (0, 0)), constant_values=255)
