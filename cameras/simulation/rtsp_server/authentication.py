"""User name and password of an RTSP server: digest (RFC 2617, MD5) or basic authentication."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

from cameras.simulation.rtsp_server.requests import RtspRequest

_REALM = "vedette"
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class RtspAuthentication:
    """Admits requests with the correct user name and password."""

    user: str
    password: str = field(repr=False)
    scheme: Literal["digest", "basic"] = "digest"
    nonce: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """The server's part of the digest; new for every instance."""

    @property
    def challenge(self) -> str:
        """Value of the WWW-Authenticate header."""
        if self.scheme == "basic":
            return f'Basic realm="{_REALM}"'
        return f'Digest realm="{_REALM}", nonce="{self.nonce}"'

    def admits(self, request: RtspRequest) -> bool:
        """Whether the request is authenticated."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != self.scheme:
            return False
        if self.scheme == "basic":
            wanted = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return hmac.compare_digest(credentials.strip().encode(), wanted.encode())
        fields = {match[1]: match[2] or match[3] or "" for match in _FIELD.finditer(credentials)}
        if fields.get("nonce") != self.nonce or fields.get("uri") != request.uri:
            return False
        if fields.get("username") != self.user:
            return False
        return hmac.compare_digest(fields.get("response", "").encode(), self._digest(request))

    def _digest(self, request: RtspRequest) -> bytes:
        login = _md5(f"{self.user}:{_REALM}:{self.password}")
        operation = _md5(f"{request.method}:{request.uri}")
        return _md5(f"{login}:{self.nonce}:{operation}").encode()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
