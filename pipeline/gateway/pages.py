"""The page of the dashboard: static files of the package, read once, with a strict policy."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    packed: bytes
    media_type: str
    etag: str


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return _Asset(content, gzip.compress(content, mtime=0), _TYPES[path.suffix], etag)


_ASSETS = {path.name: _read(path) for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES}


@router.get("/")
def page(request: Request) -> Response:
    """The page; the view is in the fragment of its address."""
    return _answer(request, "index.html")


@router.get("/static/{name}")
def asset(name: str, request: Request) -> Response:
    """A file of the page."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    found = _ASSETS.get(name)
    if found is None:
        return Response(status_code=404)
    headers = {
        "Cache-Control": "no-cache",  # requested each time, and answered with 304
        "ETag": found.etag,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": POLICY,
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = found.packed, "gzip"
    return Response(content, media_type=found.media_type, headers=headers)
