"""Schedule of the faults of a chaos run. Pure: the same seed gives the same schedule."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Trouble = Literal[
    "kill scorer",
    "kill ingest",
    "kill sink",
    "kill gateway",
    "rtsp stalls",
    "rtsp resets",
    "rtsp away",
    "disk full",
]
"""One at a time, so that each fault has its own recovery."""
Absence = Literal["broker away", "webhook away", "webhook hangs up"]
"""At the same time as others: messages must survive any other fault. A webhook that hangs up has
taken the message without an answer."""

WARM_UP_SECONDS = 75.0
"""Time without faults, in which cameras are adapted and calibrated."""
_LIVE_ONLY = ("rtsp stalls", "rtsp resets", "rtsp away")
_MOMENTARY = ("kill scorer", "kill ingest", "kill sink", "kill gateway", "rtsp resets")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    at_seconds: float
    """From the start of the run."""
    kind: Trouble | Absence
    seconds: float
    """Duration; 0: over at once."""
    camera: str = ""
    """Name of the camera; empty: none or all."""

    @property
    def until_seconds(self) -> float:
        """When it is over."""
        return self.at_seconds + self.seconds

    @property
    def name(self) -> str:
        """Display name."""
        return f"{self.kind} ({self.camera})" if self.camera else self.kind


def schedule(seed: int, minutes: float, cameras: Sequence[str], live: Sequence[str]) -> list[Fault]:
    """Schedule a run; every kind occurs once before any occurs again.

    Args:
        seed: Draws order, pauses and victims.
        minutes: Length of the run.
        cameras: All of them.
        live: Those served by RTSP.

    Returns:
        In order of start. All are over some time before the end; faults that come one at a time are
        over before the next begins.
    """
    chance = random.Random(f"{seed}, {minutes:g} minutes")
    hold, away = min(20.0, 4.0 * minutes), min(60.0, 8.0 * minutes)
    quiet_seconds = min(60.0, 8.0 * minutes)
    latest = minutes * 60.0 - quiet_seconds

    def planned(kinds: Sequence[Trouble] | Sequence[Absence], pause: float) -> Iterator[Fault]:
        at = WARM_UP_SECONDS
        lasting = away if set(kinds) <= set(get_args(Absence)) else hold
        while True:
            for kind in chance.sample([*kinds], len(kinds)):
                seconds = 0.0 if kind in _MOMENTARY else lasting
                victims = live if kind in _LIVE_ONLY else cameras if kind == "kill ingest" else ()
                camera = chance.choice(victims) if victims else ""
                if at + seconds > latest:
                    return
                yield Fault(round(at, 1), kind, seconds, camera)
                at += seconds + pause * chance.uniform(1.0, 1.6)

    pause = min(22.0, 4.0 * minutes)
    faults = [*planned(get_args(Trouble), pause), *planned(get_args(Absence), 2.0 * pause)]
    return sorted(faults, key=lambda fault: (fault.at_seconds, fault.kind))
