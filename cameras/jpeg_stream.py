"""Whole JPEG pictures out of the bytes of a camera, whatever stands between them.

Cameras leave out the first boundary, dashes, lengths or types of a multipart answer, and some send
no multipart at all. A JPEG says itself where it begins and ends, and so nothing else is read.
"""

import re
from typing import Protocol

from cameras.packet_decoder import DamageTap

_START = b"\xff\xd8\xff"
_END, _BEGIN, _SCAN, _FILL = 0xD9, 0xD8, 0xDA, 0xFF
_ALONE = (0x01, *range(0xD0, 0xD8))
_MARKER = re.compile(rb"\xff[\xc4\xd8-\xdd\xe0-\xef\xfe]")
"""What may follow on the coded picture; all else in it is picture, or damage."""
_MOST_BYTES = 32 * 1024 * 1024


class Readable(Protocol):
    """What FFmpeg can read from."""

    def read(self, size: int) -> bytes:
        """At most so many bytes, as soon as there are any; none at the end."""
        ...


class JpegSplitter:
    """Takes bytes as they come, and gives pictures as soon as they are whole."""

    def __init__(self) -> None:
        self.broken = 0
        """Pictures that were not whole."""
        self._data = bytearray()
        self._at = 0
        self._in_scan = False
        self._coded = False
        self._ever_whole = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes.

        Returns:
            The pictures that are whole now. Where a camera never marks the end of one, each is
            whole when the next one begins.
        """
        self._data += data
        found: list[bytes] = []
        while self._advance(found):
            pass
        if len(self._data) > _MOST_BYTES:
            self._drop(len(self._data))
        return found

    def _advance(self, found: list[bytes]) -> bool:
        """Go one step on; False where more bytes are wanted."""
        data, at = self._data, self._at
        if at == 0:
            begin = data.find(_START)
            if begin < 0:
                del data[: max(0, len(data) - len(_START) + 1)]
                return False
            del data[:begin]
            self._at, self._in_scan, self._coded = 2, False, False
            return True
        if self._in_scan:
            marker = _MARKER.search(data, at)
            if marker is None:
                self._at = max(at, len(data) - 1)
                return False
            self._at, self._in_scan = marker.start(), False
            return True
        if len(data) < at + 4 and not (len(data) >= at + 2 and data[at + 1] == _END):
            return False
        return self._segment(found)

    def _segment(self, found: list[bytes]) -> bool:
        data, at = self._data, self._at
        kind = data[at + 1]
        if data[at] != _FILL:
            self._drop(2)
        elif kind == _END:
            self._ever_whole = True
            found.append(bytes(data[: at + 2]))
            del data[: at + 2]
            self._at = 0
        elif kind == _BEGIN:
            if self._coded and not self._ever_whole:
                found.append(bytes(data[:at]) + b"\xff\xd9")
                del data[:at]
                self._at = 0
            elif self._coded or at > 2:
                self._drop(at)
            else:
                del data[:at]
                self._at = 0
        elif kind == _FILL:
            self._at = at + 1
        elif kind in _ALONE:
            self._at = at + 2
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if length < 2:
                self._drop(2)
            else:
                self._at, self._in_scan = at + 2 + length, kind == _SCAN
                self._coded |= self._in_scan
        return True

    def _drop(self, count: int) -> None:
        self.broken += 1
        del self._data[:count]
        self._at = 0


class CleanMultipart:
    """Motion JPEG as FFmpeg reads it, made of what a camera sends."""

    def __init__(self, body: Readable, on_damaged: DamageTap) -> None:
        """Begin with the first byte of the answer's body.

        Args:
            body: What the camera sends.
            on_damaged: Told of pictures that are not whole, and so left out.
        """
        self._splitter = JpegSplitter()
        self._body = body
        self._on_damaged = on_damaged
        self._ready = bytearray()

    def read(self, size: int) -> bytes:
        """At most so many bytes, as soon as there is a picture; none at the end."""
        while not self._ready:
            data = self._body.read(65_536)
            if not data:
                return b""
            before = self._splitter.broken
            pictures = self._splitter.feed(data)
            if self._splitter.broken > before:
                self._on_damaged(self._splitter.broken - before)
            for picture in pictures:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
                self._ready += head.encode() + b"\r\n" + picture + b"\r\n"
        part = bytes(self._ready[:size])
        del self._ready[:size]
        return part
