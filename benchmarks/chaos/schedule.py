"""What goes wrong in a chaos run, and when. Pure: the same seed makes the same trouble."""

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
"""One at a time: somebody must be there to notice."""
Absence = Literal["broker away", "webhook away", "webhook hangs up"]
"""Beside the others: messages must outlive whatever else happens. A webhook that hangs up has taken
the message, and does not say so."""

WARM_UP_SECONDS = 75.0
"""Cameras are adapted and calibrated in peace."""
_LIVE_ONLY = ("rtsp stalls", "rtsp resets", "rtsp away")
_MOMENTARY = ("kill scorer", "kill ingest", "kill sink", "kill gateway", "rtsp resets")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at_seconds: float
    """From the start of the run."""
    kind: Trouble | Absence
    seconds: float
    """How long it lasts; 0: it is over at once."""
    camera: str = ""
    """Whose; empty: nobody's or everybody's."""

    @property
    def until_seconds(self) -> float:
        """When it is over."""
        return self.at_seconds + self.seconds

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.kind} ({self.camera})" if self.camera else self.kind


def schedule(seed: int, minutes: float, cameras: Sequence[str], live: Sequence[str]) -> list[Fault]:
    """Plan a run; every kind comes once before any comes again.

    Args:
        seed: Draws order, pauses and victims.
        minutes: Length of the run.
        cameras: All of them.
        live: Those that are served by RTSP.

    Returns:
        In the order of their beginnings. All are over in good time before the end; of troubles, one
        is over some time before the next begins.
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
