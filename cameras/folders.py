"""Which files of a folder are used: the same for live sources, replay, training and evaluation.

Operating systems add files of their own: "._01.mp4" and ".DS_Store" by macOS,
"__MACOSX" in its archives, "@eaDir" by a file server, "Thumbs.db". They are skipped.
"""

import re
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm"})

_HIDDEN = (".", "__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN")


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key in which "9.tif" comes before "10.tif"."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((int(part), part) if part.isdecimal() else (-1, part) for part in parts)


def visible(folder: Path) -> list[Path]:
    """List a folder without files of the operating system, in natural order.

    Raises:
        OSError: it cannot be listed.
    """
    paths = (path for path in folder.iterdir() if not path.name.startswith(_HIDDEN))
    return sorted(paths, key=lambda path: natural_key(path.name))


def images_in(folder: Path) -> list[Path]:
    """List the images directly in a folder, in natural order."""
    return _files(folder, IMAGE_SUFFIXES)


def videos_in(folder: Path) -> list[Path]:
    """List the video files directly in a folder, in natural order."""
    return _files(folder, VIDEO_SUFFIXES)


def folders_in(folder: Path) -> list[Path]:
    """List the folders in a folder, in natural order."""
    return [path for path in visible(folder) if path.is_dir()]


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return [one for one in visible(folder) if one.suffix.lower() in suffixes and not one.is_dir()]
