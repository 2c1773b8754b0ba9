"""Synthetic streets to measure on: rendered once, with exact labels and an occupancy cycle."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cameras.simulation import ANOMALY_KINDS, PlannedAnomaly, SyntheticStreet
from pipeline.training.measuring import CLIP_LENGTH
from pipeline.training.measuring_sampler import IndependentClips

FRAMES_PER_SECOND = 10.0
_GAP = 20
"""Frames (2 s) between support and normal clips, where there is room."""


@dataclass(frozen=True, slots=True)
class StreetOptions:
    """Properties of a street."""

    size_hw: tuple[int, int] = (240, 320)
    """Pixels; at 120 x 160 people are 10 to 30 of them high."""
    normal_seconds: float = 120.0
    """Normal time before the anomalies."""
    anomaly_seconds: float = 6.0
    """Length of each."""
    pause_seconds: float = 4.0
    """Normal time after each."""
    cycle_seconds: float = 90.0
    """Time in which the street fills and empties again; 0: always about as busy."""
    colour: bool = False
    """Keep RGB; else grey."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            ValueError: names the value.
        """
        if self.normal_seconds < 5:
            raise ValueError(f"street: want normal_seconds >= 5, got {self.normal_seconds}")
        if self.cycle_seconds < 0:
            raise ValueError(f"street: want cycle_seconds >= 0, got {self.cycle_seconds}")


def planned(number: int, options: StreetOptions) -> list[PlannedAnomaly]:
    """Every kind once after the normal time, in an order of the street's own."""
    kinds = np.random.default_rng([number, 23]).permutation(np.array(ANOMALY_KINDS))
    step = options.anomaly_seconds + options.pause_seconds
    return [
        PlannedAnomaly(kind, options.normal_seconds + place * step, options.anomaly_seconds)
        for place, kind in enumerate(kinds.tolist())
    ]


class RenderedStreet:
    """A street as a stage of `pipeline.training.measuring`; all draws have the same anomalies."""

    def __init__(self, number: int, options: StreetOptions, seed: int = 0) -> None:
        """Choose a street; it is rendered when it is first looked at.

        Args:
            number: Its seed.
            options: What it is like.
            seed: Of the draws.
        """
        self.name = f"street {number}"
        self._number = number
        self._options = options
        self._random = np.random.default_rng([number, seed])
        self._normal = round(options.normal_seconds * FRAMES_PER_SECOND)
        self._frames: npt.NDArray[np.uint8] | None = None
        self._kinds: list[str | None] = []

    def draw(self, shots: int, queries: int) -> IndependentClips:
        """Support and normal clips of the normal time; about `queries` frames of the anomalies."""
        self._render()
        places = self._random.choice(
            np.arange(CLIP_LENGTH - 1, self._normal), shots + queries, replace=False
        )
        support = places[:shots]
        apart = [place for place in places[shots:] if np.abs(support - place).min() >= _GAP]
        normal = apart or places[shots:]
        found = [place for place, kind in enumerate(self._kinds) if kind is not None]
        found = found[:: max(1, len(found) // queries)]
        return IndependentClips(
            self._clips(support),
            self._clips(normal),
            self._clips(found),
            tuple(str(self._kinds[place]) for place in found),
            tuple((0, int(place)) for place in support),
            torch.empty(0),
        )

    def recordings(self) -> Sequence[Iterable[Tensor]]:
        """Its normal time."""
        self._render()

        def played() -> Iterator[Tensor]:
            for newest in range(CLIP_LENGTH - 1, self._normal):
                yield self._clip(newest)

        return [played()]

    def _render(self) -> None:
        if self._frames is not None:
            return
        options = self._options
        anomalies = planned(self._number, options)
        street = SyntheticStreet(
            self._number,
            options.size_hw,
            FRAMES_PER_SECOND,
            anomalies,
            options.cycle_seconds or None,
        )
        frames = []
        for index in range(round(anomalies[-1].end_seconds * FRAMES_PER_SECOND)):
            rendered = street.render(index)
            pixels = rendered.pixels
            frames.append(pixels if options.colour else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
            self._kinds.append(rendered.kinds[0] if rendered.kinds else None)
        self._frames = np.stack(frames).astype(np.uint8)

    def _clips(self, places: Iterable[int]) -> Tensor:
        return torch.stack([self._clip(int(place)) for place in places])

    def _clip(self, newest: int) -> Tensor:
        """(T, H, W), or (T, 3, H, W) in colour, in [0, 1]."""
        assert self._frames is not None
        frames = torch.from_numpy(self._frames[newest - CLIP_LENGTH + 1 : newest + 1])
        return (frames.movedim(-1, 1) if self._options.colour else frames).float() / 255.0
