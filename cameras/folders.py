"""What of a folder is looked at: the same everywhere, for watching, replay, training, evaluation.

Systems leave files of their own beside those of a person: "._01.mp4" and ".DS_Store" by macOS,
"__MACOSX" in its archives, "@eaDir" by a file server, "Thumbs.db". They are passed over.
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
    """What a person put into a folder, in natural order.

    Raises:
        OSError: it cannot be listed.
    """
    paths = (path for path in folder.iterdir() if not path.name.startswith(_HIDDEN))
    return sorted(paths, key=lambda path: natural_key(path.name))


def images_in(folder: Path) -> list[Path]:
    """Images that lie directly in a folder, in natural order."""
    return _files(folder, IMAGE_SUFFIXES)


def videos_in(folder: Path) -> list[Path]:
    """Video files that lie directly in a folder, in natural order."""
    return _files(folder, VIDEO_SUFFIXES)


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, in natural order."""
    return [path for path in visible(folder) if path.is_dir()]


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return [one for one in visible(folder) if one.suffix.lower() in suffixes and not one.is_dir()]
