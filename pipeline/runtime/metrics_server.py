"""The HTTP server of the supervisor: `/metrics`, `/healthz` and `/readyz`."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pipeline.transport.listening import listen, shown

REQUEST_TIMEOUT_SECONDS = 5.0


class MetricsServer:
    """Serves inside its `with`, from its own threads."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        alive: Callable[[], bool],
        ready: Callable[[], tuple[bool, str]],
        degraded: Callable[[], list[str]] = list,
    ) -> None:
        """Configure a server; it listens once entered.

        Args:
            host: Address to listen on; loopback unless the configuration says otherwise.
            port: Port to listen on; 0: any free port.
            registry: Source of `/metrics`.
            alive: Whether the supervisor's loop runs, for `/healthz`.
            ready: Whether the service is ready, and the text of `/readyz`, one line per worker.
            degraded: Further lines of `/healthz`, one for each degraded part.
        """
        self._address = (host, port)
        self._handler = _handler(registry, alive, ready, degraded)
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            OSError: the address is in use or not an address of this machine.
        """
        host, port = self._address
        try:
            self._server = _Server(listen(host, port), self._handler)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(
                error.errno,
                f"metrics.host, metrics.port: cannot listen on {shown(host, port)}: {reason}",
            ) from error
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics"
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    @property
    def port(self) -> int:
        """The port that it listens on, also if 0 was configured."""
        return self._address[1] if self._server is None else self._server.server_port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__((host, port), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = host, port


def _handler(
    registry: CollectorRegistry,
    alive: Callable[[], bool],
    ready: Callable[[], tuple[bool, str]],
    degraded: Callable[[], list[str]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout: ClassVar[float] = REQUEST_TIMEOUT_SECONDS
        server_version = "vedette"
        sys_version = ""

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, encode(registry), content_type)
                case "/healthz":
                    good = alive()
                    # A restart does not cure a degraded part, so the status stays 200.
                    lines = ["ok" if good and not degraded() else "degraded" if good else "stuck"]
                    text = "\n".join([*lines, *degraded()]) + "\n"
                    self._answer(200 if good else 503, text.encode())
                case "/readyz":
                    good, text = ready()
                    self._answer(200 if good else 503, text.encode())
                case _:
                    self._answer(404, b"want /metrics, /healthz or /readyz\n")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(
            self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Do not log requests."""

    return Handler
