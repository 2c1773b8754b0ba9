"""Middleware for every request: check of the origin, limit of the body size, security headers."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.gateway.authentication import Authenticator, DeniedError

LARGEST_BODY_BYTES = 65_536
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class _AnsweredError(Exception):
    """A HEAD request is answered; the body that the application streams is discarded."""


class RequestMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, guard: Authenticator) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer: Send = send_with_headers
        headers = Headers(scope=scope)
        try:
            self._guard.check_page(headers.get("host", ""), headers.get("origin"))
            body = await _whole_body(headers, receive)
        except DeniedError as error:
            response = JSONResponse({"detail": str(error)}, error.status)
            await response(scope, receive, send_with_headers)
            return
        if body is None:
            return
        if scope["method"] == "HEAD":
            scope, answer = {**scope, "method": "GET"}, _head_only(send_with_headers)
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._app(scope, replay, answer)
        except* _AnsweredError:
            pass

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._guard.check_page(headers.get("host", ""), headers.get("origin"))
        except DeniedError:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


def _head_only(send: Send) -> Send:
    """Answer a HEAD request as GET without the body, at once, also if the body is endless."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif message.get("more_body", False):
            raise _AnsweredError

    return send_head


async def _whole_body(headers: Headers, receive: Receive) -> bytes | None:
    """Read the body; None: the client has disconnected.

    Raises:
        DeniedError: it is too large.
    """
    length = headers.get("content-length", "0")
    too_large = DeniedError(413, f"want a body of at most {LARGEST_BODY_BYTES} bytes")
    if length.isdigit() and int(length[:20]) > LARGEST_BODY_BYTES:
        raise too_large
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return body
