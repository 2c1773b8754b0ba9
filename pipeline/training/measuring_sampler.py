"""Clips of one scene to measure detectors on: support, normal and planted ones, and recordings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.training.scene_sampler import ClipTime, EpisodeOptions, SceneSampler, stack_clips
from pipeline.training.scenes import SceneClip
from pipeline.training.views import EpisodeView

Shown = Callable[[SceneClip, int, bool], tuple[npt.NDArray[np.uint8], str]]
"""Recording, index of the newest frame, and whether it is to be anomalous → frames (T, H, W), and
the kind of the anomaly."""


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


class MeasuringSampler:
    """Draws clips to measure on, reproducibly by seed."""

    def __init__(
        self, scenes: dict[str, list[SceneClip]], options: EpisodeOptions, seed: int
    ) -> None:
        """Take the scenes that are long enough; see `SceneSampler`."""
        self._sampler = SceneSampler(scenes, options, seed)

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes that are long enough."""
        return self._sampler.scenes

    def reseed(self, seed: int) -> None:
        """Restart the random generators with a seed."""
        self._sampler.reseed(seed)

    def normal_and_planted(
        self, scene: str, shots: int, queries: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clips of one scene, normal and planted ones at the same times.

        Returns:
            Support (shots, T, …), normal queries (queries, T, …), and the same queries with an
            anomaly planted into each.
        """
        sampler = self._sampler
        view = sampler.view(scene)
        times = [sampler.time(scene, view) for _ in range(shots)]
        support = torch.stack([sampler.clip(time, view) for time in times])
        drawn = [
            sampler.planted(scene, view, sampler.time(scene, view, times)) for _ in range(queries)
        ]
        normal = torch.stack([clip for clip, _ in drawn])
        return support, normal, torch.stack([planted.clip for _, planted in drawn])

    def independent(
        self, scene: str, shots: int, queries: int, shown: Shown | None = None
    ) -> IndependentClips:
        """Clips of one scene, normal and planted ones at different times.

        As in a real test set, normal and planted clips may differ in how crowded the scene is.
        Invisible anomalies are drawn again.

        Args:
            scene: Its name.
            shots: K.
            queries: Number of normal clips, and of planted ones.
            shown: Content of normal and planted clips; None: the unchanged scene, and the same with
                one of the anomalies of training.
        """
        sampler = self._sampler
        view = sampler.view(scene)
        support = [sampler.time(scene, view) for _ in range(shots)]
        normal: list[ClipTime] = []
        planted: list[ClipTime] = []
        for _ in range(queries):  # alternating, so that neither kind gets better times
            planted.append(sampler.time(scene, view, [*support, *normal]))
            normal.append(sampler.time(scene, view, [*support, *planted]))
        numbers = {id(clip): number for number, clip in enumerate(sampler.clips[scene])}
        places = tuple((numbers[id(time.clip)], time.newest) for time in support)
        plain = stack_clips([sampler.clip(time, view) for time in support])
        if shown is not None:
            anomalies, kinds = _content(shown, view, planted, True)
            normal_clips, _ = _content(shown, view, normal, False)
            contaminated, _ = _content(shown, view, support, True)
            return IndependentClips(plain, normal_clips, anomalies, kinds, places, contaminated)
        seen = [sampler.visible_planted(scene, view, time) for time in planted]
        return IndependentClips(
            plain,
            stack_clips([sampler.clip(time, view) for time in normal]),
            stack_clips([one.clip for one in seen]),
            tuple(one.kind for one in seen),
            places,
            stack_clips([sampler.visible_planted(scene, view, time).clip for time in support]),
        )

    def recordings(self, scene: str) -> list[Iterator[Tensor]]:
        """Every whole clip of each recording of a scene, (T, …), newest frame T − 1, T, ….

        Raises:
            ValueError: the sampler augments its scenes.
        """
        sampler = self._sampler
        if sampler.options.augment:
            raise ValueError("recordings: want a sampler that does not augment")
        view = sampler.view(scene)
        first = sampler.options.clip_length - 1

        def played(clip: SceneClip) -> Iterator[Tensor]:
            for newest in range(first, len(clip.frames)):
                yield sampler.clip(ClipTime(clip, newest), view)

        return [played(clip) for clip in sampler.clips[scene]]


def _content(
    shown: Shown, view: EpisodeView, times: Sequence[ClipTime], anomalous: bool
) -> tuple[Tensor, tuple[str, ...]]:
    """Clips with the content that `shown` gives, and the kinds of their anomalies."""
    found = [shown(time.clip, time.newest, anomalous) for time in times]
    return stack_clips([view.apply(frames) for frames, _ in found]), tuple(
        kind for _, kind in found
    )
