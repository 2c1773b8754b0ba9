"""Clips and cut-outs of scenes at random times, of which episodes and measured clips consist."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.training.negatives import Material, Planted, plant
from models.training.overlay import MovingCutOut
from pipeline.training.cutouts import cut_out
from pipeline.training.scenes import SceneClip, median_background
from pipeline.training.views import EpisodeView, random_part, random_view

_FAST = 3
"""Factor by which sped-up regions are played too fast."""
_SPED_UP_CUT_OUTS = 0.3
"""Share of the cut-outs that are played too fast."""
_TRIES = 12


@dataclass(frozen=True, slots=True)
class EpisodeOptions:
    """Settings of the episodes drawn from scenes."""

    clip_length: int = 5
    stride: int = 8
    """Side of a cell of the target in pixels."""
    crop_hw: tuple[int, int] = (192, 256)
    """Size of the clips of an episode, the largest one where they are augmented."""
    shots: tuple[int, ...] = (3, 5, 7)
    """Sizes K of the support, drawn at random."""
    queries: int = 4
    """Number of queries with a planted anomaly; 0 where no objective uses them."""
    patched: int = 0
    """Number of normal queries with a corrupted copy, for the paper's objective."""
    gap: int = 20
    """Sampled frames (2 s) between support and queries, where the clips are long enough, so that
    the people of a query are not in the support."""
    scale: tuple[float, float] = (0.55, 1.4)
    """Range of the random zoom; below the zoom that fills `crop_hw` the whole frame is scaled
    down."""
    augment: bool = True
    """Random zoom, crop, mirror, brightness, noise and half speed; else the unchanged frame."""
    crowd_share: float = 0.5
    """Share of the augmented episodes with a composed crowd."""
    truncated_share: float = 0.2
    """Share of the augmented episodes whose clips all lack some or all of the frames before the
    newest, like the first frames of a recording."""
    picture_hw: tuple[int, int] | None = None
    """Without augmentation: size that whole frames are scaled to, of which an episode shows a
    random part of `crop_hw`; None: whole frames, scaled to `crop_hw`."""


@dataclass(frozen=True, slots=True)
class ClipTime:
    """A time in a clip of a scene."""

    clip: SceneClip
    newest: int
    """Index of the newest frame."""


class SceneSampler:
    """Draws clips and cut-outs of scenes, reproducibly by seed."""

    def __init__(
        self, scenes: dict[str, list[SceneClip]], options: EpisodeOptions, seed: int
    ) -> None:
        """Take the scenes that are long enough.

        Args:
            scenes: Name → its clips.
            options: Length and spacing of clips, and their augmentation.
            seed: The same seed gives the same draws.

        Raises:
            ValueError: fewer than two scenes are long enough.
        """
        self.options = options
        self.random = np.random.default_rng(seed)
        self.torch_random = torch.Generator().manual_seed(seed)
        self._backgrounds: dict[int, npt.NDArray[np.uint8]] = {}
        reach = (options.clip_length - 1) * _FAST + 1
        self.clips = {
            name: long
            for name, clips in scenes.items()
            if (long := [clip for clip in clips if len(clip.frames) > 2 * reach])
        }
        """Name of each scene that is long enough → its clips that are."""
        if len(self.clips) < 2:
            raise ValueError(
                f"training: want at least 2 scenes with clips of more than {2 * reach} sampled "
                f"frames, got {sorted(self.clips)}"
            )

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes that are long enough."""
        return sorted(self.clips)

    def state(self) -> dict[str, Any]:
        """State of the random generators, as tensors and text, for `torch.save`."""
        return {
            "numpy": json.dumps(self.random.bit_generator.state),
            "torch": self.torch_random.get_state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a sampler."""
        self.random.bit_generator.state = json.loads(state["numpy"])
        self.torch_random.set_state(state["torch"])

    def reseed(self, seed: int) -> None:
        """Restart the random generators with a seed."""
        self.random = np.random.default_rng(seed)
        self.torch_random = torch.Generator().manual_seed(seed)

    def view(self, scene: str) -> EpisodeView:
        """Draw a view of a scene; without augmentation the whole frame, or a part of it."""
        options, size_hw = self.options, self.clips[scene][0].size_hw
        if not options.augment:
            if options.picture_hw is None:
                return EpisodeView(0, 0, *size_hw, options.crop_hw)
            return random_part(size_hw, options.picture_hw, options.crop_hw, self.random)
        return random_view(size_hw, options.crop_hw, options.scale, options.stride, self.random)

    def time(self, scene: str, view: EpisodeView, apart_from: Sequence[ClipTime] = ()) -> ClipTime:
        """Draw a time at the wanted distance from the given ones, or at the largest found."""
        clips = self.clips[scene]
        lengths = np.array([len(clip.frames) for clip in clips], dtype=float)
        best, farthest = None, -1
        for _ in range(_TRIES):
            clip = clips[int(self.random.choice(len(clips), p=lengths / lengths.sum()))]
            reach = self._reach(clip, view)
            newest = int(self.random.integers(min(reach, len(clip.frames) - 1), len(clip.frames)))
            gap = min(
                (abs(newest - other.newest) for other in apart_from if other.clip is clip),
                default=self.options.gap,
            )
            if gap > farthest:
                best, farthest = ClipTime(clip, newest), gap
            if gap >= self.options.gap:
                break
        assert best is not None
        return best

    def clip(self, time: ClipTime, view: EpisodeView, speed: int = 1) -> Tensor:
        """The clip that ends at a time, (T, …), played faster by a factor."""
        ages = np.arange(self.options.clip_length - 1, -1, -1) * view.step * speed
        return view.apply(time.clip.frames[np.maximum(time.newest - ages, 0)])

    def planted(
        self,
        scene: str,
        view: EpisodeView,
        time: ClipTime,
        peopled: Callable[[Tensor], Tensor] = lambda clip: clip,
        fast_mover: Callable[[], MovingCutOut | None] | None = None,
    ) -> tuple[Tensor, Planted]:
        """A normal clip, and the same with a planted anomaly.

        Args:
            scene: Name of the scene.
            view: The view of both clips.
            time: Time of both clips.
            peopled: Lays a crowd over a clip.
            fast_mover: Draws a person who is to move too fast; None: one of the scene, or none
                where clips are augmented.
        """
        clip = peopled(self.clip(time, view))
        material = Material(
            foreign=lambda: self._foreign(scene, view.out_hw),
            fast=lambda: peopled(self.clip(time, view, _FAST)),
            cut_out=lambda: self._foreign_cut_out(scene, view),
            own=fast_mover
            or (lambda: None if self.options.augment else self.own_cut_out(scene, view)),
        )
        return clip, plant(clip, material, self.torch_random)

    def visible_planted(self, scene: str, view: EpisodeView, time: ClipTime) -> Planted:
        """A visible planted anomaly, within `_TRIES` draws."""
        for _ in range(_TRIES):
            _, planted = self.planted(scene, view, time)
            if bool(planted.mask.any()):
                break
        return planted

    def another(self, scene: str) -> str:
        """Draw the name of another scene."""
        return str(self.random.choice([name for name in self.clips if name != scene]))

    def own_cut_out(self, scene: str, view: EpisodeView) -> MovingCutOut | None:
        """A moving object cut out of the same view of the scene at another time."""
        time = self.time(scene, view)
        background = view.apply(self._background(time.clip)[None])[0]
        clip = self.clip(time, view)
        return cut_out(clip, background, self.random, keep_size_and_light=True)

    def _foreign(self, scene: str, out_hw: tuple[int, int]) -> Tensor:
        """A clip of another scene in a view of its own, as large as the clip that it goes into."""
        other = self.another(scene)
        view = replace(self.view(other), out_hw=out_hw)
        return self.clip(self.time(other, view), view)

    def _foreign_cut_out(self, scene: str, view: EpisodeView) -> MovingCutOut | None:
        """A moving object cut out of another scene."""
        other = self.another(scene)
        whole = self.clips[other][0].size_hw
        own = replace(view, top=0, left=0, height=whole[0], width=whole[1])
        time = self.time(other, own)
        speed = _FAST if self.random.random() < _SPED_UP_CUT_OUTS else 1
        background = own.apply(self._background(time.clip)[None])[0]
        return cut_out(self.clip(time, own, speed), background, self.random)

    def _reach(self, clip: SceneClip, view: EpisodeView) -> int:
        """Number of frames before the newest of a sped-up clip, or of a plain one if short."""
        reach = (self.options.clip_length - 1) * view.step
        return reach * _FAST if reach * _FAST < len(clip.frames) else reach

    def _background(self, clip: SceneClip) -> npt.NDArray[np.uint8]:
        """Background of a clip without moving objects, cached."""
        known = self._backgrounds.get(id(clip))
        if known is None:
            known = self._backgrounds[id(clip)] = median_background(clip)
        return known


def stack_clips(clips: Sequence[Tensor]) -> Tensor:
    """Stack clips; an empty tensor for none."""
    return torch.stack([*clips]) if clips else torch.empty(0)
