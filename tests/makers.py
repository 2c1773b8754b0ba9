"""Generators of small test data: clips, folders of images, data sets."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from models import SceneScorer

CLIP_HW = (64, 80)
"""Size of the clips of `make_clips`."""
FLICKER_FRAMES = 16
"""Length of the clips of `write_flickers`."""


def to_and_fro(way: int, length: int) -> int:
    """Position after a way that runs back and forth between 0 and a length, without a jump."""
    return length - abs(way % (2 * length) - length)


def walking_box(
    frames: int, size_hw: tuple[int, int] = (48, 64), jumps: bool = False
) -> Iterator[np.ndarray]:
    """RGB frames of a bright box that moves over a static, textured ground.

    Back and forth; with `jumps` always to the right, then again from the left.
    """
    height, width = size_hw
    ground = np.random.default_rng(0).integers(60, 100, (height, width, 1), dtype=np.uint8)
    side = height // 4
    for number in range(frames):
        picture = np.repeat(ground, 3, axis=2)
        left = 2 * number % (width - side) if jumps else to_and_fro(2 * number, width - side)
        picture[side : 2 * side, left : left + side] = (220, 200, 180)
        yield picture


def write_video(
    path: Path,
    frames: int = 12,
    frames_per_second: int = 25,
    pictures: Iterable[np.ndarray] | None = None,
    codec: str = "mpeg4",
    container_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    stamps: Callable[[int], float] | None = None,
) -> None:
    """Encode frames, by default a walking box, into a container chosen by the suffix.

    Args:
        path: What to write.
        frames: Number of frames of the walking box.
        frames_per_second: Their rate.
        pictures: RGB; None: a walking box.
        codec: The encoder.
        container_options: Of the muxer.
        options: Of the encoder.
        stamps: Returns the presentation time in seconds of a frame number; None: at the rate.
    """
    shown = list(walking_box(frames) if pictures is None else pictures)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=frames_per_second, options=options or {})
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        base = Fraction(1, frames_per_second if stamps is None else 1000 * frames_per_second)
        stream.time_base = base
        if codec != "mpeg4":
            stream.codec_context.time_base = base
        for number, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = base
            frame.pts = number if stamps is None else round(stamps(number) / base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def small_scorer(seed: int = 0, size_hw: tuple[int, int] = (48, 64)) -> "SceneScorer":
    """The default architecture with random weights, for small and therefore fast frames.

    Its motion is the frame difference: anomalies that tests insert into frames this small flicker
    rather than move.
    """
    from dataclasses import replace

    import torch

    from models import PRESETS, SceneScorer
    from models.checkpoint import identity
    from models.scene_model import SceneModel

    # For frames this small, thread synchronisation costs more than it saves; on a busy machine
    # twenty times as much.
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SceneModel(replace(PRESETS["vedette"], size_hw=size_hw, motion="difference"))
    model.prior_spread.fill_(0.5)
    model.eval().requires_grad_(False)
    return SceneScorer(model, identity(model), torch.device("cpu"))


def write_images(folder: Path, pictures: Iterable[np.ndarray], suffix: str = "png") -> None:
    """Write RGB frames as 001.png, 002.png …"""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, start=1):
        path = folder / f"{number:03}.{suffix}"
        assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def make_clips(count: int, length: int, seed: int, intruder: bool = False) -> "Tensor":
    """A still textured scene with noise; the intruder is a bright box that moves through."""
    import torch

    random = torch.Generator().manual_seed(seed)
    scene = torch.randint(40, 120, (1, 1, *CLIP_HW, 3), generator=torch.Generator().manual_seed(7))
    noise = torch.randint(-4, 5, (count, length, *CLIP_HW, 3), generator=random)
    clips = scene + noise
    if intruder:
        for number in range(length):
            clips[:, number, 20:44, 10 + 6 * number : 34 + 6 * number] = 230
    return clips.clamp(0, 255).to(torch.uint8)


def write_flickers(place: Path) -> Path:
    """A data set in the layout of UCSD Ped2: a box walks; in two of three test clips it flickers.

    Returns:
        The folder of the data set.
    """
    root = place / "UCSDped2"
    flickers = {"Test001": range(8, 16), "Test002": range(3, 7), "Test003": range(0)}
    for folder in ("Train/Train001", "Train/Train002"):
        write_images(root / folder, walking_box(FLICKER_FRAMES))
    for name, frames in flickers.items():
        write_images(root / "Test" / name, _flickering(frames))
        if frames:
            write_images(root / "Test" / f"{name}_gt", _flicker_masks(frames))
    (root / "Test" / "UCSDped2.m").write_text(
        "x.gt_frame = [9:16];\nx.gt_frame = [4:7];\nx.gt_frame = [];\nx.gt_frame = [1:2];\n"
    )
    return root


def _flickering(frames: range) -> Iterator[np.ndarray]:
    for number, picture in enumerate(walking_box(FLICKER_FRAMES)):
        if number in frames:
            picture[4:30, 40:60] = 255 * (number % 2)
        yield picture


def _flicker_masks(frames: range) -> Iterator[np.ndarray]:
    for number in range(FLICKER_FRAMES):
        mask = np.zeros((48, 64, 3), dtype=np.uint8)
        mask[4:30, 40:60] = 255 * (number in frames)
        yield mask
