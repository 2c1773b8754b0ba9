"""Links to pictures of events that need no token: signed, for one path, valid for some days.

Such a link gives access to one picture until it expires, and to nothing else. The key is in the
data folder; without it, or with another one, all links are invalid.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pipeline.telemetry.damaged_files import put_aside

LINK_SECONDS = 7 * 86400
_KEY_NAME = "link.key"
_KEY_BYTES = 32


class Links:
    """Signs and verifies links."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 random bytes."""
        self._key = key

    @classmethod
    def of(cls, data_folder: Path) -> Self:
        """Use the key of a data folder, created if missing; a damaged one is moved aside.

        Raises:
            OSError: it cannot be read or written.
        """
        path = data_folder / _KEY_NAME
        for _ in range(2):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass
            else:
                with open(descriptor, "wb", buffering=0) as file:
                    if file.write(secrets.token_bytes(_KEY_BYTES)) != _KEY_BYTES:
                        path.unlink()
                        raise OSError(f"{path}: cannot be written")
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return cls(key)
            put_aside(path, f"want {_KEY_BYTES} bytes, got {len(key)}")
        raise OSError(f"{path}: want {_KEY_BYTES} bytes")

    def query(self, path: str, now: float) -> str:
        """Query string to append to a path such as "/api/v1/events/x-1-2/snapshot.jpg".

        Args:
            path: Path in the API.
            now: Unix seconds.
        """
        expires = int(now) + LINK_SECONDS
        return f"?expires={expires}&signature={self._signature(path, str(expires))}"

    def is_valid(self, path: str, query: Mapping[str, str], now: float) -> bool:
        """Whether the query of a request has a valid signature for this path, and is not expired.

        Args:
            path: Path of the request.
            query: `expires` and `signature`; other parameters are ignored.
            now: Unix seconds.
        """
        expires, signature = query.get("expires", ""), query.get("signature", "")
        if not (expires.isascii() and expires.isdecimal() and len(expires) < 16):
            return False
        if not signature.isascii():
            return False
        wanted = self._signature(path, expires)
        return hmac.compare_digest(wanted, signature) and now < int(expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
