"""Random support clips from normal video of unknown length, in one pass."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cameras import Picture
from cameras.sampling import resize
from models import SceneModelConfig
from pipeline.scoring.clips import ClipBuffer

Clip = npt.NDArray[np.uint8]


class SupportError(ValueError):
    """Fewer clips to draw from than shots wanted."""


@dataclass(slots=True)
class _Draw:
    """Reservoir sampling (Vitter's algorithm R): uniform, without replacement."""

    random: np.random.Generator
    shots: int
    clips: list[Clip]

    def place(self, seen: int) -> int | None:
        """Slot for the clip that comes after `seen` others; None: it is not drawn."""
        if seen < self.shots:
            return seen
        place = int(self.random.integers(seen + 1))
        return place if place < self.shots else None

    def keep(self, clip: Clip, place: int) -> None:
        if place == len(self.clips):
            self.clips.append(clip)
        else:
            self.clips[place] = clip


def draw_supports(
    videos: Iterable[Iterable[Picture]],
    config: SceneModelConfig,
    shots: int,
    seeds: Sequence[int],
    where: str,
) -> list[Clip]:
    """Draw K clips at random for each seed; a clip may end at any frame with enough history.

    Args:
        videos: Normal videos, each an iterable of its frames, read once.
        config: Of the model: length, spacing and size of a clip.
        shots: K.
        seeds: One draw each; the same seed gives the same clips.
        where: Description of the videos, for the message.

    Returns:
        For each seed uint8 (K, T, H, W, 3), in random order.

    Raises:
        SupportError: the videos have fewer than K such frames.
    """
    draws = [_Draw(np.random.default_rng(seed), shots, []) for seed in seeds]
    seen = 0
    for frames in videos:
        for clip in whole_clips(frames, config):
            for draw in draws:
                place = draw.place(seen)
                if place is not None:
                    draw.keep(clip, place)
            seen += 1
    if seen < shots:
        raise SupportError(
            f"{where}: want {shots} support clips, that is, frames with {config.clip_seconds:g} s "
            f"of video before them; got {seen}"
        )
    return [np.stack(draw.clips) for draw in draws]


def whole_clips(frames: Iterable[Picture], config: SceneModelConfig) -> Iterator[Clip]:
    """The clip that ends at each frame, at the model's size, without repeated first frames.

    A video of a single frame, a still image, gives one clip that repeats it.
    """
    buffer = ClipBuffer(config.clip_length, config.clip_interval_seconds)
    still: Clip | None = None
    for number, frame in enumerate(frames):
        clip = buffer.push(frame.pts_seconds, resize(frame.pixels, config.size_hw))
        still = clip if number == 0 and not buffer.full else None
        if buffer.full:
            yield clip
    if still is not None:
        yield still
