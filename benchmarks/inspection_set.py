"""A procedural set for industrial inspection in MVTec layout: eight categories, four defects.

    python -m benchmarks.inspection_set made_defects
    vedette evaluate mvtec --root made_defects --size 128 128 --shots 5 --turns

Textures: fabric, wood, granite, tiles. Objects: washer, bolt, pill, board. Defects: scratch, spot,
missing (a part of the pattern or of the object), contamination. Masks are exact: the pixels that a
defect changed. The same seed and size give the same files.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
"""(S, S, 3) in [0, 1], RGB."""
Mask = npt.NDArray[np.bool_]
Random = np.random.Generator

_CHANGED = 6 / 255
"""Least change of a channel of a pixel that is in the mask."""
_FEWEST_PIXELS = 12


@dataclass(frozen=True, slots=True)
class SetOptions:
    """Size of the set."""

    size: int = 128
    """Side of an image in pixels."""
    train: int = 20
    """Good images of a category to draw supports from."""
    good: int = 10
    """Good test images."""
    defective: int = 5
    """Test images of each defect."""
    seed: int = 0
    pose: float = 0.0
    """Every image is turned by a random angle of up to so many degrees, either way."""
    contaminated: float = 0.0
    """Share of the training images that have a defect all the same."""


def write_inspection_set(
    folder: Path, options: SetOptions, categories: tuple[str, ...] = ()
) -> None:
    """Write the set.

    Args:
        folder: Created if missing.
        options: Size of the set.
        categories: Names of `CATEGORIES`; empty: all.

    Raises:
        OSError: a file cannot be written.
    """
    for name in categories or tuple(CATEGORIES):
        number = list(CATEGORIES).index(name)
        place = folder / name
        for split, count, key in (("train", options.train, 0), ("test", options.good, 1)):
            for index in range(count):
                random = np.random.default_rng([options.seed, number, key, index])
                image, part = _posed(name, options, random)
                if split == "train" and random.random() < options.contaminated:
                    defect = str(random.choice(list(DEFECTS)))
                    image = np.clip(DEFECTS[defect](image, part, random), 0, 1)
                _write(place / split / "good" / f"{index:03d}.png", _noisy(image, random))
        for kind, defect in enumerate(DEFECTS):
            for index in range(options.defective):
                random = np.random.default_rng([options.seed, number, 2 + kind, index])
                image, mask = defective(name, defect, options, random)
                _write(place / "test" / defect / f"{index:03d}.png", image)
                truth = place / "ground_truth" / defect / f"{index:03d}_mask.png"
                _write(truth, np.repeat(mask[..., None], 3, 2).astype(np.float32))


def defective(name: str, defect: str, options: SetOptions, random: Random) -> tuple[Image, Mask]:
    """One image with a defect, and the pixels that it changed."""
    image, part = _posed(name, options, random)
    while True:
        changed = np.clip(DEFECTS[defect](image, part, random), 0, 1).astype(np.float32)
        mask = (np.abs(changed - image) > _CHANGED).any(2)
        if mask.sum() >= _FEWEST_PIXELS:
            return _noisy(changed, random), mask


def _posed(name: str, options: SetOptions, random: Random) -> tuple[Image, Mask]:
    """A good image without noise, turned as the options say, and the pixels of its object."""
    image, part = CATEGORIES[name](options.size, random)
    if not options.pose:
        return image, part
    middle = (options.size - 1) / 2
    turn = cv2.getRotationMatrix2D(
        (middle, middle), random.uniform(-options.pose, options.pose), 1.0
    )
    size = (options.size, options.size)
    turned = [
        cv2.warpAffine(one.astype(np.float32), turn, size, borderMode=cv2.BORDER_REFLECT)
        for one in (image, part)
    ]
    return turned[0], turned[1] > 0.5


def _fabric(size: int, random: Random) -> tuple[Image, Mask]:
    y, x = _grid(size)
    period = size / 18
    phase = random.uniform(0, 2 * np.pi, 2)
    weave = np.sin(2 * np.pi * x / period + phase[0]) * np.sin(2 * np.pi * y / period + phase[1])
    return _coloured(0.55 + 0.16 * weave, (0.75, 0.8, 1.0)), np.ones((size, size), bool)


def _wood(size: int, random: Random) -> tuple[Image, Mask]:
    y, _ = _grid(size)
    bend = cv2.GaussianBlur(random.normal(0, 1, (size, size)).astype(np.float32), (0, 0), size / 6)
    bend = bend / (bend.std() + 1e-6)
    rings = np.sin(2 * np.pi * (y / (size / 9) + 0.25 * bend) + random.uniform(0, 6))
    return _coloured(0.55 + 0.12 * rings, (1.0, 0.72, 0.45)), np.ones((size, size), bool)


def _granite(size: int, random: Random) -> tuple[Image, Mask]:
    grain = np.zeros((size, size), np.float32)
    for width in (size / 64, size / 28):
        noise = cv2.GaussianBlur(
            random.normal(0, 1, (size, size)).astype(np.float32), (0, 0), width
        )
        grain += noise / noise.std()
    return _coloured(0.5 + 0.07 * grain, (1.0, 0.95, 0.9)), np.ones((size, size), bool)


def _tiles(size: int, random: Random) -> tuple[Image, Mask]:
    y, x = _grid(size)
    side = size / 4
    top, left = random.uniform(0, side, 2)
    joint = (np.mod(y + top, side) < size / 40) | (np.mod(x + left, side) < size / 40)
    tone = 0.68 + 0.03 * np.sin(x / 9) * np.sin(y / 7)
    return _coloured(np.where(joint, 0.35, tone), (0.9, 1.0, 0.95)), np.ones((size, size), bool)


def _washer(size: int, random: Random) -> tuple[Image, Mask]:
    distance = _distance(size, random)
    part = (distance < 0.38 * size) & (distance > 0.17 * size)
    shine = 0.62 + 0.1 * np.cos(distance / size * 40)
    return _on_table(shine, part, (0.95, 0.95, 1.0)), part


def _bolt(size: int, random: Random) -> tuple[Image, Mask]:
    centre = _centre(size, random)
    turn = random.uniform(-0.1, 0.1)
    angles = turn + np.arange(6) * np.pi / 3
    corners = centre + 0.38 * size * np.stack([np.cos(angles), np.sin(angles)], 1)
    part = np.zeros((size, size), np.uint8)
    cv2.fillPoly(part, [corners.round().astype(np.int32)], 1)
    y, x = _grid(size)
    hole = np.hypot(x - centre[0], y - centre[1]) < 0.14 * size
    tone = np.where(hole, 0.3, 0.6 + 0.12 * (x - centre[0]) / size)
    return _on_table(tone, part > 0, (1.0, 0.9, 0.7)), part > 0


def _pill(size: int, random: Random) -> tuple[Image, Mask]:
    centre = _centre(size, random)
    y, x = _grid(size)
    across, down = (x - centre[0]) / (0.42 * size), (y - centre[1]) / (0.26 * size)
    part = across**2 + down**2 < 1
    line = np.abs(x - centre[0]) < size / 60
    tone = np.where(line, 0.6, 0.9 - 0.2 * (across**2 + down**2))
    return _on_table(tone, part, (1.0, 0.95, 0.9)), part


def _board(size: int, random: Random) -> tuple[Image, Mask]:
    y, x = _grid(size)
    shift = random.uniform(-2, 2, 2)
    cells = (np.mod(x + shift[0], size / 6), np.mod(y + shift[1], size / 6))
    pads = np.hypot(cells[0] - size / 12, cells[1] - size / 12) < size / 22
    wires = np.abs(cells[1] - size / 12) < size / 70
    image = _coloured(np.full((size, size), 0.4), (0.3, 1.0, 0.5))
    image[wires] = (0.55, 0.6, 0.35)
    image[pads] = (0.85, 0.8, 0.55)
    return image, pads | wires


CATEGORIES: Mapping[str, Callable[[int, Random], tuple[Image, Mask]]] = MappingProxyType(
    {
        "fabric": _fabric,
        "wood": _wood,
        "granite": _granite,
        "tiles": _tiles,
        "washer": _washer,
        "bolt": _bolt,
        "pill": _pill,
        "board": _board,
    }
)
"""Each draws a good image without noise, and the pixels of the object, for a texture all."""


def _scratch(image: Image, part: Mask, random: Random) -> Image:
    """A thin bent line, lighter or darker."""
    size = len(image)
    points = [_place(part, random)]
    angle = random.uniform(0, 2 * np.pi)
    for _ in range(3):
        angle += random.uniform(-0.5, 0.5)
        points.append(points[-1] + size / 9 * np.array([np.cos(angle), np.sin(angle)]))
    drawn = np.zeros((size, size), np.uint8)
    line = np.array(points).round().astype(np.int32)
    cv2.polylines(drawn, [line], False, 255, max(1, size // 64), cv2.LINE_AA)
    cover = drawn[..., None].astype(np.float32) / 255
    return _blend(image, cover, image + random.choice([-0.35, 0.35]))


def _spot(image: Image, part: Mask, random: Random) -> Image:
    """A soft round stain."""
    y, x = _grid(len(image))
    centre = _place(part, random)
    radius = random.uniform(0.04, 0.09) * len(image)
    cover = np.exp(-(((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * (radius / 1.5) ** 2)))
    cover = np.where(cover > 0.05, cover, 0)[..., None].astype(np.float32)
    return _blend(image, cover, image * random.uniform(0.35, 0.6))


def _missing(image: Image, part: Mask, random: Random) -> Image:
    """A piece of the object replaced by what is beside it; of a texture, its mean colour."""
    area = _blob(image, part, random, (0.08, 0.14)) & part
    ground = image[~part].mean(0) if (~part).any() else image.mean((0, 1))
    return np.where(area[..., None], ground, image)


def _contamination(image: Image, part: Mask, random: Random) -> Image:
    """A patch of foreign matter of another colour and texture, anywhere on the image."""
    everywhere = np.ones_like(part)
    area = _blob(image, everywhere, random, (0.05, 0.11))
    colour = random.uniform(0, 1, 3)
    grain = 0.12 * random.normal(0, 1, image.shape)
    return np.where(area[..., None], colour + grain, image)


DEFECTS: Mapping[str, Callable[[Image, Mask, Random], Image]] = MappingProxyType(
    {
        "scratch": _scratch,
        "spot": _spot,
        "missing": _missing,
        "contamination": _contamination,
    }
)
"""Each draws a defect into an image of which the object's pixels are given."""


def _grid(size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    y, x = np.mgrid[:size, :size].astype(np.float64)
    return y, x


def _centre(size: int, random: Random) -> npt.NDArray[np.float64]:
    return size / 2 + random.uniform(-size / 32, size / 32, 2)


def _distance(size: int, random: Random) -> npt.NDArray[np.float64]:
    y, x = _grid(size)
    centre = _centre(size, random)
    return np.asarray(np.hypot(x - centre[0], y - centre[1]))


def _coloured(tone: npt.NDArray[np.floating], colour: tuple[float, float, float]) -> Image:
    return np.clip(tone[..., None] * np.array(colour), 0, 1).astype(np.float32)


def _on_table(
    tone: npt.NDArray[np.floating], part: Mask, colour: tuple[float, float, float]
) -> Image:
    return np.where(part[..., None], _coloured(tone, colour), np.float32(0.18)).astype(np.float32)


def _place(part: Mask, random: Random) -> npt.NDArray[np.float64]:
    """A random pixel of the part as (x, y)."""
    rows, columns = np.nonzero(part)
    chosen = int(random.integers(len(rows)))
    return np.array([columns[chosen], rows[chosen]], dtype=np.float64)


def _blob(image: Image, part: Mask, random: Random, radii: tuple[float, float]) -> Mask:
    """An irregular region around a random pixel of the part."""
    size = len(image)
    y, x = _grid(size)
    centre = _place(part, random)
    radius = random.uniform(*radii) * size
    angle = np.arctan2(y - centre[1], x - centre[0])
    edge = sum(
        random.uniform(0, 0.18) * np.cos(k * angle + random.uniform(0, 6)) for k in (2, 3, 5)
    )
    return np.asarray(np.hypot(x - centre[0], y - centre[1]) < radius * (1 + edge))


def _blend(image: Image, cover: Image, over: npt.NDArray[np.floating]) -> Image:
    return ((1 - cover) * image + cover * over).astype(np.float32)


def _noisy(image: Image, random: Random) -> Image:
    gain = random.uniform(0.96, 1.04)
    return np.clip(gain * image + random.normal(0, 0.012, image.shape), 0, 1).astype(np.float32)


def _write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (image * 255).round().astype(np.uint8)
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path}: cannot be written")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--train", type=int, default=20)
    parser.add_argument("--good", type=int, default=10)
    parser.add_argument("--defective", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pose", type=float, default=0.0, help="turn images, degrees")
    parser.add_argument("--contaminated", type=float, default=0.0, help="share of train")
    chosen = parser.parse_args()
    options = vars(chosen)
    write_inspection_set(options.pop("folder"), SetOptions(**options))


if __name__ == "__main__":
    main()
