"""Episodes for meta-training: normal clips of a scene, and queries with planted anomalies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.inputs import truncate_history
from models.training.inpainting import corrupt, draw_patches
from models.training.negatives import ONLY_IN_MOTION, Planted
from models.training.objectives import Episode
from models.training.overlay import MovingCutOut
from pipeline.training.crowds import Crowd, draw_crowd
from pipeline.training.scene_sampler import ClipTime, EpisodeOptions, SceneSampler, stack_clips
from pipeline.training.scenes import SceneClip
from pipeline.training.views import EpisodeView

_CROWD_OF_ITS_OWN = 0.4
"""Share of the crowds that come from the same scene, if enough moves there."""
_CROWD_TRIES = 3
_CROWD_TALL = (0.06, 0.25)
"""Height of people from another scene, as a share of the frame's height."""


class EpisodeSampler:
    """Draws episodes, reproducibly by seed."""

    def __init__(
        self, scenes: dict[str, list[SceneClip]], options: EpisodeOptions, seed: int
    ) -> None:
        """Take the scenes that are long enough; see `SceneSampler`."""
        self._options = options
        self._sampler = SceneSampler(scenes, options, seed)

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes that are long enough."""
        return self._sampler.scenes

    def draw(self, scene: str | None = None) -> Episode:
        """Draw the next episode, of a random scene unless one is named."""
        sampler, options = self._sampler, self._options
        random, torch_random = sampler.random, sampler.torch_random
        name = scene if scene is not None else str(random.choice(self.scenes))
        view = sampler.view(name)
        shots = int(random.choice(options.shots))
        times = [sampler.time(name, view) for _ in range(shots)]
        crowd = self._crowd(name, view)
        past = self._past()
        queries, targets = [], []
        for _ in range(options.queries):
            planted = self._planted(name, view, times, crowd)
            queries.append(view.noisy(planted.clip, torch_random))
            target = _cells(planted, options.stride)
            if past == 0 and planted.kind in ONLY_IN_MOTION:
                target = target.masked_fill(target == 1, -1.0)
            targets.append(target)
        normal, corrupted = [], []
        for _ in range(options.patched):
            plain = sampler.clip(sampler.time(name, view, times), view)
            clip = view.noisy(self._peopled(crowd, False, view)(plain), torch_random)
            patches = draw_patches(view.out_hw, torch_random)
            normal.append(clip)
            corrupted.append(corrupt(clip, patches, torch_random))
        support = []
        for time in times:
            clip = self._peopled(crowd, True, view)(sampler.clip(time, view))
            support.append(view.noisy(clip, torch_random))
        drawn = Episode(*map(stack_clips, (support, queries, targets, normal, corrupted)))
        return drawn if past is None else _truncated(drawn, past)

    def state(self) -> dict[str, Any]:
        """State of the random generators, as tensors and text, for `torch.save`."""
        return self._sampler.state()

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a sampler."""
        self._sampler.resume(state)

    def _planted(
        self, scene: str, view: EpisodeView, support: list[ClipTime], crowd: Crowd | None
    ) -> Planted:
        """A clip with a planted anomaly, at another time than the support."""
        time = self._sampler.time(scene, view, support)
        if crowd is None:
            return self._sampler.planted(scene, view, time)[1]
        peopled = self._peopled(crowd, False, view)
        fast_mover = lambda: self._fast_mover(crowd)  # noqa: E731
        return self._sampler.planted(scene, view, time, peopled, fast_mover)[1]

    def _past(self) -> int | None:
        """Number of frames before the newest that the clips of an episode keep; None: all."""
        whole, random = self._options.clip_length - 1, self._sampler.random
        if (
            not self._options.augment
            or whole == 0
            or random.random() >= self._options.truncated_share
        ):
            return None
        return int(random.choice([0, *range(whole)]))  # a single frame twice as often

    def _crowd(self, scene: str, view: EpisodeView) -> Crowd | None:
        """Draw the composed crowd of an episode, from the same scene or from another."""
        sampler, random = self._sampler, self._sampler.random
        if not self._options.augment or random.random() >= self._options.crowd_share:
            return None
        size_hw = view.out_hw
        if random.random() < _CROWD_OF_ITS_OWN:
            crowd = draw_crowd(lambda: sampler.own_cut_out(scene, view), size_hw, random)
            if crowd is not None:
                return crowd
        for _ in range(_CROWD_TRIES):
            other = sampler.another(scene)
            its = replace(sampler.view(other), step=view.step)
            cut = lambda other=other, its=its: sampler.own_cut_out(other, its)  # noqa: E731
            crowd = draw_crowd(cut, size_hw, random, _CROWD_TALL)
            if crowd is not None:
                return crowd
        return None

    def _peopled(
        self, crowd: Crowd | None, of_support: bool, view: EpisodeView
    ) -> Callable[[Tensor], Tensor]:
        """Function that lays some of the crowd, if there is one, over a clip."""
        if crowd is None:
            return lambda clip: clip
        return crowd.gather(of_support, view.out_hw, self._sampler.random)

    def _fast_mover(self, crowd: Crowd) -> MovingCutOut:
        """A person of the crowd who is to move too fast, at a random row among it.

        With hardly any walking people in the support, too fast is undefined; a network trained on
        such episodes gives all moving people a high energy.
        """
        random = self._sampler.random
        one = crowd.queries[int(random.integers(len(crowd.queries)))]
        return replace(one, top=int(random.integers(crowd.rows[0], crowd.rows[1] + 1)))


def _truncated(episode: Episode, past: int) -> Episode:
    """The episode with so many frames before the newest left in all clips."""

    def truncated(clips: Tensor) -> Tensor:
        return truncate_history(clips, [past] * len(clips)) if len(clips) else clips

    return replace(
        episode,
        support=truncated(episode.support),
        query=truncated(episode.query),
        normal=truncated(episode.normal),
        corrupted=truncated(episode.corrupted),
    )


def _cells(planted: Planted, stride: int) -> Tensor:
    """Pixel masks to cells: 1 mostly planted, 0 untouched in every frame, -1 in between."""
    masks = torch.stack([planted.mask, planted.touched])[:, None].float()
    anomaly, touched = functional.avg_pool2d(masks, stride, ceil_mode=True)[:, 0]
    return torch.where(anomaly > 0.4, 1.0, torch.where(touched > 0.02, -1.0, 0.0))
