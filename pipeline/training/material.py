"""Material for composed scenes: people and vehicles cut out of video, and empty backgrounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.training.overlay import MovingCutOut
from pipeline.datasets.layout import DatasetError
from pipeline.training.cutouts import cut_out
from pipeline.training.placing import StationaryCutOut, shifted_by
from pipeline.training.scenes import SceneClip

_PEOPLE_A_SCENE = 14
_VEHICLES_A_SCENE = 8
UPRIGHT = 1.3
"""Least height of a person, in widths: a wider cut-out is several people, or part of one."""
_TRIES = 8
"""Moments looked at for each cut-out wanted."""
_BACKGROUND_FRAMES = 40
_FEWEST_PIXELS = 50
_AREA_RATIO = 1.25
"""Most that the area may change from one frame to the next: more is a part lost or gained."""
_PATH_ERROR = 0.06
"""Farthest that a centre may be from a constant velocity, as a share of the height."""
_LEAST_CONTRAST = 0.05
"""Standard deviation of the grey levels of [0, 1] within a cut-out."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Names of the scenes whose video is used."""

    people: tuple[str, ...] = (
        "pets2009_s2l1_view1",
        "caviar_shop_corridor",
        "hall_monitor",
        "humanbody2_lab",
        "next_shopping_street",
        "candela_lounge",
        "intel_lobby_one_by_one",
        "cdnet_office",
    )
    vehicles: tuple[str, ...] = (
        "highwayII",
        "bgs_overhead_road",
        "kraten_road",
        "cdnet_highway",
        "bgs_motorway02",
        "m1_cars_swdee",
    )
    backgrounds: tuple[str, ...] = (
        "kraten_road",
        "bgs_overhead_road",
        "cctv_alley",
        "pets2009_s2l1_view1",
        "next_shopping_street",
        "crossing_zebra_overhead",
        "escalator_i2r",
        "candela_lounge",
    )


@dataclass(frozen=True, slots=True, eq=False)
class SceneMaterial:
    """What scenes are composed of."""

    people: tuple[StationaryCutOut, ...]
    """At least 2."""
    vehicles: tuple[StationaryCutOut, ...]
    """At least 2."""
    backgrounds: Mapping[str, npt.NDArray[np.uint8]]
    """Scene → grey picture (H, W) without people, at least one."""

    def __post_init__(self) -> None:
        """Refuse too little.

        Raises:
            DatasetError: says what there is too little of.
        """
        people, vehicles, backgrounds = map(len, (self.people, self.vehicles, self.backgrounds))
        if min(people, vehicles) < 2 or not backgrounds:
            raise DatasetError(
                "perspective scenes: want at least 2 people, 2 vehicles and 1 background, got "
                f"{people}, {vehicles} and {backgrounds}; try longer video of the scenes"
            )


def gather_material(
    scenes: Mapping[str, Sequence[SceneClip]], sources: Sources, length: int, seed: int = 0
) -> SceneMaterial:
    """Cut out people and vehicles, and make backgrounds.

    Args:
        scenes: Name → its video, ten frames a second, grey or in colour.
        sources: Which scenes are used for what.
        length: Frames T of each cut-out.
        seed: The same seed gives the same material.

    Raises:
        DatasetError: a source is missing, or too little can be cut out.
    """
    wanted = dict.fromkeys((*sources.people, *sources.vehicles, *sources.backgrounds))
    missing = [name for name in wanted if not scenes.get(name)]
    if missing:
        raise DatasetError(f"perspective scenes: want the scenes {', '.join(missing)}, got none")
    random = np.random.default_rng([seed, 31])

    def cut(names: Iterable[str], count: int) -> list[StationaryCutOut]:
        return [
            one for name in names for one in stable_cut_outs(scenes[name], length, count, random)
        ]

    people = cut(sources.people, _PEOPLE_A_SCENE)
    return SceneMaterial(
        tuple(one for one in people if one.height > UPRIGHT * one.width),
        tuple(cut(sources.vehicles, _VEHICLES_A_SCENE)),
        {name: empty_background(scenes[name][0]) for name in sources.backgrounds},
    )


def empty_background(clip: SceneClip) -> npt.NDArray[np.uint8]:
    """Grey picture (H, W) of a scene without what moves: the median over time."""
    step = max(1, len(clip.frames) // _BACKGROUND_FRAMES)
    return np.asarray(np.median(grey_frames(clip.frames[::step]), axis=0), dtype=np.uint8)


def stable_cut_outs(
    clips: Sequence[SceneClip], length: int, count: int, random: np.random.Generator
) -> list[StationaryCutOut]:
    """Cut out what moves at random moments, as far as it can be followed.

    Args:
        clips: Of one scene; those of fewer frames than `length` are left out.
        length: Frames T of each cut-out.
        count: How many are wanted.
        random: Source of every choice.

    Returns:
        At most `count`; fewer where little moves or little of it is stable.
    """
    long = [clip for clip in clips if len(clip.frames) >= length]
    backgrounds = [torch.from_numpy(empty_background(clip) / np.float32(255)) for clip in long]
    found: list[StationaryCutOut] = []
    for _ in range(count * _TRIES if long else 0):
        which = int(random.integers(len(long)))
        newest = int(random.integers(length - 1, len(long[which].frames)))
        stable = followed(long[which], newest, length, backgrounds[which], random)
        if stable is not None:
            found.append(stable)
        if len(found) == count:
            break
    return found


def followed(
    clip: SceneClip,
    newest: int,
    length: int,
    background: Tensor,
    random: np.random.Generator,
    mirror: bool = True,
) -> StationaryCutOut | None:
    """Cut out something that moves at a moment, if it can be followed.

    Args:
        clip: Of a scene.
        newest: Number of the newest frame.
        length: Frames T.
        background: (H, W) in [0, 1], the clip without what moves.
        random: Source of every choice.
        mirror: Exchange left and right of every second one.
    """
    frames = grey_frames(clip.frames[newest - length + 1 : newest + 1])
    pictures = torch.from_numpy(frames / np.float32(255))
    thing = cut_out(pictures, background, random, as_it_is=True, mirror=mirror)
    return None if thing is None else held_in_place(thing)


def held_in_place(thing: MovingCutOut) -> StationaryCutOut | None:
    """Take its own motion from a grey thing, by a constant velocity fitted to its centres.

    Returns:
        None where it is small or without contrast, where its area leaps, or where no constant
        velocity fits.
    """
    pixels, alpha = thing.pixels.numpy(), thing.alpha.numpy()
    solid = alpha > 0.5
    areas = solid.sum((1, 2)).astype(np.float64)
    if areas.min() < _FEWEST_PIXELS or pixels[-1][solid[-1]].std() < _LEAST_CONTRAST:
        return None
    if np.abs(np.diff(np.log(areas))).max(initial=0.0) > np.log(_AREA_RATIO):
        return None
    height, width = (int(np.ptp(places)) + 1 for places in np.nonzero(solid[-1]))
    centres = np.array([np.argwhere(one).mean(0) for one in solid])
    times = np.arange(1.0 - len(solid), 1.0)  # frames, 0 is the newest
    velocity, last = np.polyfit(times, centres, 1)
    path = last + np.outer(times, velocity)
    if np.abs(path - centres).max() > _PATH_ERROR * height:
        return None
    size = (pixels.shape[2], pixels.shape[1])
    shifts = [shifted_by(*(last - place)) for place in path]
    held = [
        cv2.warpAffine(one, shift, size, borderMode=cv2.BORDER_REPLICATE)
        for one, shift in zip(pixels, shifts, strict=True)
    ]
    covers = [cv2.warpAffine(one, shift, size) for one, shift in zip(alpha, shifts, strict=True)]
    centre = (float(last[0]), float(last[1]))
    return StationaryCutOut(
        np.stack(held).astype(np.float32),
        np.stack(covers).astype(np.float32),
        centre,
        height,
        width,
        (thing.top + centre[0] + height / 2, thing.left + centre[1]),
        (float(velocity[0]), float(velocity[1])),
    )


def grey_frames(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(n, H, W) of grey or RGB frames."""
    if frames.ndim == 3:
        return frames
    return np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]).astype(np.uint8)
