"""Normal video of many fixed cameras, one folder a scene: the training scenes.

FOLDER/
  <scene>/01.mp4, 02.mp4 …       or any other video files
  <scene>/0001.jpg, …            or images at the sampling rate
  <scene>/<clip>/0001.jpg, …
  <category>/train/good/000.png  or categories in MVTec layout
  training/videos/SS_VVV.avi     or ShanghaiTech: every camera SS is a scene
  scenes.csv                     optional description; not read
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cameras import SourceOptions, open_source
from cameras.folders import IMAGE_SUFFIXES, VIDEO_SUFFIXES, folders_in, images_in, videos_in
from cameras.sampling import Sampler
from pipeline.datasets.layout import DatasetError
from pipeline.datasets.shanghaitech import is_shanghaitech, training_videos


@dataclass(frozen=True, slots=True, eq=False)
class SceneClip:
    """One uncut clip of a scene, in memory."""

    scene: str
    frames: npt.NDArray[np.uint8]
    """(frames, H, W) grey or (frames, H, W, 3) RGB, one frame a sampling interval."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Pixels of its frames."""
        return self.frames.shape[1], self.frames.shape[2]


_BACKGROUND_FRAMES = 40


def median_background(
    clip: SceneClip,
    convert: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] = lambda frames: frames,
) -> npt.NDArray[np.uint8]:
    """Median over time of at least 40 frames, (H, W) or (H, W, 3): the scene without what moves.

    Args:
        clip: A clip of the scene; of a shorter one all frames are used.
        convert: Applied to the frames first.
    """
    step = max(1, len(clip.frames) // _BACKGROUND_FRAMES)
    return np.asarray(np.median(convert(clip.frames[::step]), axis=0), dtype=np.uint8)


def scene_files(folder: Path) -> dict[str, list[Path]]:
    """Scene name → its video files and folders of images, in order.

    Raises:
        DatasetError: the folder holds no scene.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: want a folder with one subfolder a scene, got no folder")
    scenes = training_videos(folder) if is_shanghaitech(folder) else {}
    for place in [] if scenes else folders_in(folder):
        if clips := clips_in(place):
            scenes[place.name] = clips
    if not scenes:
        raise DatasetError(
            f"{folder}: want one subfolder a scene with video files "
            f"({' '.join(sorted(VIDEO_SUFFIXES))}) or images "
            f"({' '.join(sorted(IMAGE_SUFFIXES))}), found none"
        )
    return scenes


def clips_in(folder: Path) -> list[Path]:
    """Recordings of one camera: the folder itself if it holds images; video files; such folders.

    Of a category in MVTec layout, the good images of its training split.
    """
    if images_in(folder):
        return [folder]
    good = folder / "train" / "good"
    if good.is_dir() and images_in(good):
        return [good]
    return videos_in(folder) or [place for place in folders_in(folder) if images_in(place)]


def load_scenes(
    folder: Path,
    height: int = 240,
    frames_per_second: float = 10.0,
    colour: bool = False,
    on_file: Callable[[Path], None] | None = None,
) -> dict[str, list[SceneClip]]:
    """Decode all scenes into memory.

    Args:
        folder: See the module.
        height: Pixels; the width follows the aspect ratio.
        frames_per_second: Rate that every clip is sampled at, by its time stamps; images are
            assumed to have this rate.
        colour: Load RGB, at three times the memory; else grey.
        on_file: Called before each file, for a progress bar.

    Raises:
        DatasetError: the folder holds no scene.
        SourceError: a file cannot be decoded.
    """
    scenes: dict[str, list[SceneClip]] = {}
    for name, files in scene_files(folder).items():
        scenes[name] = []
        for path in files:
            if on_file is not None:
                on_file(path)
            frames = list(_frames(path, height, frames_per_second, colour))
            if frames:
                scenes[name].append(SceneClip(name, np.stack(frames)))
    return scenes


def _frames(
    path: Path, height: int, frames_per_second: float, colour: bool
) -> Iterator[npt.NDArray[np.uint8]]:
    sampler = Sampler(frames_per_second)
    size: tuple[int, int] | None = None
    options = SourceOptions(pace="fast", frames_per_second=frames_per_second)
    with open_source(str(path), options) as source:
        for picture in source:
            if not sampler.accept(picture.pts_seconds):
                continue
            seen = picture.pixels if colour else cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY)
            if size is None:  # all frames get the aspect ratio of the first one
                size = (round(seen.shape[1] * height / seen.shape[0]), height)
            yield np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
