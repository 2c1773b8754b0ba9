"""The clips that a scene was built from, stored as JPEG, to rebuild it with new weights."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

MOST_BYTES = 16 * 2**20
"""Of one scene; 10 clips of 5 frames at 240×320 take some 2 MiB. Beyond it clips are left out."""
_FORMAT = "1"
_QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 95)
_FULL_CHROMA = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


class SupportClipsError(ValueError):
    """Stored clips that cannot be used: which, why, and what is wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class SupportClips:
    """The support of a scene."""

    clips: npt.NDArray[np.uint8]
    """(K, T, H, W, 3), RGB."""
    seconds: tuple[float, ...]
    """Time of each clip, increasing."""
    interval_seconds: float
    """Between two frames of a clip, nominally."""
    ages: tuple[tuple[float, ...], ...] | None = None
    """Age of each frame of a clip in seconds before its newest one, K × T; None: nominal."""

    def selected(self, numbers: Sequence[int]) -> "SupportClips":
        """Some of the clips; `numbers`: rising, at least one."""
        return SupportClips(
            self.clips[list(numbers)],
            tuple(self.seconds[number] for number in numbers),
            self.interval_seconds,
            None if self.ages is None else tuple(self.ages[number] for number in numbers),
        )


def encode(support: SupportClips, most_bytes: int = MOST_BYTES) -> bytes:
    """Encode clips as the content of a file, of about `most_bytes` at most.

    Raises:
        ValueError: a picture cannot be encoded, or not even one clip fits.
    """
    coded = [[_jpeg(picture) for picture in clip] for clip in support.clips]
    places = list(range(len(coded)))
    while sum(len(one) for place in places for one in coded[place]) > most_bytes:
        places = places[::2] if len(places) > 1 else []
    if not places:
        raise ValueError(f"want a clip of at most {most_bytes} bytes, got none")
    pictures = [one for place in places for one in coded[place]]
    about = {
        "size_hw": support.clips.shape[2:4],
        "clip_length": support.clips.shape[1],
        "interval_seconds": support.interval_seconds,
        "seconds": [support.seconds[place] for place in places],
        "ages": support.ages and [support.ages[place] for place in places],
    }
    data = np.frombuffer(b"".join(pictures), np.uint8)
    sizes = np.array([len(one) for one in pictures], np.int64)
    head = json.dumps(about)
    digest = hashlib.sha256(head.encode() + sizes.tobytes() + data.tobytes()).hexdigest()
    return save(
        {"pictures": data, "sizes": sizes},
        {"format": _FORMAT, "kind": "support", "about": head, "fingerprint": digest},
    )


def load(
    path: Path, clip_length: int, interval_seconds: float, size_hw: tuple[int, int]
) -> SupportClips:
    """Read stored clips.

    Args:
        path: The file.
        clip_length: Wanted number of frames of a clip.
        interval_seconds: Wanted between two frames.
        size_hw: Wanted size of the pictures in pixels.

    Raises:
        SupportClipsError: missing, damaged, or clips of another kind.
    """
    try:
        about, coded = _read(path)
        got = int(about["clip_length"]), float(about["interval_seconds"]), tuple(about["size_hw"])
        seconds = tuple(float(one) for one in about["seconds"])
        ages = about["ages"] and tuple(tuple(map(float, one)) for one in about["ages"])
        if ages and [len(one) for one in ages] != [got[0]] * len(seconds):
            raise ValueError(f"ages: want {len(seconds)} times {got[0]} numbers")
        if got[0] * len(seconds) != len(coded):
            raise ValueError(f"want {got[0] * len(seconds)} pictures, got {len(coded)}")
        if got != (clip_length, interval_seconds, size_hw):
            raise ValueError(
                f"want clips of {clip_length} frames, {interval_seconds:g} s apart, of size "
                f"{size_hw} (H, W); got {got[0]}, {got[1]:g} s, {got[2]}"
            )
        pictures = [_picture(one) for one in coded]
        shape = len(seconds), clip_length, *size_hw, 3
        clips = np.stack(pictures).reshape(shape)
        return SupportClips(clips, seconds, interval_seconds, ages)
    except FileNotFoundError as error:
        raise SupportClipsError(f"{path}: no such file; want the clips of the scene") from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, cv2.error) as error:
        raise SupportClipsError(f"{path}: cannot be read as support clips: {error}") from error


def newest_frames(path: Path) -> list[bytes]:
    """The newest frame of each stored clip as a JPEG file.

    Args:
        path: The file.

    Raises:
        SupportClipsError: missing or damaged.
    """
    try:
        about, coded = _read(path)
        length = int(about["clip_length"])
        return [one.tobytes() for one in coded[length - 1 :: length]]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SupportClipsError(f"{path}: cannot be read as support clips: {error}") from error


def _read(path: Path) -> tuple[dict[str, Any], list[npt.NDArray[np.uint8]]]:
    """Description and JPEG files of stored clips."""
    if path.stat().st_size > 2 * MOST_BYTES:
        raise ValueError(f"want at most {2 * MOST_BYTES} bytes, got {path.stat().st_size}")
    with safe_open(path, framework="numpy") as file:
        head = file.metadata() or {}
        data, sizes = file.get_tensor("pictures"), file.get_tensor("sizes")
    if (head.get("kind"), head.get("format")) != ("support", _FORMAT):
        raise ValueError(f"want support clips of format {_FORMAT}")
    text = head["about"].encode() + sizes.tobytes() + data.tobytes()
    if hashlib.sha256(text).hexdigest() != head["fingerprint"]:
        raise ValueError("the checksum of the pictures is wrong")
    about: dict[str, Any] = json.loads(head["about"])
    return about, np.split(data, np.cumsum(sizes)[:-1])


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, coded = cv2.imencode(".jpg", bgr, [*_QUALITY, *_FULL_CHROMA])
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded")
    return coded.tobytes()


def _picture(coded: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    bgr = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("a picture cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
