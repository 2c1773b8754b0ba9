"""Material for composed scenes: cut-outs of people and vehicles, and empty backgrounds."""

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
from pipeline.training.scenes import SceneClip, median_background

_PEOPLE_A_SCENE = 14
_VEHICLES_A_SCENE = 8
UPRIGHT = 1.3
"""Least height of a person, in widths: a wider cut-out is several people, or part of one."""
_TRIES = 8
"""Random times tried for each cut-out wanted."""
_FEWEST_PIXELS = 50
_AREA_RATIO = 1.25
"""Largest ratio of the areas of successive frames: more means that a part was lost or gained."""
_PATH_ERROR = 0.06
"""Largest deviation of a centre from a constant velocity, as a share of the height."""
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
    """Cut-outs and backgrounds of composed scenes."""

    people: tuple[StationaryCutOut, ...]
    """At least 2."""
    vehicles: tuple[StationaryCutOut, ...]
    """At least 2."""
    backgrounds: Mapping[str, npt.NDArray[np.uint8]]
    """Scene → grey image (H, W) without people, at least one."""

    def __post_init__(self) -> None:
        """Check that there is enough of each.

        Raises:
            DatasetError: says what is missing.
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
    """Cut out people and vehicles, and compute backgrounds.

    Args:
        scenes: Name → its video, ten frames a second, grey or in colour.
        sources: The scenes used for each kind of material.
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
    """Grey image (H, W) of a scene without moving objects: the median over time."""
    return median_background(clip, grey_frames)


def stable_cut_outs(
    clips: Sequence[SceneClip], length: int, count: int, random: np.random.Generator
) -> list[StationaryCutOut]:
    """Cut out moving objects at random times, as far as they can be tracked.

    Args:
        clips: Of one scene; those of fewer frames than `length` are left out.
        length: Frames T of each cut-out.
        count: Number of cut-outs wanted.
        random: Source of all random choices.

    Returns:
        At most `count`; fewer where little moves or few cut-outs are stable.
    """
    long = [clip for clip in clips if len(clip.frames) >= length]
    backgrounds = [torch.from_numpy(empty_background(clip) / np.float32(255)) for clip in long]
    found: list[StationaryCutOut] = []
    for _ in range(count * _TRIES if long else 0):
        which = int(random.integers(len(long)))
        newest = int(random.integers(length - 1, len(long[which].frames)))
        stable = track_and_cut_out(long[which], newest, length, backgrounds[which], random)
        if stable is not None:
            found.append(stable)
        if len(found) == count:
            break
    return found


def track_and_cut_out(
    clip: SceneClip,
    newest: int,
    length: int,
    background: Tensor,
    random: np.random.Generator,
    mirror: bool = True,
) -> StationaryCutOut | None:
    """Cut out an object that moves at a given time, if it can be tracked.

    Args:
        clip: Of a scene.
        newest: Number of the newest frame.
        length: Frames T.
        background: (H, W) in [0, 1], the clip without moving objects.
        random: Source of all random choices.
        mirror: Mirror every second one horizontally.
    """
    frames = grey_frames(clip.frames[newest - length + 1 : newest + 1])
    pictures = torch.from_numpy(frames / np.float32(255))
    moving = cut_out(pictures, background, random, keep_size_and_light=True, mirror=mirror)
    return None if moving is None else stabilise(moving)


def stabilise(moving: MovingCutOut) -> StationaryCutOut | None:
    """Remove the motion of a grey cut-out, by a constant velocity fitted to its centres.

    Returns:
        None where it is small or without contrast, where its area changes abruptly, or where no
        constant velocity fits.
    """
    pixels, alpha = moving.pixels.numpy(), moving.alpha.numpy()
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
        (moving.top + centre[0] + height / 2, moving.left + centre[1]),
        (float(velocity[0]), float(velocity[1])),
    )


def grey_frames(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert grey or RGB frames to grey, (n, H, W)."""
    if frames.ndim == 3:
        return frames
    return np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]).astype(np.uint8)
