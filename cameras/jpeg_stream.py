"""Extract complete JPEG images from the bytes of a camera, ignoring everything between them.

Cameras omit the first boundary, dashes, lengths or types of a multipart response, and some send no
multipart at all. A JPEG marks its own beginning and end, so nothing else is parsed.
"""

import re
from typing import Protocol

from cameras.packet_decoder import DamageTap

_START = b"\xff\xd8\xff"
_END, _BEGIN, _SCAN, _FILL = 0xD9, 0xD8, 0xDA, 0xFF
_ALONE = (0x01, *range(0xD0, 0xD8))
_MARKER = re.compile(rb"\xff[\xc4\xd8-\xdd\xe0-\xef\xfe]")
"""Markers that may follow the coded scan; everything else in it is image data, or damage."""
_MAX_BYTES = 32 * 1024 * 1024


class Readable(Protocol):
    """A file-like object for FFmpeg."""

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes, as soon as any are available; none at the end."""
        ...


class JpegSplitter:
    """Splits a byte stream into images, each available as soon as it is complete."""

    def __init__(self) -> None:
        self.broken = 0
        """Incomplete images."""
        self._data = bytearray()
        self._at = 0
        self._in_scan = False
        self._coded = False
        self._saw_end = False

    def feed(self, data: bytes) -> list[bytes]:
        """Append bytes.

        Returns:
            The images that are now complete. Where a camera never marks the end of an image, each
            is complete when the next one begins.
        """
        self._data += data
        found: list[bytes] = []
        while self._advance(found):
            pass
        if len(self._data) > _MAX_BYTES:
            self._drop(len(self._data))
        return found

    def _advance(self, found: list[bytes]) -> bool:
        """Parse one step; return False where more bytes are needed."""
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
            self._saw_end = True
            found.append(bytes(data[: at + 2]))
            del data[: at + 2]
            self._at = 0
        elif kind == _BEGIN:
            if self._coded and not self._saw_end:
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
    """Converts what a camera sends to Motion JPEG that FFmpeg reads."""

    def __init__(self, body: Readable, on_damaged: DamageTap) -> None:
        """Start with the first byte of the response body.

        Args:
            body: Response body of the camera.
            on_damaged: Called with the number of incomplete images, which are discarded.
        """
        self._splitter = JpegSplitter()
        self._body = body
        self._on_damaged = on_damaged
        self._ready = bytearray()

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes, as soon as an image is complete; none at the end."""
        while not self._ready:
            data = self._body.read(65_536)
            if not data:
                return b""
            before = self._splitter.broken
            images = self._splitter.feed(data)
            if self._splitter.broken > before:
                self._on_damaged(self._splitter.broken - before)
            for image in images:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n"
                self._ready += head.encode() + b"\r\n" + image + b"\r\n"
        part = bytes(self._ready[:size])
        del self._ready[:size]
        return part
