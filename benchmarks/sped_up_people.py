"""Real scenes whose only anomalies are their own people at higher speed.

People are cut out of a scene's video and laid back where they were, at the size they had, over
another moment of the same recording. In planted clips they move faster than they did; in normal
ones as they did, so that overlay artefacts are in both.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.perspective import SPED_UP
from pipeline.datasets.layout import DatasetError
from pipeline.training.material import UPRIGHT, empty_background, grey_frames, track_and_cut_out
from pipeline.training.measuring import CLIP_LENGTH
from pipeline.training.measuring_sampler import IndependentClips, MeasuringSampler
from pipeline.training.placing import CutOutPlacement, StationaryCutOut, lay_over
from pipeline.training.scenes import SceneClip
from pipeline.training.validation import measuring_options

_PEOPLE = 40
_TRIES = 500
"""Random times tried."""
_FEWEST = 3
_LEAST_PACE = 0.03
"""Heights a frame (0.1 s): slower people do not walk."""
_APART = 20
"""Frames (2 s) between the time of a cut-out and that of the clip that it is laid over, where
possible, so that no person appears twice in one place."""


@dataclass(frozen=True, slots=True)
class SpedUpOptions:
    """Settings of the cut-outs in the clips."""

    pace: tuple[float, float] = (2.0, 3.0)
    """Lowest and highest pace of an anomaly, in that which the same person had."""
    bare: bool = False
    """Lay nothing over normal clips: then overlay artefacts identify planted ones."""
    height: float = 17.0
    """Target of the median height of people in pixels; frames are never enlarged."""
    size_hw: tuple[int, int] = (240, 320)
    """Pixels of a picture that is not made smaller."""


@dataclass(frozen=True, slots=True, eq=False)
class _Walker:
    """A cut-out person, and the time."""

    cut_out: StationaryCutOut
    clip: SceneClip
    newest: int


class SpedUpScene:
    """A scene as a stage of `pipeline.training.measuring`; pictures are smaller than others'."""

    def __init__(
        self,
        name: str,
        scenes: Mapping[str, Sequence[SceneClip]],
        options: SpedUpOptions,
        seed: int = 0,
    ) -> None:
        """Cut out people.

        Args:
            name: Of the scene.
            scenes: Name → its video, ten frames a second.
            options: What is laid into the clips.
            seed: The same seed gives the same clips.

        Raises:
            DatasetError: there is no such scene, or too few people can be cut out of it.
        """
        if not scenes.get(name):
            raise DatasetError(f"want one of the scenes {', '.join(sorted(scenes))}, got {name}")
        self._scene, self._options = name, options
        self._random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self._walkers = _walkers(scenes[name], self._random)
        if len(self._walkers) < _FEWEST:
            raise DatasetError(
                f"{name}: want at least {_FEWEST} people that walk alone, got {len(self._walkers)};"
                " try longer video, or another scene"
            )
        heights = np.array([one.cut_out.height for one in self._walkers])
        clip = scenes[name][0].size_hw
        heights = heights * options.size_hw[0] / clip[0]
        scale = min(1.0, options.height / float(np.median(heights)))
        size_hw = (_to_cells(options.size_hw[0] * scale), _to_cells(options.size_hw[1] * scale))
        low, high = np.quantile(heights * scale, (0.1, 0.9))
        self.name = f"{name}, {low:.0f}-{high:.0f} px, {size_hw[0]}x{size_hw[1]}"
        videos = {one: list(clips) for one, clips in scenes.items()}
        self._sampler = MeasuringSampler(videos, measuring_options(size_hw), seed)
        self._sampler.reseed(zlib.crc32(name.encode()) + seed)

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """The next draw; its support is the scene as it was."""
        return self._sampler.independent(self._scene, shots, queries, self._shown)

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """Every whole clip of each of its videos, as it was."""
        return self._sampler.recordings(self._scene)

    def _shown(
        self, clip: SceneClip, newest: int, anomalous: bool
    ) -> tuple[npt.NDArray[np.uint8], str]:
        """Frames (T, H, W) of that moment with a walker of another."""
        frames = grey_frames(clip.frames[newest - CLIP_LENGTH + 1 : newest + 1])
        one = self._walker(clip, newest)
        pace = float(self._random.uniform(*self._options.pace))
        if self._options.bare and not anomalous:
            return frames, ""
        placement = CutOutPlacement(one, one.foot, one.height, one.velocity)
        pictures = frames.astype(np.float32) / np.float32(255)
        lay_over(pictures, placement.sped_up(pace) if anomalous else placement)
        return (pictures * 255).round().astype(np.uint8), SPED_UP if anomalous else ""

    def _walker(self, clip: SceneClip, newest: int) -> StationaryCutOut:
        """A person of the same recording at another time, where possible."""
        same = [one for one in self._walkers if one.clip is clip] or self._walkers
        apart = [one for one in same if one.clip is not clip or abs(one.newest - newest) >= _APART]
        some = apart or same
        return some[int(self._random.integers(len(some)))].cut_out


def _walkers(clips: Sequence[SceneClip], random: np.random.Generator) -> list[_Walker]:
    """Upright people who walk, each at its own time."""
    long = [clip for clip in clips if len(clip.frames) >= CLIP_LENGTH]
    backgrounds = [torch.from_numpy(empty_background(clip) / np.float32(255)) for clip in long]
    found: list[_Walker] = []
    for _ in range(_TRIES if long else 0):
        which = int(random.integers(len(long)))
        newest = int(random.integers(CLIP_LENGTH - 1, len(long[which].frames)))
        one = track_and_cut_out(
            long[which], newest, CLIP_LENGTH, backgrounds[which], random, mirror=False
        )
        if one is None or one.height < UPRIGHT * one.width:
            continue
        if np.hypot(*one.velocity) >= _LEAST_PACE * one.height:
            found.append(_Walker(one, long[which], newest))
        if len(found) == _PEOPLE:
            break
    return found


def _to_cells(pixels: float) -> int:
    """Whole cells of eight pixels."""
    return 8 * max(1, round(pixels / 8))
