"""Pictures of an H.264 stream that never came, by the numbers of those that did.

Where all packets of a picture are lost, FFmpeg's decoder goes on from the one before and marks
nothing, and what moves leaves trails. But each picture that others build upon has a number
(`frame_num`, ITU-T H.264, 7.4.3).
"""

from collections.abc import Iterator

_SLICES, _IDR, _PARAMETERS = (1, 5), 5, 7
_START = b"\x00\x00\x01"
_SEPARATE_COLOURS = 3
_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles that say more of colour."""
_HEAD_BYTES = 40
"""Enough of a slice for its number."""
_LEAST_MISSED, _MOST_MISSED_RATIO = 10, 1 / 3
"""Beyond both, the camera numbers its pictures in a way of its own."""


class H264Numbers:
    """Follows the numbers of one stream."""

    def __init__(self, extradata: bytes | None) -> None:
        """Begin before the first packet.

        Args:
            extradata: Of the codec: parameter sets; in MP4 and Matroska the form of packets, too.
        """
        self._length_bytes = 0
        self._number_bits = 0
        self._separate_colours = False
        self._gaps_allowed = False
        self._before: int | None = None
        self._seen = self._missed = 0
        if extradata and extradata[0] == 1 and len(extradata) > 7:
            self._length_bytes = (extradata[4] & 3) + 1
            self._take_parameters(extradata[8:])
        elif extradata:
            for unit in self._units(extradata):
                self._take(unit)

    def misses(self, packet: bytes) -> bool:
        """Whether a picture that others build upon is missing between this packet and the last."""
        for unit in self._units(packet):
            number = self._take(unit)
            if number is not None:
                return self._follow(unit, number)
        return False

    def _follow(self, unit: bytes, number: int) -> bool:
        before, most = self._before, 1 << self._number_bits
        misses = before is not None and number not in (before, (before + 1) % most)
        if unit[0] & 0x1F == _IDR:
            misses = False
        if unit[0] & 0x60:  # others build upon it
            self._before = number
        self._seen += 1
        self._missed += misses
        wrong = self._missed > _LEAST_MISSED and self._missed > _MOST_MISSED_RATIO * self._seen
        return misses and not self._gaps_allowed and not wrong

    def _units(self, packet: bytes) -> Iterator[bytes]:
        """The NAL units of a packet, each without what separates it."""
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

    def _take(self, unit: bytes) -> int | None:
        """The number in a slice; parameters are remembered."""
        kind = unit[0] & 0x1F if unit else 0
        if kind == _PARAMETERS:
            self._take_parameters(unit)
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

    def _take_parameters(self, unit: bytes) -> None:
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
    """Reads bits, without the bytes that only keep start codes from appearing by chance."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def fixed(self, count: int) -> int:
        """A number of so many bits.

        Raises:
            ValueError: the data are at their end.
        """
        self._left -= count
        if self._left < 0:
            raise ValueError("no bits left")
        return (self._value >> self._left) & ((1 << count) - 1)

    def number(self) -> int:
        """An Exp-Golomb number: as many bits again as zeros come first.

        Raises:
            ValueError: the data are at their end, or are none.
        """
        zeros = 0
        while not self.fixed(1):
            zeros += 1
        return (1 << zeros) - 1 + self.fixed(zeros)


def _skip_chroma(bits: _Bits) -> bool:
    """Pass what high profiles say; whether the colours are coded apart."""
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
    """Pass how pictures are put in order."""
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind == 1:
        bits.fixed(1)
        bits.number()
        bits.number()
        for _ in range(bits.number() % 256):
            bits.number()
