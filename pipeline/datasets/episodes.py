"""Episodes for meta-training: normal clips of a scene, and queries with planted anomalies."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.meta_training import Episode
from models.negatives import Material, Planted, plant
from pipeline.datasets.scenes import SceneClip

_FAST = 3
"""How many times too fast hurried places are played."""


@dataclass(frozen=True, slots=True)
class EpisodeOptions:
    """How episodes are cut from scenes."""

    clip_length: int = 5
    stride: int = 8
    """Pixels a cell of the target is wide."""
    crop_hw: tuple[int, int] = (192, 256)
    shots: tuple[int, ...] = (3, 5, 7)
    """Sizes K of the support, drawn at random."""
    queries: int = 4
    scale: tuple[float, float] = (0.5, 1.4)
    """Random zoom; below what fills `crop_hw` the whole picture is shrunk, people and all."""
    augment: bool = True
    """Random zoom, crop, mirror, brightness and half speed; else the whole picture as it is."""


@dataclass(frozen=True, slots=True)
class _View:
    """How one episode looks at its scene; the same for its support and its queries."""

    top: int
    left: int
    height: int
    width: int
    out_hw: tuple[int, int]
    """Size that the part is scaled to."""
    mirrored: bool
    gain: float
    step: int
    """Frames of the loaded clip from one frame of a training clip to the next."""


class EpisodeSampler:
    """Draws episodes; the same seed gives the same ones."""

    def __init__(
        self, scenes: dict[str, list[SceneClip]], options: EpisodeOptions, seed: int
    ) -> None:
        self._options = options
        self._random = np.random.default_rng(seed)
        self._torch_random = torch.Generator().manual_seed(seed)
        reach = (options.clip_length - 1) * _FAST + 1
        self._scenes = {
            name: long
            for name, clips in scenes.items()
            if (long := [clip for clip in clips if len(clip.frames) > 2 * reach])
        }
        if len(self._scenes) < 2:
            raise ValueError(
                f"training: want at least 2 scenes with clips of more than {2 * reach} sampled "
                f"frames, got {sorted(self._scenes)}"
            )

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes that are long enough."""
        return sorted(self._scenes)

    def draw(self, scene: str | None = None) -> Episode:
        """The next episode, of a random scene unless one is named."""
        random, options = self._random, self._options
        name = scene if scene is not None else str(random.choice(self.scenes))
        clips = self._scenes[name]
        view = self._view(clips[0].frames.shape[1:])
        shots = int(random.choice(options.shots))
        support = [self._clip(clips, view)[0] for _ in range(shots)]
        queries, targets = [], []
        for _ in range(options.queries):
            clip, fast = self._clip(clips, view)
            material = Material(self._foreign(name, view.out_hw), fast)
            planted = plant(clip, material, self._torch_random)
            queries.append(planted.clip)
            targets.append(_cells(planted, options.stride))
        return Episode(torch.stack(support), torch.stack(queries), torch.stack(targets))

    def normal_and_planted(
        self, scene: str, shots: int, queries: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clips of one scene to measure on.

        Returns:
            Support (shots, T, H, W), normal queries (queries, T, H, W), and the same queries with
            an anomaly planted into each.
        """
        clips = self._scenes[scene]
        view = self._view(clips[0].frames.shape[1:])
        support = torch.stack([self._clip(clips, view)[0] for _ in range(shots)])
        normal, planted = [], []
        for _ in range(queries):
            clip, fast = self._clip(clips, view)
            material = Material(self._foreign(scene, view.out_hw), fast)
            normal.append(clip)
            planted.append(plant(clip, material, self._torch_random).clip)
        return support, torch.stack(normal), torch.stack(planted)

    def _view(self, size_hw: tuple[int, ...]) -> _View:
        height, width = size_hw
        if not self._options.augment:
            return _View(0, 0, height, width, self._options.crop_hw, False, 1.0, 1)
        random = self._random
        stride = self._options.stride
        zoom = float(np.exp(random.uniform(*np.log(self._options.scale))))
        crop_h = min(height, round(self._options.crop_hw[0] / zoom))
        crop_w = min(width, round(self._options.crop_hw[1] / zoom))
        return _View(
            top=int(random.integers(0, height - crop_h + 1)),
            left=int(random.integers(0, width - crop_w + 1)),
            height=crop_h,
            width=crop_w,
            out_hw=(_whole(crop_h * zoom, stride), _whole(crop_w * zoom, stride)),
            mirrored=bool(random.random() < 0.5),
            gain=float(random.uniform(0.75, 1.25)),
            step=2 if random.random() < 0.25 else 1,
        )

    def _clip(self, clips: list[SceneClip], view: _View) -> tuple[Tensor, Tensor]:
        """A clip at a random time, and the same played too fast."""
        lengths = np.array([len(clip.frames) for clip in clips], dtype=float)
        frames = clips[int(self._random.choice(len(clips), p=lengths / lengths.sum()))].frames
        length = self._options.clip_length
        reach = (length - 1) * _FAST * view.step
        if reach >= len(frames):
            reach = (length - 1) * view.step
        newest = int(self._random.integers(min(reach, len(frames) - 1), len(frames)))
        ages = np.arange(length - 1, -1, -1)
        plain = np.maximum(newest - ages * view.step, 0)
        fast = np.maximum(newest - ages * view.step * _FAST, 0)
        return self._look(frames, plain, view), self._look(frames, fast, view)

    def _foreign(self, scene: str, out_hw: tuple[int, int]) -> Tensor:
        """A clip of another scene, seen in its own way, as large as the clip it is to go into."""
        others = [name for name in self._scenes if name != scene]
        clips = self._scenes[str(self._random.choice(others))]
        view = self._view(clips[0].frames.shape[1:])
        return self._clip(clips, replace(view, out_hw=out_hw))[0]

    def _look(
        self, frames: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], view: _View
    ) -> Tensor:
        """Chosen frames, cropped and scaled: (T, H, W) in [0, 1]."""
        height, width = view.out_hw
        part = frames[places, view.top : view.top + view.height, view.left : view.left + view.width]
        grown = view.height < height
        way = cv2.INTER_LINEAR if grown else cv2.INTER_AREA
        out = np.stack([cv2.resize(one, (width, height), interpolation=way) for one in part])
        if view.mirrored:
            out = out[:, :, ::-1]
        clip = torch.from_numpy(np.ascontiguousarray(out)).float() / 255.0
        return ((clip - 0.5) * view.gain + 0.5).clamp(0, 1)


def _whole(pixels: float, stride: int) -> int:
    """The nearest size that holds whole cells."""
    return max(1, round(pixels / stride)) * stride


def _cells(planted: Planted, stride: int) -> Tensor:
    """Pixel masks to cells: 1 mostly planted, 0 untouched in every frame, -1 in between."""
    masks = torch.stack([planted.mask, planted.touched])[:, None].float()
    anomaly, touched = functional.avg_pool2d(masks, stride, ceil_mode=True)[:, 0]
    return torch.where(anomaly > 0.4, 1.0, torch.where(touched > 0.02, -1.0, 0.0))
