"""A web server that behaves like a camera, or like a malicious one."""

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
from makers import walking_box

PASSWORD = "s3cr@t"
LOGIN = "cam:s3cr%40t"


class Camera(ThreadingHTTPServer):
    """Serves Motion JPEG under /live, the files of a folder, and redirects under /to/…"""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, folder: Path, frames_per_second: float = 25.0, protected: bool = False
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.interval_seconds = 1 / frames_per_second
        self.protected = protected
        self.stalled = threading.Event()
        self.closing = threading.Event()
        self.redirects: dict[str, str] = {}
        self.requested: list[str] = []
        self.ranges = True
        self.alter: Callable[[int, bytes], bytes] = lambda _, jpeg: jpeg

    def address(self, path: str) -> str:
        return f"http://{LOGIN}@127.0.0.1:{self.server_port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Camera

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        camera = self.server
        camera.requested.append(self.path)
        received = self.headers.get("Authorization", "")
        wanted = "Basic " + base64.b64encode(f"cam:{PASSWORD}".encode()).decode()
        if camera.protected and received != wanted:
            return self._respond(401, {"WWW-Authenticate": 'Basic realm="camera"'})
        if self.path in camera.redirects:
            return self._respond(302, {"Location": camera.redirects[self.path]})
        with suppress(ConnectionError):
            if self.path == "/live":
                return self._live()
            path = camera.folder / self.path.strip("/")
            if path.is_file():
                return self._file(path.read_bytes())
        return self._respond(404, {})

    def _respond(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self, data: bytes) -> None:
        if not self.server.ranges:
            self._respond(200, {"Content-Length": str(len(data))})
            self.wfile.write(data)
            return
        begin, _, _ = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(begin) :]
        self._respond(
            206,
            {
                "Content-Length": str(len(part)),
                "Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}",
            },
        )
        self.wfile.write(part)

    def _live(self) -> None:
        self._respond(200, {"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        pictures = itertools.chain.from_iterable(walking_box(24) for _ in itertools.count())
        due = time.monotonic()
        for number, picture in enumerate(pictures):
            due += self.server.interval_seconds
            if self.server.closing.wait(max(0.0, due - time.monotonic())):
                return
            if self.server.stalled.is_set():
                self.server.closing.wait()
                return
            jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
            jpeg = self.server.alter(number, jpeg)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")


@contextmanager
def http_camera(
    folder: Path, frames_per_second: float = 25.0, protected: bool = False
) -> Iterator[Camera]:
    with Camera(folder, frames_per_second, protected) as camera:
        thread = threading.Thread(target=camera.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield camera
        finally:
            camera.closing.set()
            camera.shutdown()
            thread.join()
