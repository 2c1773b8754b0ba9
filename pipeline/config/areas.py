"""Areas of a frame: masks, which are ignored, and zones, in which anomalies count."""

from typing import Self

from pydantic import field_validator, model_validator

from pipeline.config.base import NotNegative, Positive, Section

_LEAST_POINTS = 3
_LEAST_AREA = 1e-6  # fraction of the frame; less than a pixel at any supported size


class _Polygon(Section):
    """Base of masks and zones."""

    coordinates: str
    """Corners "x,y,x,y,…", each from 0 (left, top) to 1 (right, bottom)."""

    @field_validator("coordinates")
    @classmethod
    def _is_a_polygon(cls, coordinates: str) -> str:
        try:
            numbers = [float(number) for number in coordinates.split(",")]
        except ValueError:
            raise ValueError('want numbers "x,y,x,y,…"') from None
        if len(numbers) % 2 or len(numbers) < 2 * _LEAST_POINTS:
            raise ValueError(
                f"has {len(numbers)} numbers, want two for each of at least {_LEAST_POINTS} corners"
            )
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError("want every number from 0 to 1")
        return coordinates

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Corners (x, y), each from 0 to 1."""
        numbers = [float(number) for number in self.coordinates.split(",")]
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))


class Mask(_Polygon):
    """A polygon that is painted over in each frame before it is used."""


class Zone(_Polygon):
    """A polygon in which anomalies count."""

    enter: Positive | None = None
    """Score at which an event begins in this zone; null: the camera's `alert.enter`."""
    min_duration: NotNegative | None = None
    """Seconds for which the score must stay high in this zone; null: `alert.min_duration`."""

    @model_validator(mode="after")
    def _has_an_inside(self) -> Self:
        corners = self.points
        doubled = sum(
            ax * by - bx * ay
            for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True)
        )
        if abs(doubled) < 2 * _LEAST_AREA:
            raise ValueError("has no area, want corners in order around an area")
        return self
