"""The synthetic street as a source: "synthetic:street?seed=3&seconds=60&plan=demo"."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from cameras.pacing import Pace, Pacer
from cameras.simulation.plan import planned_demo
from cameras.simulation.scene import SyntheticStreet
from cameras.source import Picture, SourceInfo, SourceOptions

_WANTED = (
    'want "synthetic:street", with seed, seconds, fps, plan and occupancy_cycle as in '
    '"?seed=3&plan=demo"'
)


@dataclass(frozen=True, slots=True)
class SyntheticAddress:
    """Parameters of the address of a synthetic street."""

    seed: int = 0
    """Seed of the street, 0 or more."""
    seconds: float | None = None
    """Length; None: endless, like a camera."""
    frames_per_second: float = 15.0
    demo: bool = False
    """Whether to show the anomalies of the demo."""
    cycle_seconds: float | None = None
    """Period in which the street fills and empties; None: constant occupancy."""

    @classmethod
    def parsed(cls, address: str) -> "SyntheticAddress":
        """Parse an address.

        Raises:
            ValueError: it names another scene, an unknown parameter or an impossible value.
        """
        scene, _, query = address.removeprefix("synthetic:").partition("?")
        if scene != "street":
            raise ValueError(f"synthetic source: {_WANTED}, got the scene {scene!r}")
        given: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in ("seed", "seconds", "fps", "plan", "occupancy_cycle"):
                raise ValueError(f"synthetic source: {_WANTED}, got the parameter {name!r}")
            if name in given:
                raise ValueError(f"synthetic source: {name} is given twice")
            given[name] = value
        plan = given.get("plan", "none")
        if plan not in ("none", "demo"):
            raise ValueError(f"synthetic source: plan: want demo or none, got {plan!r}")
        seed = given.get("seed", "0")
        if not (seed.isascii() and seed.isdigit()):
            raise ValueError(f"synthetic source: seed: want a whole number >= 0, got {seed!r}")
        return cls(
            seed=int(seed),
            seconds=_positive("seconds", given["seconds"]) if "seconds" in given else None,
            frames_per_second=_positive("fps", given.get("fps", "15")),
            demo=plan == "demo",
            cycle_seconds=(
                _positive("occupancy_cycle", given["occupancy_cycle"])
                if "occupancy_cycle" in given
                else None
            ),
        )


class SyntheticSource:
    """One connection to a synthetic street."""

    def __init__(self, wanted: SyntheticAddress, pace: Pace) -> None:
        """Store what to render.

        Args:
            wanted: The street and its length.
            pace: "live" at its rate, "fast" without waits.
        """
        self._wanted = wanted
        self._pace: Pace = pace
        self._pacer = Pacer(pace)
        self._street: SyntheticStreet | None = None
        self.started_at: float | None = None
        """Wall clock at stream time 0, Unix seconds UTC; None before the first frame."""
        self.started = threading.Event()
        """Set with the first frame."""

    def __enter__(self) -> Self:
        """Build the street; takes a second or two."""
        wanted = self._wanted
        self._street = SyntheticStreet(
            wanted.seed,
            frames_per_second=wanted.frames_per_second,
            anomalies=planned_demo() if wanted.demo else (),
            cycle_seconds=wanted.cycle_seconds,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release a waiting reader."""
        self._pacer.close()

    @property
    def info(self) -> SourceInfo:
        """Properties of the street.

        Raises:
            RuntimeError: it is not open.
        """
        return SourceInfo(
            size_hw=self._opened().size_hw,
            codec="synthetic",
            frames_per_second=self._wanted.frames_per_second,
            frame_count=self._frame_count(),
            live=self._pace == "live" and self._wanted.seconds is None,
        )

    def __iter__(self) -> Iterator[Picture]:
        """Yield the frames in order; endless without a length."""
        street, length = self._opened(), self._frame_count()
        for index in count() if length is None else range(length):
            pixels = street.render(index).pixels
            pts_seconds = index / self._wanted.frames_per_second
            self._pacer.wait_until(pts_seconds)
            if self.started_at is None:
                self.started_at = time.time()
                self.started.set()
            yield Picture(pts_seconds, time.time(), pixels)

    def _frame_count(self) -> int | None:
        seconds = self._wanted.seconds
        return None if seconds is None else max(1, round(seconds * self._wanted.frames_per_second))

    def _opened(self) -> SyntheticStreet:
        if self._street is None:
            raise RuntimeError("synthetic source: not open")
        return self._street


def open_synthetic(address: str, options: SourceOptions) -> SyntheticSource:
    """Create the source for an address; nothing is rendered before its `with`.

    Args:
        address: "synthetic:street", optionally with "?" and parameters joined by "&": seed
            (whole number, 0), seconds (default: endless), fps (15), plan (demo or none),
            occupancy_cycle (period in seconds in which the street fills and empties; default:
            constant occupancy).
        options: Only the pace is used.

    Raises:
        ValueError: the address is malformed.
    """
    return SyntheticSource(SyntheticAddress.parsed(address), options.pace)


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ValueError(f"synthetic source: {name}: want a number > 0 and < 1000000, got {text!r}")
    return value
