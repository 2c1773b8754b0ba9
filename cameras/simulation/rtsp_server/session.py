"""One client of the RTSP server: its control connection and its packet transport."""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Mapping

from cameras.simulation.rtsp_server.authentication import RtspAuthentication
from cameras.simulation.rtsp_server.broadcast import Burst
from cameras.simulation.rtsp_server.requests import (
    Codec,
    RtpTransport,
    RtspRequest,
    read_request,
    response,
    session_description,
)

_MAX_BACKLOG_BYTES = 4 * 1024 * 1024
_PORT_ATTEMPTS = 20
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"


class RtspSession:
    """A client from its first request until it disconnects, or is dropped for its backlog."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        codecs: Mapping[str, Codec],
        authentication: RtspAuthentication | None,
        responding: asyncio.Event,
    ) -> None:
        """Start with a new connection.

        Args:
            streams: Both directions of the control connection.
            codecs: Codec of each path.
            authentication: Required credentials; None = no authentication.
            responding: No response is sent while it is clear.
        """
        self._reader, self._writer = streams
        self._codecs = codecs
        self._authentication = authentication
        self._responding = responding
        self._id = secrets.token_hex(8)
        self._transport: RtpTransport | None = None
        self._sockets: tuple[socket.socket, ...] = ()
        self._ready_path: str | None = None
        self._playing_path: str | None = None
        self._waits_for_keyframe = True

    async def run(self) -> None:
        """Respond to requests until the client disconnects; close all sockets."""
        try:
            while request := await read_request(self._reader):
                await self._responding.wait()
                self._writer.write(self._respond(request))
                await self._writer.drain()
                if request.method == "TEARDOWN":
                    break
        except ConnectionError:
            return
        finally:
            self._playing_path = None
            for udp in self._sockets:
                udp.close()
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    def deliver(self, path: str, burst: Burst) -> None:
        """Send a frame if the client plays that path; drop a client with a large backlog."""
        if path != self._playing_path or (self._waits_for_keyframe and not burst.keyframe):
            return
        self._waits_for_keyframe = False
        if self._transport is not None and self._transport.interleaved:
            channel = self._transport.interleaved[0]
            self._writer.write(
                b"".join(
                    struct.pack(">BBH", ord("$"), channel, len(packet)) + packet
                    for packet in burst.packets
                )
            )
            if self._writer.transport.get_write_buffer_size() > _MAX_BACKLOG_BYTES:
                self._writer.transport.abort()
        elif self._sockets:
            for packet in burst.packets:
                with contextlib.suppress(OSError):  # full or refused: UDP packets may be lost
                    self._sockets[0].send(packet)

    def reset(self) -> None:
        """Reset the connection (TCP RST), as a crashed camera does."""
        control: socket.socket = self._writer.get_extra_info("socket")
        control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def abort(self) -> None:
        """Close the connection without flushing its buffers."""
        self._writer.transport.abort()

    def _respond(self, request: RtspRequest) -> bytes:
        if request.method == "OPTIONS":
            return response(request, 200, {"Public": _METHODS})
        if self._authentication is not None and not self._authentication.admits(request):
            return response(request, 401, {"WWW-Authenticate": self._authentication.challenge})
        match request.method:
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                return self._set_up(request)
            case "PLAY" | "TEARDOWN" | "GET_PARAMETER":
                return self._control(request)
        return response(request, 405, {"Allow": _METHODS})

    def _describe(self, request: RtspRequest) -> bytes:
        codec = self._codecs.get(request.path)
        if codec is None:
            return response(request, 404, {})
        base = request.uri.rstrip("/") + "/"
        return response(request, 200, {"Content-Base": base}, session_description(codec))

    def _set_up(self, request: RtspRequest) -> bytes:
        path = request.path.removesuffix("/track0")
        if path not in self._codecs:
            return response(request, 404, {})
        offered = request.headers.get("transport", "")
        transport = RtpTransport.parse(offered)
        if transport is None or self._transport is not None:
            return response(request, 461, {})
        if transport.interleaved:
            first, second = transport.interleaved
            chosen = f"RTP/AVP/TCP;unicast;interleaved={first}-{second}"
        elif transport.client_ports:
            first, second = transport.client_ports
            here: str = self._writer.get_extra_info("sockname")[0]
            there: str = self._writer.get_extra_info("peername")[0]
            self._sockets = _udp_pair(here, there, transport.client_ports)
            ports = "-".join(str(udp.getsockname()[1]) for udp in self._sockets)
            chosen = f"RTP/AVP;unicast;client_port={first}-{second};server_port={ports}"
        self._transport, self._ready_path = transport, path
        return response(request, 200, {"Transport": chosen, "Session": f"{self._id};timeout=60"})

    def _control(self, request: RtspRequest) -> bytes:
        named = request.headers.get("session", "").partition(";")[0]
        if request.method == "GET_PARAMETER" and not named:
            return response(request, 200, {})
        if named != self._id or self._ready_path is None:
            return response(request, 454, {})
        if request.method == "PLAY":
            self._playing_path = self._ready_path
            return response(request, 200, {"Session": self._id, "Range": "npt=now-"})
        if request.method == "TEARDOWN":
            self._playing_path = None
        return response(request, 200, {"Session": self._id})


def _udp_pair(here: str, there: str, client_ports: tuple[int, int]) -> tuple[socket.socket, ...]:
    """Open two adjacent ports, for RTP and RTCP, connected to the client's ports.

    Raises:
        ConnectionError: no pair is free.
    """
    family = socket.AF_INET6 if ":" in here else socket.AF_INET
    for _ in range(_PORT_ATTEMPTS):
        pair = tuple(socket.socket(family, socket.SOCK_DGRAM) for _ in client_ports)
        try:
            pair[0].bind((here, 0))
            pair[1].bind((here, pair[0].getsockname()[1] + 1))
            for udp, port in zip(pair, client_ports, strict=True):
                udp.setblocking(False)
                udp.connect((there, port))
        except (OSError, OverflowError):
            for udp in pair:
                udp.close()
        else:
            return pair
    raise ConnectionError(f"no pair of free UDP ports on {here}")
