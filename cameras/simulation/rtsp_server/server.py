"""RTSP server: one thread for all clients, one encoder thread per mount."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cameras.simulation.rtsp_server.authentication import RtspAuthentication
from cameras.simulation.rtsp_server.broadcast import Burst, Mount, broadcast
from cameras.simulation.rtsp_server.session import RtspSession


class RtspServer:
    """Serves mounts under rtsp://host:port/path while inside its `with`.

    It can also simulate the faults of a real camera, for tests: `stall`, `alter`, `fall_behind`,
    `reset_clients`, and `stop` with a later `start` on the same port.
    """

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        authentication: RtspAuthentication | None = None,
    ) -> None:
        """Store what to serve.

        Args:
            mounts: The streams, by path without leading and trailing slashes.
            host: Interface to listen on; by default the loopback interface.
            port: Port to listen on; 0 = a free one.
            authentication: Required credentials; None = no authentication.
        """
        self._mounts = dict(mounts)
        self._host = host
        self._port = port
        self._authentication = authentication
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        """Start.

        Raises:
            OSError: the port is taken.
        """
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def port(self) -> int:
        """Port it listens on, or listened on last; 0 before the first start of a free one."""
        return self._port

    def address(self, path: str) -> str:
        """Return the address of a mount, including the required credentials."""
        auth = self._authentication
        login = "" if auth is None else f"{quote(auth.user, '')}:{quote(auth.password, '')}@"
        return f"rtsp://{login}{self._host}:{self._port}/{path}"

    def start(self) -> None:
        """Listen and encode; after `stop` on the same port as before.

        Raises:
            OSError: the port is taken.
        """
        if self._running is None:
            running = _Running(self._mounts, self._authentication)
            self._port = running.start(self._host, self._port)
            self._running = running

    def stop(self) -> None:
        """Close all connections and end every thread; without effect if already stopped."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def stall(self) -> None:
        """Continue to accept connections, but send nothing."""
        if self._running is not None:
            self._running.call(self._running.responding.clear)

    def resume(self) -> None:
        """End a stall."""
        if self._running is not None:
            self._running.call(self._running.responding.set)

    def alter(self, change: Callable[[bytes], bytes | None]) -> None:
        """Replace every RTP packet from now on by `change(packet)`; None drops the packet."""
        if self._running is not None:
            self._running.change = change

    def fall_behind(self, ratio: float) -> None:
        """Delay everything increasingly: by `ratio` more seconds in each second from now on."""
        if self._running is not None:
            self._running.behind = (self._running.now(), ratio)

    def reset_clients(self) -> None:
        """Reset every connection (TCP RST)."""
        if self._running is not None:
            self._running.call(self._running.reset)

    @property
    def clients(self) -> int:
        """Number of open connections."""
        return 0 if self._running is None else len(self._running.sessions)


class _Running:
    """State between a start and its stop."""

    def __init__(
        self, mounts: Mapping[str, Mount], authentication: RtspAuthentication | None
    ) -> None:
        self._mounts = mounts
        self._authentication = authentication
        self._codecs = {path: mount.codec for path, mount in mounts.items()}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop.run_forever, name="rtsp-server")]
        self.responding = asyncio.Event()
        self.responding.set()
        self.sessions: dict[asyncio.Task[None], RtspSession] = {}
        self.change: Callable[[bytes], bytes | None] | None = None
        self.behind: tuple[float, float] | None = None

    def start(self, host: str, port: int) -> int:
        try:
            listening = asyncio.start_server(self._serve, host, port)
            self._server = self._loop.run_until_complete(listening)
        except OSError:
            self._loop.close()
            raise
        self._threads += [
            threading.Thread(
                target=broadcast,
                args=(mount, partial(self._post, path), self._stop),
                name=f"rtsp-encoder:{path}",
            )
            for path, mount in self._mounts.items()
        ]
        for thread in self._threads:
            thread.start()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop(self) -> None:
        self._stop.set()
        loop_thread, *encoders = self._threads
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        for encoder in encoders:
            encoder.join()
        self._loop.call_soon_threadsafe(self._loop.stop)
        loop_thread.join()
        self._loop.close()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in the server's thread, and wait for its end."""

        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def reset(self) -> None:
        for session in list(self.sessions.values()):
            session.reset()

    def _post(self, path: str, burst: Burst) -> None:
        self._loop.call_soon_threadsafe(self._deliver, path, burst)

    def now(self) -> float:
        return self._loop.time()

    def _deliver(self, path: str, burst: Burst) -> None:
        if self.change is not None:
            changed = map(self.change, burst.packets)
            burst = Burst(tuple(one for one in changed if one is not None), burst.keyframe)
        if self.behind is None:
            self._send(path, burst)
        else:
            since, ratio = self.behind
            self._loop.call_later(ratio * (self.now() - since), self._send, path, burst)

    def _send(self, path: str, burst: Burst) -> None:
        if self.responding.is_set():
            for session in list(self.sessions.values()):
                session.deliver(path, burst)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        session = RtspSession((reader, writer), self._codecs, self._authentication, self.responding)
        self.sessions[task] = session
        try:
            await session.run()
        finally:
            del self.sessions[task]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.responding.set()  # release sessions that wait to respond
        for session in self.sessions.values():
            session.abort()
        await asyncio.gather(*self.sessions)
        await self._server.wait_closed()
