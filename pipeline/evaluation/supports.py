"""Random support clips from normal video of unknown length, in one pass.

A support clip ends at a frame that has at least 0.4 s of video before it, whatever the length of
the method's clips: methods of one frame and of five get the same draws.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cameras import Picture
from cameras.sampling import resize
from pipeline.evaluation.clip_scorer import InputFormat
from pipeline.scoring.clips import ClipBuffer

Clip = npt.NDArray[np.uint8]

LEAST_FRAMES = 5
"""Frames of a method's interval that a support clip has behind it, its own included."""


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
    config: InputFormat,
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
            f"{where}: want {shots} support clips, that is, frames with "
            f"{(_history(config) - 1) * config.clip_interval_seconds:g} s of video before them; "
            f"got {seen}"
        )
    return [np.stack(draw.clips) for draw in draws]


def whole_clips(frames: Iterable[Picture], config: InputFormat) -> Iterator[Clip]:
    """The clip that ends at each frame with enough history, at the model's size.

    A video of a single frame, a still image, gives one clip that repeats it.
    """
    buffer = ClipBuffer(_history(config), config.clip_interval_seconds)
    still: Clip | None = None
    for number, frame in enumerate(frames):
        clip = buffer.push(frame.pts_seconds, resize(frame.pixels, config.size_hw))
        still = clip[-config.clip_length :] if number == 0 and not buffer.full else None
        if buffer.full:
            yield clip[-config.clip_length :]
    if still is not None:
        yield still


def with_turns(support: Clip) -> Clip:
    """Add flips and quarter turns; of frames that are not square, flips and the half turn.

    Args:
        support: uint8 (K, T, H, W, 3).

    Returns:
        (8K, T, H, W, 3), or (4K, T, H, W, 3); the given clips first.
    """
    quarters = range(4) if support.shape[2] == support.shape[3] else (0, 2)
    turned = [np.rot90(support, quarter, axes=(2, 3)) for quarter in quarters]
    return np.concatenate([*turned, *(one[:, :, :, ::-1] for one in turned)])


def _history(config: InputFormat) -> int:
    return max(LEAST_FRAMES, config.clip_length)
