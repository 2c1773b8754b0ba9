"""Whether a recording was cut off, as by a lost power supply or an unfinished copy.

What a container says of its pictures proves nothing: an edit list hides some of them, and counts
and durations may be those of another cut. But the sizes of its outermost parts must fit.
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
"""What is missing of the last bytes, beside padding that some writers count wrongly."""


def missing_ratio(path: Path) -> float:
    """Part 0..1 of a file that is missing at its end, as its container says; 0 where it is whole.

    Known of MP4, Matroska and AVI; others do not say how large they are.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _MP4_BOXES:
            promised = _mp4_bytes(file, size)
        elif head[:4] == _EBML:
            promised = _matroska_bytes(file)
        elif head[:4] == b"RIFF":
            promised = _riff_bytes(file, size)
        else:
            promised = 0
    ratio = 1 - size / promised if promised > size else 0.0
    return ratio if ratio > _TOLERANCE_RATIO else 0.0


def _mp4_bytes(file: BinaryIO, size: int) -> int:
    """Where the last box ends; a box of size 0 goes on to the end of the file."""
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
    """Where the last of the RIFF lists ends; large files have several."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        end += 8 + length + length % 2
    return end


def _matroska_bytes(file: BinaryIO) -> int:
    """Where the segment ends; 0 where it was written as a stream, whose size nobody knew."""
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
    """A number of 1 to 8 bytes; how many, the zeros before its first one tell. None: unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    count = 9 - first[0].bit_length()
    rest = file.read(count - 1)
    mask = (1 << (8 - count)) - 1
    value = int.from_bytes(bytes([first[0] & mask]) + rest, "big")
    return None if value == (1 << 7 * count) - 1 else value
