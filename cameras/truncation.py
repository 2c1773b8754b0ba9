"""Detect a truncated recording, as after a power failure or an unfinished copy.

Frame counts and durations of a container prove nothing: an edit list hides some frames, and the
values may be those of another cut. But the sizes of its top-level elements must match the file.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_MP4_BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"sidx",
     b"mfra", b"udta", b"meta", b"prft", b"emsg", b"pnot"}
)  # fmt: skip
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TOLERANCE_RATIO = 0.01
"""A smaller missing part is ignored: some writers count padding wrongly."""


def missing_ratio(path: Path) -> float:
    """Return the part 0..1 of a file that is missing at its end; 0 where the file is complete.

    Supports MP4, Matroska and AVI; other containers do not state their size.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _MP4_BOXES:
            declared = _mp4_bytes(file, size)
        elif head[:4] == _EBML:
            declared = _matroska_bytes(file)
        elif head[:4] == b"RIFF":
            declared = _riff_bytes(file, size)
        else:
            declared = 0
    ratio = 1 - size / declared if declared > size else 0.0
    return ratio if ratio > _TOLERANCE_RATIO else 0.0


def _mp4_bytes(file: BinaryIO, size: int) -> int:
    """End of the last box; a box of size 0 extends to the end of the file."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        head = file.read(16)
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if kind not in _MP4_BOXES or length < 8:
            break
        end += length
    return end


def _riff_bytes(file: BinaryIO, size: int) -> int:
    """End of the last RIFF list; large files have several."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        end += 8 + length + length % 2
    return end


def _matroska_bytes(file: BinaryIO) -> int:
    """End of the segment; 0 where it was written as a stream of unknown size."""
    file.seek(4)
    head = _matroska_size(file)
    if head is None:
        return 0
    file.seek(head, 1)
    if file.read(4) != _SEGMENT:
        return 0
    length = _matroska_size(file)
    return 0 if length is None else file.tell() + length


def _matroska_size(file: BinaryIO) -> int | None:
    """Read an EBML size of 1 to 8 bytes, given by its leading zero bits. None: unknown size."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    count = 9 - first[0].bit_length()
    rest = file.read(count - 1)
    mask = (1 << (8 - count)) - 1
    value = int.from_bytes(bytes([first[0] & mask]) + rest, "big")
    return None if value == (1 << 7 * count) - 1 else value
