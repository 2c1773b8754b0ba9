"""People: appearance, and the motion of legs and arms when walking or running."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from cameras.simulation.shapes import Figure, Limb, Part, Point, ball
from cameras.simulation.surfaces import Colour

TOPS: tuple[Colour, ...] = (
    (44, 58, 92), (128, 44, 54), (204, 158, 62), (98, 106, 66), (224, 220, 210), (58, 60, 66),
    (48, 112, 116), (206, 108, 86), (120, 100, 134), (150, 160, 172),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (54, 66, 94), (52, 52, 56), (160, 142, 114), (34, 34, 40), (92, 88, 80), (74, 86, 110),
)  # fmt: skip
SKINS: tuple[Colour, ...] = ((232, 190, 162), (206, 156, 124), (156, 108, 80), (110, 76, 58))
HAIRS: tuple[Colour, ...] = (
    (44, 34, 30),
    (96, 66, 42),
    (168, 132, 84),
    (150, 148, 146),
    (24, 22, 24),
)
SHOES: tuple[Colour, ...] = ((46, 40, 38), (214, 210, 204), (104, 70, 48))


@dataclass(frozen=True, slots=True)
class Appearance:
    """Appearance of one person."""

    height: float
    """Metres."""
    build: float
    """Girth; 1 is average."""
    top: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    shoes: Colour
    skirt: bool
    long_hair: bool
    backpack: Colour | None

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "Appearance":
        """Draw a random appearance."""
        top, trousers, skin, hair, shoes = (
            colours[int(value * len(colours))]
            for colours, value in zip(
                (TOPS, TROUSERS, SKINS, HAIRS, SHOES), random.random(5), strict=True
            )
        )
        values = random.random(6)
        return cls(
            height=1.56 + 0.32 * float(values[0]),
            build=0.9 + 0.28 * float(values[1]),
            top=top,
            trousers=trousers,
            skin=skin,
            hair=hair,
            shoes=shoes,
            skirt=bool(values[2] < 0.2),
            long_hair=bool(values[3] < 0.45),
            backpack=TOPS[int(values[5] * len(TOPS))] if values[4] < 0.25 else None,
        )


@dataclass(frozen=True, slots=True)
class Gait:
    """Gait parameters; angles in radians."""

    stride: float
    """Two steps, relative to the body height."""
    swing: float
    """Of the thighs, to each side."""
    knee: float
    """Largest bend of the knee of the swinging leg."""
    arms: float
    elbow: float
    lean: float
    bounce: float
    """Relative to the body height."""


WALK = Gait(stride=0.82, swing=0.38, knee=0.95, arms=0.42, elbow=0.3, lean=0.04, bounce=0.0)
RUN = Gait(stride=1.4, swing=0.68, knee=1.75, arms=0.8, elbow=1.5, lean=0.2, bounce=0.035)


def person(appearance: Appearance, gait: Gait, travelled: float) -> Figure:
    """A walking or running person.

    Args:
        appearance: Of the person.
        gait: Walk or run.
        travelled: Metres; one stride per `gait.stride` · height.
    """
    unit = appearance.height / 1.75
    girth = unit * appearance.build
    phase = 2 * pi * travelled / (gait.stride * appearance.height)
    left, right = _leg_angles(gait, phase), _leg_angles(gait, phase + pi)
    reach = max(0.45 * cos(thigh) + 0.43 * cos(shin) for thigh, shin in (left, right))
    hip = unit * (0.06 + reach) + gait.bounce * appearance.height * abs(sin(phase))
    chest: Point = (0.5 * unit * sin(gait.lean), 0.0, hip + 0.48 * unit * cos(gait.lean))
    return Figure(
        left=(
            *_arm(appearance, gait, unit, chest, 1, -sin(phase)),
            *_leg(appearance, unit, girth, hip, 1, left),
        ),
        centre=_body(appearance, unit, girth, hip, chest),
        right=(
            *_leg(appearance, unit, girth, hip, -1, right),
            *_arm(appearance, gait, unit, chest, -1, sin(phase)),
        ),
    )


def _leg_angles(gait: Gait, phase: float) -> tuple[float, float]:
    """Forward angles of thigh and shin from the vertical."""
    thigh = gait.swing * sin(phase) + 0.5 * gait.lean
    bend = 0.08 + gait.knee * max(0.0, cos(phase + 0.25)) ** 1.6
    return thigh, thigh - bend


def _leg(
    appearance: Appearance,
    unit: float,
    girth: float,
    hip: float,
    side: int,
    angles: tuple[float, float],
) -> tuple[Part, ...]:
    thigh, shin = angles
    left = side * 0.085 * girth
    knee: Point = (0.45 * unit * sin(thigh), left, hip - 0.45 * unit * cos(thigh))
    ankle: Point = (
        knee[0] + 0.41 * unit * sin(shin),
        left,
        knee[2] - 0.41 * unit * cos(shin),
    )
    lift = 0.5 * (thigh - 0.1) if thigh > 0.1 else shin * 0.6
    toe: Point = (ankle[0] + 0.16 * unit * cos(lift), left, ankle[2] + 0.16 * unit * sin(lift))
    toe = (toe[0], toe[1], max(0.035 * unit, toe[2] - 0.03 * unit))
    lower = appearance.skin if appearance.skirt else appearance.trousers
    return (
        Limb(knee, ankle, (0.06 * girth, 0.042 * girth), lower),
        Limb((0.0, left, hip), knee, (0.092 * girth, 0.064 * girth), appearance.trousers),
        Limb(ankle, toe, (0.05 * unit, 0.036 * unit), appearance.shoes),
    )


def _arm(
    appearance: Appearance, gait: Gait, unit: float, chest: Point, side: int, swing: float
) -> tuple[Part, ...]:
    left = side * 0.185 * unit * appearance.build
    angle = gait.arms * swing + 0.3 * gait.lean
    shoulder: Point = (chest[0], left, chest[2] - 0.02 * unit)
    elbow: Point = (
        shoulder[0] + 0.28 * unit * sin(angle),
        left * 1.1,
        shoulder[2] - 0.28 * unit * cos(angle),
    )
    fore = angle + gait.elbow
    hand: Point = (
        elbow[0] + 0.25 * unit * sin(fore),
        left,
        elbow[2] - 0.25 * unit * cos(fore),
    )
    return (
        ball(hand, 0.045 * unit, appearance.skin),
        Limb(shoulder, elbow, (0.062 * unit, 0.05 * unit), appearance.top),
        Limb(elbow, hand, (0.05 * unit, 0.04 * unit), appearance.top),
    )


def _body(
    appearance: Appearance, unit: float, girth: float, hip: float, chest: Point
) -> tuple[Part, ...]:
    head: Point = (chest[0] + 0.05 * unit, 0.0, chest[2] + 0.235 * unit)
    crown: Point = (head[0] - 0.03 * unit, 0.0, head[2] + 0.035 * unit)
    parts: list[Part] = []
    if appearance.skirt:
        hem: Point = (0.0, 0.0, hip - 0.4 * unit)
        parts.append(Limb((0.0, 0.0, hip), hem, (0.13 * girth, 0.19 * girth), appearance.trousers))
    parts += [
        Limb((0.0, 0.0, hip + 0.02), chest, (0.135 * girth, 0.15 * girth), appearance.top),
        Limb(chest, head, (0.07 * unit, 0.06 * unit), appearance.skin),
    ]
    if appearance.backpack is not None:
        top: Point = (chest[0] - 0.19 * unit, 0.0, chest[2] - 0.04 * unit)
        bottom: Point = (chest[0] - 0.2 * unit, 0.0, chest[2] - 0.32 * unit)
        parts.append(Limb(top, bottom, (0.1 * unit, 0.125 * unit), appearance.backpack))
    if appearance.long_hair:
        ends: Point = (head[0] - 0.07 * unit, 0.0, head[2] - 0.17 * unit)
        parts.append(Limb(crown, ends, (0.1 * unit, 0.065 * unit), appearance.hair))
    parts += [
        ball(crown, 0.112 * unit, appearance.hair),
        ball((head[0] + 0.02 * unit, 0.0, head[2] - 0.02 * unit), 0.095 * unit, appearance.skin),
        Limb(
            (crown[0] + 0.05 * unit, 0.0, crown[2] + 0.05 * unit),
            (crown[0] - 0.05 * unit, 0.0, crown[2] + 0.02 * unit),
            (0.06 * unit, 0.085 * unit),
            appearance.hair,
        ),
    ]
    return tuple(parts)
