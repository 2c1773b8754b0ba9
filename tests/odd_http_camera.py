"""A web server whose responses are written by the test, byte by byte."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import numpy.typing as npt

Handler = BaseHTTPRequestHandler
Answer = Callable[[Handler, threading.Event], None]


@contextmanager
def serving(answer: Answer, requested: list[str] | None = None) -> Iterator[str]:
    """Serve on loopback; yield the address without a path.

    Args:
        answer: Responds to a GET; must return when the event is set.
        requested: Receives the path of each request.
    """
    over = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            if requested is not None:
                requested.append(self.path)
            with suppress(OSError):
                answer(self, over)

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def head(handler: Handler, kind: str, length: int | None = None) -> None:
    """Respond with status 200; the body is endless unless there is a length."""
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


def jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """Encode a frame, uint8 (H, W, 3) RGB, as JPEG."""
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def grainy(count: int, seed: int = 3) -> list[npt.NDArray[np.uint8]]:
    """Frames of a static room, 120×160, with sensor noise."""
    rng = np.random.default_rng(seed)
    room = np.kron(rng.integers(40, 200, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.int16)
    return [
        np.clip(room + rng.integers(-3, 4, (120, 160, 1)), 0, 255).astype(np.uint8)
        for _ in range(count)
    ]


def in_steps(
    handler: Handler, over: threading.Event, data: bytes, seconds: float, step: float
) -> None:
    """Send data evenly over `seconds`, in one piece every `step` seconds."""
    size = max(1, round(len(data) * step / seconds))
    due = time.monotonic()
    for begin in range(0, len(data), size):
        if over.wait(max(0.0, due - time.monotonic())):
            return
        handler.wfile.write(data[begin : begin + size])
        due += step
