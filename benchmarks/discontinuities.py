"""How many cuts in real recordings are found, and how often normal video is taken for one.

    python -m benchmarks.discontinuities SCENES --ratios 1.5 2 3

SCENES holds a folder of video files for each fixed view. Each recording is read as a camera of 10
frames a second and looped once: its end joins its beginning. It is found where the detector
marks the join; any other mark is a mistake. Times go on evenly over the join.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from cameras.folders import folders_in, videos_in
from cameras.sampling import Sampler, resize
from cameras.source import Pixels
from cameras.video_file import VideoFile
from pipeline.scoring.discontinuities import (
    THRESHOLDS,
    DiscontinuityDetector,
    DiscontinuityThresholds,
)

SIZE_HW = (240, 320)
FRAMES_PER_SECOND = 10
_AGAIN_FRAMES = 30


@dataclass
class Count:
    """Of all recordings, at one ratio."""

    joins: int = 0
    found: int = 0
    mistaken: int = 0
    pictures: int = 0


def frames_of(recording: Path) -> Iterator[Pixels]:
    """Its frames, as they are sampled and scaled for scoring."""
    sampler = Sampler(FRAMES_PER_SECOND)
    with VideoFile(recording, "fast") as source:
        for picture in source:
            if sampler.accept(picture.pts_seconds):
                yield resize(picture.pixels, SIZE_HW)


def look(
    frames: list[Pixels], thresholds: DiscontinuityThresholds, count: Count
) -> tuple[bool, list[float]]:
    """Loop a recording once.

    Returns:
        Whether its join was found, and the seconds of the mistaken marks.
    """
    watch, join = DiscontinuityDetector(thresholds), len(frames)
    looped = [*frames, *frames[:_AGAIN_FRAMES]]
    marks = [watch.see(n / FRAMES_PER_SECOND, pixels) for n, pixels in enumerate(looped)]
    places = [place - 1 for place, mark in enumerate(marks) if mark == "cut"]
    mistaken = [place / FRAMES_PER_SECOND for place in places if place != join]
    count.joins += 1
    count.found += join in places
    count.mistaken += len(mistaken)
    count.pictures += len(looped)
    return join in places, mistaken


def main() -> None:
    """Count at each ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--ratios", type=float, nargs="+", default=[THRESHOLDS.least_ratio])
    given = parser.parse_args()
    console, counts = Console(), {ratio: Count() for ratio in given.ratios}
    recordings = [video for scene in folders_in(given.scenes) for video in videos_in(scene)]
    for recording in track(recordings, "looping", console=console, transient=True):
        frames = list(frames_of(recording))
        if len(frames) < 2 * FRAMES_PER_SECOND:
            continue
        for ratio, count in counts.items():
            found, mistaken = look(frames, DiscontinuityThresholds(least_ratio=ratio), count)
            where = ", ".join(f"{second:.1f}" for second in mistaken)
            name = recording.relative_to(given.scenes)
            console.print(f"{name} at {ratio:g}: {'found' if found else 'not found'}; {where}")
    table = Table("ratio", "joins", "found", "pictures", "mistaken for a cut")
    for ratio, one in counts.items():
        row = (ratio, one.joins, one.found, one.pictures, one.mistaken)
        table.add_row(*(f"{value:g}" for value in row))
    console.print(table)


if __name__ == "__main__":
    main()
