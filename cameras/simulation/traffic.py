"""People and objects in the street at a time; a pure function of the seed, for any time."""

from dataclasses import dataclass, replace
from math import cos, pi

import numpy as np

from cameras.simulation.brush import Placement
from cameras.simulation.objects import cyclist, luggage, van
from cameras.simulation.people import RUN, WALK, Appearance, person
from cameras.simulation.plan import AnomalyKind, PlannedAnomaly
from cameras.simulation.shapes import Figure
from cameras.simulation.street import Street

WALKERS_AT_ONCE = 4.7
"""Average number of people, not counting companions."""
WALKING_SPEEDS = (1.1, 1.6)
"""Slowest and fastest, metres a second."""
RUNNING_SPEED = 3.4
RIDING_SPEED = 4.4
DRIVING_SPEED = 3.6
_MARGIN = 0.8
"""How far outside of the frame people start, metres; their shadows are visible before them."""
_TRESPASSING_SPEED = 1.75
_FIRST = 1 << 20  # walkers are numbered from long before the scene begins; seeds are positive


@dataclass(frozen=True, slots=True)
class Actor:
    """A figure at its place."""

    figure: Figure
    placement: Placement
    kind: AnomalyKind | None
    """Kind of anomaly; None for normal activity."""


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A path from one edge of the frame to the other at constant speed."""

    left: float
    right: float
    y: float
    heading: int
    """1 to the right, -1 to the left."""
    speed: float

    @property
    def seconds(self) -> float:
        return (self.right - self.left) / self.speed

    def placement(self, elapsed: float) -> Placement | None:
        """Return the position after so many seconds; None before and after the crossing."""
        if not 0 <= elapsed <= self.seconds:
            return None
        way = elapsed * self.speed
        x = self.left + way if self.heading > 0 else self.right - way
        return Placement(x, self.y, (float(self.heading), 0.0))


class Traffic:
    """Normal activity on the promenade and, rarely, on the pavement along the houses.

    Args:
        street: The street.
        cycle_seconds: Period in which the street fills and empties: the same number of people on
            average, from almost none to twice as many. None: constant occupancy.
    """

    def __init__(self, street: Street, cycle_seconds: float | None = None) -> None:
        self._street = street
        self._cycle_seconds = cycle_seconds
        self._cycle_phase = 2 * pi * float(np.random.default_rng([street.seed, 7]).random())
        near, far = street.walkable("promenade")
        self._walking_y = (near + 0.35, far - 1.1)
        left, right = street.viewpoint.visible_range((near + far) / 2)
        crossing_seconds = (right - left + 2 * _MARGIN) / float(np.mean(WALKING_SPEEDS))
        # Of twice as many starts half are skipped, depending on the phase of the cycle.
        self._interval = crossing_seconds / WALKERS_AT_ONCE / (1 if cycle_seconds is None else 2)
        left, right = street.viewpoint.visible_range(street.front)
        self._longest = (right - left + 2 * _MARGIN) / WALKING_SPEEDS[0] + self._interval

    def actors(self, seconds: float) -> list[Actor]:
        """Return all people in the street at a time."""
        first = int((seconds - self._longest) // self._interval)
        last = int(seconds // self._interval)
        return [
            actor
            for number in range(first, last + 1)
            if self._starts(number)
            for actor in self._walkers(number, seconds - number * self._interval)
        ]

    def _starts(self, number: int) -> bool:
        """Whether this walker exists."""
        if self._cycle_seconds is None:
            return True
        angle = 2 * pi * number * self._interval / self._cycle_seconds + self._cycle_phase
        random = np.random.default_rng([self._street.seed, 7, _FIRST + number])
        return bool(random.random() < 0.5 - 0.5 * cos(angle))

    def _walkers(self, number: int, elapsed: float) -> list[Actor]:
        """One walker, possibly with a companion, so many seconds after their start."""
        random = np.random.default_rng([self._street.seed, 3, _FIRST + number])
        values = random.random(6)
        y = self._walking_y[0] + (self._walking_y[1] - self._walking_y[0]) * float(values[0])
        pavement = self._street.bands[-1]
        if values[1] < 0.1:
            y = pavement.near + (pavement.far - pavement.near) * (0.3 + 0.4 * float(values[0]))
        left, right = self._street.viewpoint.visible_range(y)
        slowest, fastest = WALKING_SPEEDS
        crossing = _Crossing(
            left - _MARGIN,
            right + _MARGIN,
            y,
            heading=1 if values[2] < 0.5 else -1,
            speed=slowest + (fastest - slowest) * float(values[3]),
        )
        elapsed -= 0.6 * self._interval * float(values[4])
        placement = crossing.placement(elapsed)
        if placement is None:
            return []
        travelled = elapsed * crossing.speed
        walkers = [Actor(person(Appearance.drawn(random), WALK, travelled), placement, None)]
        if values[5] < 0.12:
            beside = Placement(placement.x - 0.15, placement.y + 0.6, placement.heading)
            companion = person(Appearance.drawn(random), WALK, travelled + 0.4)
            walkers.append(Actor(companion, beside, None))
        return walkers


class Incidents:
    """The planned anomalies of a street."""

    def __init__(self, street: Street, planned: tuple[PlannedAnomaly, ...]) -> None:
        self._street = street
        self._planned = planned

    def actors(self, seconds: float) -> list[Actor]:
        """Return the anomalies at a time, and the people who bring and remove objects."""
        found: list[Actor] = []
        for number, planned in enumerate(self._planned):
            random = np.random.default_rng([self._street.seed, 5, number])
            if planned.kind == "left_object":
                found += self._left_object(planned, seconds, random)
            elif not 0 <= seconds - planned.start_seconds <= planned.duration_seconds:
                continue
            elif planned.kind == "trespasser":
                found.append(self._trespasser(planned, seconds, random))
            else:
                found += self._passing(planned, seconds, random)
        return found

    def _passing(
        self, planned: PlannedAnomaly, seconds: float, random: np.random.Generator
    ) -> list[Actor]:
        """Cross the frame, and return while there is time."""
        appearance = Appearance.drawn(random)
        near, far = self._street.walkable("promenade")
        speed, y, half_length = {
            "runner": (RUNNING_SPEED, near + 0.45 * (far - near), 0.5),
            "cyclist": (RIDING_SPEED, near + 0.5 * (far - near), 0.95),
        }.get(planned.kind, (DRIVING_SPEED, far - 1.5, 2.4))
        left, right = self._street.viewpoint.visible_range(y)
        left, right = left - half_length, right + half_length
        speed = max(speed, (right - left) / planned.duration_seconds)
        heading = 1 if random.random() < 0.5 else -1
        crossing = _Crossing(left, right, y, heading, speed)
        elapsed = seconds - planned.start_seconds
        turns, elapsed = divmod(elapsed, crossing.seconds)
        if (turns + 1) * crossing.seconds > planned.duration_seconds + 1e-6:
            return []
        if turns % 2:
            crossing = _Crossing(left, right, y, -heading, speed)
        placement = crossing.placement(elapsed)
        travelled = elapsed * speed
        if placement is None:
            return []
        if planned.kind == "runner":
            figure = person(replace(appearance, skirt=False, backpack=None), RUN, travelled)
        elif planned.kind == "cyclist":
            figure = cyclist(appearance, travelled)
        else:
            figure = van((236, 234, 228))
        return [Actor(figure, placement, planned.kind)]

    def _trespasser(
        self, planned: PlannedAnomaly, seconds: float, random: np.random.Generator
    ) -> Actor:
        """A person who enters the frame on the lawn, and turns back half-way through."""
        near, far = self._street.walkable("lawn")
        y = (near + far) / 2
        left, right = self._street.viewpoint.visible_range(y)
        elapsed = seconds - planned.start_seconds
        way = _TRESPASSING_SPEED * min(elapsed, planned.duration_seconds - elapsed)
        out = 1 if elapsed < planned.duration_seconds / 2 else -1
        from_left = random.random() < 0.5
        x = left - 0.4 + way if from_left else right + 0.4 - way
        placement = Placement(x, y, (float(out if from_left else -out), 0.0))
        appearance = Appearance.drawn(random)
        return Actor(
            person(appearance, WALK, _TRESPASSING_SPEED * elapsed), placement, "trespasser"
        )

    def _left_object(
        self, planned: PlannedAnomaly, seconds: float, random: np.random.Generator
    ) -> list[Actor]:
        """Luggage: one walker sets it down in passing, another takes it at the end."""
        near, _ = self._street.walkable("promenade")
        y, aside = near + 1.0, 0.5
        left, right = self._street.viewpoint.visible_range(y)
        spot = left + (right - left) * float(random.uniform(0.35, 0.65))
        speed = 1.35
        found: list[Actor] = []
        for handover in (planned.start_seconds, planned.end_seconds):
            appearance = Appearance.drawn(random)
            x = spot + speed * (seconds - handover)
            if not left - _MARGIN < x < right + _MARGIN:
                continue
            figure = person(appearance, WALK, speed * (seconds - handover) + 100)
            before = handover == planned.start_seconds
            if seconds < handover if before else seconds > handover:
                figure = figure + luggage(aside)
            found.append(Actor(figure, Placement(x, y), None))
        if planned.start_seconds <= seconds <= planned.end_seconds:
            found.append(Actor(luggage(aside), Placement(spot, y), "left_object"))
        return found
