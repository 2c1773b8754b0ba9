"""Detect lost reference frames of an H.264 stream by gaps in `frame_num`.

Where all packets of a frame are lost, FFmpeg's decoder continues from the previous frame without an
error, and moving objects leave trails. But each reference frame has a number (`frame_num`, ITU-T
H.264, 7.4.3).
"""

from collections.abc import Iterator

_SLICES, _IDR, _PARAMETERS = (1, 5), 5, 7
_START = b"\x00\x00\x01"
_SEPARATE_COLOURS = 3
_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles with chroma fields in the sequence parameter set."""
_HEAD_BYTES = 40
"""Enough of a slice for its frame_num."""
_MIN_MISSED, _MAX_MISSED_RATIO = 10, 1 / 3
"""Above both, the camera does not number its frames by the standard."""


class FrameNumberTracker:
    """Tracks the frame_num of one stream."""

    def __init__(self, extradata: bytes | None) -> None:
        """Start before the first packet.

        Args:
            extradata: Of the codec: parameter sets; in MP4 and Matroska also the packet format.
        """
        self._length_bytes = 0
        self._number_bits = 0
        self._separate_colours = False
        self._gaps_allowed = False
        self._previous: int | None = None
        self._frames = self._missed = 0
        if extradata and extradata[0] == 1 and len(extradata) > 7:
            self._length_bytes = (extradata[4] & 3) + 1
            self._store_parameters(extradata[8:])
        elif extradata:
            for unit in self._units(extradata):
                self._parse(unit)

    def gap_before(self, packet: bytes) -> bool:
        """Whether a reference frame is missing between this packet and the previous one."""
        for unit in self._units(packet):
            number = self._parse(unit)
            if number is not None:
                return self._is_gap(unit, number)
        return False

    def _is_gap(self, unit: bytes, number: int) -> bool:
        previous, modulus = self._previous, 1 << self._number_bits
        gap = previous is not None and number not in (previous, (previous + 1) % modulus)
        if unit[0] & 0x1F == _IDR:
            gap = False
        if unit[0] & 0x60:  # a reference frame
            self._previous = number
        self._frames += 1
        self._missed += gap
        unreliable = self._missed > _MIN_MISSED and self._missed > _MAX_MISSED_RATIO * self._frames
        return gap and not self._gaps_allowed and not unreliable

    def _units(self, packet: bytes) -> Iterator[bytes]:
        """Yield the NAL units of a packet, without start codes or lengths."""
        if self._length_bytes:
            place = 0
            while place + self._length_bytes < len(packet):
                begin = place + self._length_bytes
                place = begin + int.from_bytes(packet[place:begin], "big")
                yield packet[begin:place]
            return
        begin = packet.find(_START)
        while begin >= 0:
            end = packet.find(_START, begin + 3)
            yield packet[begin + 3 : end if end >= 0 else len(packet)]
            begin = end

    def _parse(self, unit: bytes) -> int | None:
        """Return the frame_num of a slice, else None; store parameter sets."""
        kind = unit[0] & 0x1F if unit else 0
        if kind == _PARAMETERS:
            self._store_parameters(unit)
        if kind not in _SLICES or not self._number_bits:
            return None
        bits = _Bits(unit[1:_HEAD_BYTES])
        try:
            for _ in range(3):  # first macroblock, type, picture parameters
                bits.number()
            bits.fixed(2 * self._separate_colours)
            return bits.fixed(self._number_bits)
        except ValueError:
            return None

    def _store_parameters(self, unit: bytes) -> None:
        bits = _Bits(unit[1:])
        try:
            profile = bits.fixed(24) >> 16
            bits.number()
            separate = profile in _WITH_CHROMA and _skip_chroma(bits)
            number_bits = bits.number() + 4
            _skip_order(bits)
            bits.number()
            self._gaps_allowed = bool(bits.fixed(1))
        except ValueError:
            return
        self._separate_colours, self._number_bits = separate, number_bits


class _Bits:
    """Bit reader that removes the emulation prevention bytes."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(plain, "big")
        self._remaining = 8 * len(plain)

    def fixed(self, count: int) -> int:
        """Read a number of `count` bits.

        Raises:
            ValueError: the data end.
        """
        self._remaining -= count
        if self._remaining < 0:
            raise ValueError("no bits left")
        return (self._value >> self._remaining) & ((1 << count) - 1)

    def number(self) -> int:
        """Read an unsigned Exp-Golomb number.

        Raises:
            ValueError: the data end, or are invalid.
        """
        zeros = 0
        while not self.fixed(1):
            zeros += 1
        return (1 << zeros) - 1 + self.fixed(zeros)


def _skip_chroma(bits: _Bits) -> bool:
    """Skip the chroma fields of high profiles; return separate_colour_plane_flag."""
    chroma = bits.number()
    separate = chroma == _SEPARATE_COLOURS and bool(bits.fixed(1))
    bits.number()
    bits.number()
    bits.fixed(1)
    if bits.fixed(1):
        for place in range(8 if chroma != _SEPARATE_COLOURS else 12):
            if bits.fixed(1):
                _skip_scaling(bits, 16 if place < 6 else 64)
    return separate


def _skip_scaling(bits: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            coded = bits.number()
            step = (coded + 1) // 2 if coded % 2 else -(coded // 2)
            following = (last + step) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    """Skip the fields of the picture order count."""
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind == 1:
        bits.fixed(1)
        bits.number()
        bits.number()
        for _ in range(bits.number() % 256):
            bits.number()
