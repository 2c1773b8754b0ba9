"""Composed scenes of strong perspective and small people to measure on; every label exact.

People and vehicles are cut out of real video and laid over the empty background of another scene:
smaller towards the top, each at a pace in proportion to its height. Anomalies are too fast,
vehicles among people, or left objects. Support and queries show different cut-outs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from pipeline.training.material import SceneMaterial
from pipeline.training.measuring import CLIP_LENGTH
from pipeline.training.measuring_sampler import IndependentClips
from pipeline.training.placing import CutOutPlacement, Pictures, StationaryCutOut, lay_over

_ALONG = 0.45
"""Vertical speed in the frame of a person who walks towards or away from the camera, relative to
the speed of one who crosses."""
_ROWS = (0.15, 0.98)
"""Range of the rows of feet, as shares of the height."""
_SUPPORT, _NORMAL, _PLANTED = range(3)
SPED_UP = "sped-up walker"


@dataclass(frozen=True, slots=True)
class AnomalyKind:
    """Properties of one kind of anomaly, relative to a walker in its row."""

    share: float
    """Of the anomalies; they sum up to 1."""
    pace: tuple[float, float]
    """Lowest and highest, in walkers' paces."""
    height: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest, in walkers' heights."""
    vehicle: float = 0.0
    """Chance that a vehicle is shown; else a person."""


ANOMALY_KINDS: Mapping[str, AnomalyKind] = {
    "cyclist": AnomalyKind(0.35, pace=(2.2, 4.0)),
    "skater": AnomalyKind(0.2, pace=(1.6, 2.4)),
    "cart": AnomalyKind(0.25, pace=(1.8, 3.0), height=(1.0, 1.5), vehicle=1.0),
    "slow vehicle": AnomalyKind(0.1, pace=(0.7, 1.2), height=(1.0, 1.5), vehicle=1.0),
    "left object": AnomalyKind(0.1, pace=(0.0, 0.0), height=(0.5, 1.0), vehicle=0.5),
}


@dataclass(frozen=True, slots=True)
class PerspectiveOptions:
    """Properties of composed scenes; of each range a scene takes one value."""

    size_hw: tuple[int, int] = (240, 320)
    """Pixels."""
    far_height: tuple[float, float] = (8.0, 14.0)
    """Height in pixels of people whose feet are at the top of the picture."""
    near_height: tuple[float, float] = (22.0, 36.0)
    """Height in pixels of people whose feet are at the bottom."""
    crowd: tuple[int, int] = (6, 25)
    """Most people in a clip, the bounds included; a clip has a third of them or more."""
    pace: tuple[float, float] = (0.06, 0.085)
    """Speed of a crossing walker in heights a frame (0.1 s)."""
    noise: tuple[float, float] = (1.0, 3.0)
    """Standard deviation in grey levels of 255."""
    jpeg_quality: tuple[int, int] = (55, 91)
    """The bounds included."""
    sped_up: tuple[float, float] | None = None
    """Lowest and highest pace, in the walker's own, of one of a clip's walkers: the only anomaly
    then; None: the kinds of `ANOMALY_KINDS`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cast:
    """The cut-outs that some clips may show."""

    people: Sequence[StationaryCutOut]
    vehicles: Sequence[StationaryCutOut]


class PerspectiveScene:
    """A composed scene as a stage of `pipeline.training.measuring`."""

    def __init__(
        self, number: int, material: SceneMaterial, options: PerspectiveOptions, seed: int = 0
    ) -> None:
        """Draw the properties of the scene.

        Args:
            number: The scenes of a material take its backgrounds in turn.
            material: May be shared with other scenes.
            options: Ranges of its properties.
            seed: With the number, source of all random choices.
        """
        self._key = (seed, number)
        self._options = options
        self._draws = 0
        height, width = options.size_hw
        name = list(material.backgrounds)[number % len(material.backgrounds)]
        background = cv2.resize(
            material.backgrounds[name], (width, height), interpolation=cv2.INTER_AREA
        )
        self._background = background.astype(np.float32) / np.float32(255)
        random = np.random.default_rng(self._key)
        self._far, self._near = (
            random.uniform(*one) for one in (options.far_height, options.near_height)
        )
        self._noise, self._pace = random.uniform(*options.noise), random.uniform(*options.pace)
        self._quality = int(random.integers(*options.jpeg_quality, endpoint=True))
        self._most = int(random.integers(*options.crowd, endpoint=True))
        self._crossing = random.random()  # share of walkers who cross instead of walking along
        (known, unknown), (vehicles, others) = (
            _halves(one, random) for one in (material.people, material.vehicles)
        )
        self._known, self._unknown = _Cast(known, vehicles), _Cast(unknown, others)
        self.name = f"perspective {number}: {name}, {self._far:.0f}-{self._near:.0f} px"

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """Support of one half of the cut-outs; normal and planted clips of the other."""
        draw, self._draws = self._draws, self._draws + 1

        def clips(part: int, count: int, anomalous: bool) -> list[tuple[Tensor, str]]:
            cast = self._known if part == _SUPPORT else self._unknown
            return [self._clip((draw, part, one), cast, anomalous) for one in range(count)]

        planted = clips(_PLANTED, queries, True)
        return IndependentClips(
            _stacked(clips(_SUPPORT, shots, False)),
            _stacked(clips(_NORMAL, queries, False)),
            _stacked(planted),
            tuple(kind for _, kind in planted),
            (),
            _stacked(clips(_SUPPORT, shots, True)),
        )

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """None: cut-outs last as long as a clip."""
        return []

    def height_at(self, row: float) -> float:
        """Height in pixels of a person whose feet are in that row."""
        return float(self._far + (self._near - self._far) * row / self._options.size_hw[0])

    def _clip(self, key: Sequence[int], cast: _Cast, anomalous: bool) -> tuple[Tensor, str]:
        """A clip (T, H, W) and its kind, "" if normal; the key decides all else."""
        walkers, anomaly, noise = (
            np.random.default_rng([*self._key, *key, part]) for part in range(3)
        )
        count = int(walkers.integers(self._most // 3, self._most, endpoint=True))
        placements = [self._walker(cast, walkers) for _ in range(count)]
        kind = ""
        if anomalous and self._options.sped_up is not None:
            kind = SPED_UP
            placements = placements or [self._walker(cast, anomaly)]
            one = placements.pop(int(anomaly.integers(len(placements))))
            placements.append(one.sped_up(anomaly.uniform(*self._options.sped_up)))
        elif anomalous:
            kind = str(anomaly.choice(list(ANOMALY_KINDS), p=_SHARES))
            placements.append(self._anomaly(ANOMALY_KINDS[kind], cast, anomaly))
        frames = np.repeat(self._background[None], CLIP_LENGTH, axis=0)
        for placement in sorted(placements, key=lambda one: one.foot):  # the nearest comes last
            lay_over(frames, placement)
        return torch.from_numpy(self._filmed(frames, noise)), kind

    def _walker(self, cast: _Cast, random: np.random.Generator) -> CutOutPlacement:
        one = cast.people[int(random.integers(len(cast.people)))]
        pace, height = float(np.exp(random.normal(0.0, 0.15))), random.uniform(0.9, 1.1)
        return self._placed(one, pace, height, (0.0, 1.0), random)

    def _anomaly(
        self, kind: AnomalyKind, cast: _Cast, random: np.random.Generator
    ) -> CutOutPlacement:
        pool = cast.vehicles if random.random() < kind.vehicle else cast.people
        one = pool[int(random.integers(len(pool)))]
        pace, height = random.uniform(*kind.pace), random.uniform(*kind.height)
        return self._placed(one if pace else one.frozen(), pace, height, (0.1, 0.9), random)

    def _placed(
        self,
        cut_out: StationaryCutOut,
        pace: float,
        height: float,
        columns: tuple[float, float],
        random: np.random.Generator,
    ) -> CutOutPlacement:
        """Somewhere between some columns (shares of the width); pace and height in walkers'."""
        rows, width = self._options.size_hw
        foot = random.uniform(*_ROWS) * rows, random.uniform(*columns) * width
        walker = self.height_at(foot[0])
        way, aside = random.choice([-1.0, 1.0]), random.normal()
        crossing = random.random() < self._crossing
        down, right = (0.1 * aside, way) if crossing else (_ALONG * way, 0.2 * aside)
        speed = walker * self._pace * pace
        gain = random.uniform(0.7, 1.2)
        return CutOutPlacement(cut_out, foot, walker * height, (down * speed, right * speed), gain)

    def _filmed(self, frames: Pictures, random: np.random.Generator) -> Pictures:
        """Frames with noise and compression."""
        noisy = frames * 255 + random.normal(0.0, self._noise, frames.shape)
        grey = noisy.clip(0, 255).round().astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        seen = [
            np.asarray(cv2.imdecode(cv2.imencode(".jpg", one, quality)[1], cv2.IMREAD_GRAYSCALE))
            for one in grey
        ]
        return np.stack(seen).astype(np.float32) / np.float32(255)


_SHARES = [kind.share for kind in ANOMALY_KINDS.values()]


def _halves(
    cut_outs: Sequence[StationaryCutOut], random: np.random.Generator
) -> tuple[list[StationaryCutOut], list[StationaryCutOut]]:
    mixed = [cut_outs[place] for place in random.permutation(len(cut_outs))]
    return mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]


def _stacked(clips: Sequence[tuple[Tensor, str]]) -> Tensor:
    return torch.stack([clip for clip, _ in clips])
