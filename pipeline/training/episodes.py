"""Episodes for meta-training: normal clips of a scene, and queries with planted anomalies."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.inputs import truncate_history
from models.training.inpainting import corrupt, draw_patches
from models.training.negatives import ONLY_IN_MOTION, Material, Planted, plant
from models.training.objectives import Episode
from models.training.overlay import MovingCutOut
from pipeline.training.crowds import Crowd, draw_crowd
from pipeline.training.cutouts import cut_out
from pipeline.training.scenes import SceneClip
from pipeline.training.views import EpisodeView, random_view

_FAST = 3
"""Factor by which sped-up regions are played too fast."""
_SPED_UP_CUT_OUTS = 0.3
"""Share of the cut-outs that are played too fast."""
Shown = Callable[[SceneClip, int, bool], tuple[npt.NDArray[np.uint8], str]]
"""Recording, index of the newest frame, and whether it is to be anomalous → frames (T, H, W), and
the kind of the anomaly."""
_CROWD_OF_ITS_OWN = 0.4
"""Share of the crowds that come from the same scene, if enough moves there."""
_CROWD_TRIES = 3
_CROWD_TALL = (0.06, 0.25)
"""Height of people from another scene, as a share of the frame's height."""
_TRIES = 12
_BACKGROUND_FRAMES = 40


@dataclass(frozen=True, slots=True)
class EpisodeOptions:
    """Settings of the episodes drawn from scenes."""

    clip_length: int = 5
    stride: int = 8
    """Side of a cell of the target in pixels."""
    crop_hw: tuple[int, int] = (192, 256)
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


@dataclass(frozen=True, slots=True)
class _ClipTime:
    """A time in a clip of a scene."""

    clip: SceneClip
    newest: int
    """Index of the newest frame."""


@dataclass(frozen=True, slots=True, eq=False)
class IndependentClips:
    """Clips of one scene to measure on: normal and planted ones come from different times."""

    support: Tensor
    """(shots, T, …)."""
    normal: Tensor
    """(queries, T, …)."""
    planted: Tensor
    """(queries, T, …), none of them at the time of a normal one if the scene is long enough."""
    kinds: tuple[str, ...]
    """Kind of each planted clip."""
    support_places: tuple[tuple[int, int], ...]
    """Indices of the recording and of the newest frame of each support clip."""
    contaminated: Tensor
    """The support with an anomaly planted into every clip, (shots, T, …); empty where there is
    none."""


class EpisodeSampler:
    """Draws episodes, reproducibly by seed."""

    def __init__(
        self, scenes: dict[str, list[SceneClip]], options: EpisodeOptions, seed: int
    ) -> None:
        self._options = options
        self._random = np.random.default_rng(seed)
        self._torch_random = torch.Generator().manual_seed(seed)
        self._backgrounds: dict[int, npt.NDArray[np.uint8]] = {}
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
        """Draw the next episode, of a random scene unless one is named."""
        random, options = self._random, self._options
        name = scene if scene is not None else str(random.choice(self.scenes))
        clips = self._scenes[name]
        view = self._view(clips[0].size_hw)
        shots = int(random.choice(options.shots))
        moments = [self._moment(clips, view) for _ in range(shots)]
        crowd = self._crowd(name, view)
        past = self._past()
        queries, targets = [], []
        for _ in range(options.queries):
            _, planted = self._query(name, view, moments, crowd)
            queries.append(view.noisy(planted.clip, self._torch_random))
            target = _cells(planted, options.stride)
            if past == 0 and planted.kind in ONLY_IN_MOTION:
                target = target.masked_fill(target == 1, -1.0)
            targets.append(target)
        normal, corrupted = [], []
        for _ in range(options.patched):
            plain = self._plain(self._moment(clips, view, moments), view)
            clip = view.noisy(self._peopled(crowd, False, view)(plain), self._torch_random)
            patches = draw_patches(view.out_hw, self._torch_random)
            normal.append(clip)
            corrupted.append(corrupt(clip, patches, self._torch_random))
        support = []
        for moment in moments:
            clip = self._peopled(crowd, True, view)(self._plain(moment, view))
            support.append(view.noisy(clip, self._torch_random))
        drawn = Episode(*map(_stack, (support, queries, targets, normal, corrupted)))
        return drawn if past is None else _truncated(drawn, past)

    def state(self) -> dict[str, Any]:
        """State of the random generators, as tensors and text, for `torch.save`."""
        return {
            "numpy": json.dumps(self._random.bit_generator.state),
            "torch": self._torch_random.get_state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a sampler."""
        self._random.bit_generator.state = json.loads(state["numpy"])
        self._torch_random.set_state(state["torch"])

    def reseed(self, seed: int) -> None:
        """Restart the random generators with a seed."""
        self._random = np.random.default_rng(seed)
        self._torch_random = torch.Generator().manual_seed(seed)

    def normal_and_planted(
        self, scene: str, shots: int, queries: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clips of one scene to measure on.

        Returns:
            Support (shots, T, …), normal queries (queries, T, …), and the same queries with an
            anomaly planted into each.
        """
        clips = self._scenes[scene]
        view = self._view(clips[0].size_hw)
        moments = [self._moment(clips, view) for _ in range(shots)]
        support = torch.stack([self._plain(moment, view) for moment in moments])
        drawn = [self._query(scene, view, moments) for _ in range(queries)]
        normal = torch.stack([clip for clip, _ in drawn])
        return support, normal, torch.stack([planted.clip for _, planted in drawn])

    def independent(
        self, scene: str, shots: int, queries: int, shown: Shown | None = None
    ) -> IndependentClips:
        """Clips of one scene to measure on, normal and planted ones at different times.

        As in a real test set, normal and planted clips may differ in how crowded the scene is.
        Invisible anomalies are drawn again.

        Args:
            scene: Its name.
            shots: K.
            queries: Number of normal clips, and of planted ones.
            shown: Content of normal and planted clips; None: the unchanged scene, and the same with
                one of the anomalies of training.
        """
        clips = self._scenes[scene]
        view = self._view(clips[0].size_hw)
        support = [self._moment(clips, view) for _ in range(shots)]
        normal: list[_ClipTime] = []
        planted: list[_ClipTime] = []
        for _ in range(queries):  # alternating, so that neither kind gets better times
            planted.append(self._moment(clips, view, [*support, *normal]))
            normal.append(self._moment(clips, view, [*support, *planted]))
        if shown is not None:
            return self._shown(shown, view, clips, support, normal, planted)
        seen = [self._visible(scene, view, moment) for moment in planted]
        numbers = {id(clip): number for number, clip in enumerate(clips)}
        return IndependentClips(
            _stack([self._plain(moment, view) for moment in support]),
            _stack([self._plain(moment, view) for moment in normal]),
            _stack([one.clip for one in seen]),
            tuple(one.kind for one in seen),
            tuple((numbers[id(moment.clip)], moment.newest) for moment in support),
            _stack([self._visible(scene, view, moment).clip for moment in support]),
        )

    def _shown(
        self,
        shown: Shown,
        view: EpisodeView,
        clips: list[SceneClip],
        support: Sequence[_ClipTime],
        normal: Sequence[_ClipTime],
        planted: Sequence[_ClipTime],
    ) -> IndependentClips:
        def clips_at(times: Sequence[_ClipTime], anomalous: bool) -> tuple[Tensor, list[str]]:
            found = [shown(time.clip, time.newest, anomalous) for time in times]
            return _stack([view.apply(frames) for frames, _ in found]), [kind for _, kind in found]

        anomalies, kinds = clips_at(planted, True)
        numbers = {id(clip): number for number, clip in enumerate(clips)}
        return IndependentClips(
            _stack([self._plain(moment, view) for moment in support]),
            clips_at(normal, False)[0],
            anomalies,
            tuple(kinds),
            tuple((numbers[id(moment.clip)], moment.newest) for moment in support),
            clips_at(support, True)[0],
        )

    def recordings(self, scene: str) -> list[Iterator[Tensor]]:
        """Every whole clip of each recording of a scene, (T, …), newest frame T − 1, T, ….

        Raises:
            ValueError: the sampler augments its scenes.
        """
        if self._options.augment:
            raise ValueError("recordings: want a sampler that does not augment")
        clips = self._scenes[scene]
        view = self._view(clips[0].size_hw)
        first = self._options.clip_length - 1

        def played(clip: SceneClip) -> Iterator[Tensor]:
            for newest in range(first, len(clip.frames)):
                yield self._plain(_ClipTime(clip, newest), view)

        return [played(clip) for clip in clips]

    def _visible(self, scene: str, view: EpisodeView, moment: _ClipTime) -> Planted:
        """A visible planted anomaly, within `_TRIES` draws."""
        for _ in range(_TRIES):
            _, planted = self._planted(scene, view, moment)
            if bool(planted.mask.any()):
                break
        return planted

    def _query(
        self, scene: str, view: EpisodeView, support: list[_ClipTime], crowd: Crowd | None = None
    ) -> tuple[Tensor, Planted]:
        """A normal clip, and the same with a planted anomaly."""
        return self._planted(scene, view, self._moment(self._scenes[scene], view, support), crowd)

    def _planted(
        self, scene: str, view: EpisodeView, moment: _ClipTime, crowd: Crowd | None = None
    ) -> tuple[Tensor, Planted]:
        peopled = self._peopled(crowd, False, view)
        clip = peopled(self._plain(moment, view))
        material = Material(
            foreign=lambda: self._foreign(scene, view.out_hw),
            fast=lambda: peopled(self._played(moment, view, _FAST)),
            cut_out=lambda: self._foreign_cut_out(scene, view),
            own=lambda: self._fast_mover(scene, view, crowd),
        )
        return clip, plant(clip, material, self._torch_random)

    def _past(self) -> int | None:
        """Number of frames before the newest that the clips of an episode keep; None: all."""
        whole = self._options.clip_length - 1
        if (
            not self._options.augment
            or whole == 0
            or self._random.random() >= self._options.truncated_share
        ):
            return None
        return int(self._random.choice([0, *range(whole)]))  # a single frame twice as often

    def _crowd(self, scene: str, view: EpisodeView) -> Crowd | None:
        """Draw the composed crowd of an episode, from the same scene or from another."""
        if not self._options.augment or self._random.random() >= self._options.crowd_share:
            return None
        size_hw = view.out_hw
        if self._random.random() < _CROWD_OF_ITS_OWN:
            crowd = draw_crowd(lambda: self._own_cut_out(scene, view), size_hw, self._random)
            if crowd is not None:
                return crowd
        for _ in range(_CROWD_TRIES):
            other = self._another(scene)
            its = replace(self._view(self._scenes[other][0].size_hw), step=view.step)
            cut = lambda other=other, its=its: self._own_cut_out(other, its)  # noqa: E731
            crowd = draw_crowd(cut, size_hw, self._random, _CROWD_TALL)
            if crowd is not None:
                return crowd
        return None

    def _peopled(
        self, crowd: Crowd | None, of_support: bool, view: EpisodeView
    ) -> Callable[[Tensor], Tensor]:
        """Function that lays some of the crowd, if there is one, over a clip."""
        if crowd is None:
            return lambda clip: clip
        return crowd.gather(of_support, view.out_hw, self._random)

    def _fast_mover(
        self, scene: str, view: EpisodeView, crowd: Crowd | None
    ) -> MovingCutOut | None:
        """A person who is to move too fast: in training one of a crowd, at a random row among it.

        With hardly any walking people in the support, too fast is undefined; a network trained on
        such episodes gives all moving people a high energy.
        """
        if crowd is None:
            return None if self._options.augment else self._own_cut_out(scene, view)
        one = crowd.queries[int(self._random.integers(len(crowd.queries)))]
        return replace(one, top=int(self._random.integers(crowd.rows[0], crowd.rows[1] + 1)))

    def _view(self, size_hw: tuple[int, int]) -> EpisodeView:
        options = self._options
        if not options.augment:
            return EpisodeView(0, 0, *size_hw, options.crop_hw)
        return random_view(size_hw, options.crop_hw, options.scale, options.stride, self._random)

    def _moment(
        self, clips: list[SceneClip], view: EpisodeView, apart_from: Sequence[_ClipTime] = ()
    ) -> _ClipTime:
        """A random time at the wanted distance from the given ones, or the largest found."""
        lengths = np.array([len(clip.frames) for clip in clips], dtype=float)
        best, farthest = None, -1
        for _ in range(_TRIES):
            clip = clips[int(self._random.choice(len(clips), p=lengths / lengths.sum()))]
            reach = self._reach(clip, view)
            newest = int(self._random.integers(min(reach, len(clip.frames) - 1), len(clip.frames)))
            gap = min(
                (abs(newest - other.newest) for other in apart_from if other.clip is clip),
                default=self._options.gap,
            )
            if gap > farthest:
                best, farthest = _ClipTime(clip, newest), gap
            if gap >= self._options.gap:
                break
        assert best is not None
        return best

    def _reach(self, clip: SceneClip, view: EpisodeView) -> int:
        """Number of frames before the newest of a sped-up clip, or of a plain one if short."""
        reach = (self._options.clip_length - 1) * view.step
        return reach * _FAST if reach * _FAST < len(clip.frames) else reach

    def _plain(self, moment: _ClipTime, view: EpisodeView) -> Tensor:
        return self._played(moment, view, 1)

    def _played(self, moment: _ClipTime, view: EpisodeView, speed: int) -> Tensor:
        ages = np.arange(self._options.clip_length - 1, -1, -1) * view.step * speed
        return view.apply(moment.clip.frames[np.maximum(moment.newest - ages, 0)])

    def _another(self, scene: str) -> str:
        """Name of another scene."""
        return str(self._random.choice([name for name in self._scenes if name != scene]))

    def _foreign(self, scene: str, out_hw: tuple[int, int]) -> Tensor:
        """A clip of another scene in a view of its own, as large as the clip that it goes into."""
        clips = self._scenes[self._another(scene)]
        view = replace(self._view(clips[0].size_hw), out_hw=out_hw)
        return self._plain(self._moment(clips, view), view)

    def _foreign_cut_out(self, scene: str, view: EpisodeView) -> MovingCutOut | None:
        """A moving object cut out of another scene."""
        clips = self._scenes[self._another(scene)]
        whole = clips[0].size_hw
        own = replace(view, top=0, left=0, height=whole[0], width=whole[1])
        moment = self._moment(clips, own)
        speed = _FAST if self._random.random() < _SPED_UP_CUT_OUTS else 1
        background = own.apply(self._background(moment.clip)[None])[0]
        return cut_out(self._played(moment, own, speed), background, self._random)

    def _own_cut_out(self, scene: str, view: EpisodeView) -> MovingCutOut | None:
        """A moving object cut out of the same view of the scene at another time."""
        moment = self._moment(self._scenes[scene], view)
        background = view.apply(self._background(moment.clip)[None])[0]
        return cut_out(
            self._plain(moment, view), background, self._random, keep_size_and_light=True
        )

    def _background(self, clip: SceneClip) -> npt.NDArray[np.uint8]:
        """Background of the scene without moving objects: the median over time, cached."""
        known = self._backgrounds.get(id(clip))
        if known is None:
            step = max(1, len(clip.frames) // _BACKGROUND_FRAMES)
            known = np.median(clip.frames[::step], axis=0).astype(np.uint8)
            self._backgrounds[id(clip)] = known
        return known


def _stack(clips: list[Tensor]) -> Tensor:
    """Stack clips; an empty tensor for none."""
    return torch.stack(clips) if clips else torch.empty(0)


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
