"""A real HTTP server on loopback that takes webhooks, and fails on request."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What the server has got, and what it answers: a status and headers for the n-th request."""

    port: int = 0
    posts: list[Post] = field(default_factory=list)
    answer: Callable[[int], tuple[int, dict[str, str]]] = lambda number: (204, {})
    stall: threading.Event | None = None
    """While set to an event: sends a byte of the answer now and then until the event is set."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, seconds: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, seconds), self.posts


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        it = self.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with it.changed:
            number = len(it.posts)
            it.posts.append(Post(self.path, dict(self.headers.items()), body))
            it.changed.notify_all()
        if it.stall is not None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            try:
                while not it.stall.wait(0.02):
                    self.wfile.write(b"z")
            except OSError:
                pass
            self.close_connection = True
            return
        status, headers = it.answer(number)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(port: int = 0, tls: Path | None = None) -> Iterator[Receiver]:
    """Serve; `tls`: PEM file with key and certificate."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    if tls is not None:
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.stall is not None:
            receiver.stall.set()
        server.shutdown()
        thread.join()
        server.server_close()
