"""The RTSP source against the RTSP test server, over real sockets."""

import contextlib
import itertools
import os
import socket
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import pytest
from makers import walking_box, write_video

from cameras.pacing import Pacer
from cameras.rtsp import RtspStream
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.simulation.rtsp_server.requests import Codec
from cameras.source import Picture, SourceError, SourceInfo
from cameras.video_file import VideoFile

PASSWORD = "s3cr@t"
STALL_SECONDS = 1.0

Transport = Literal["tcp", "udp"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rtsp") / "clip.mp4"
    write_video(path, 50)
    return path


@pytest.fixture
def mount(clip: Path) -> Mount:
    return Mount(lambda: VideoFile(clip, "live"), keyframe_seconds=0.2)


@pytest.fixture
def server(mount: Mount) -> Iterator[RtspServer]:
    """A password-protected camera."""
    with RtspServer({"door": mount}, authentication=RtspAuthentication("cam", PASSWORD)) as server:
        yield server


def loss(
    address: str, transport: Transport = "tcp", then: Callable[[], None] = lambda: None
) -> SourceError:
    """Read until the connection is lost; call `then` after the fifth frame."""
    with pytest.raises(SourceError) as caught:
        watch(RtspStream(address, transport, STALL_SECONDS), then)
    shown = "".join(traceback.format_exception(caught.value)) + repr(chain(caught.value))
    assert PASSWORD not in shown
    assert "s3cr" not in shown
    assert not caught.value.permanent
    return caught.value


def watch(stream: RtspStream, then: Callable[[], None]) -> None:
    with stream:
        for count, _ in enumerate(stream, start=1):
            if count == 5:
                then()


def chain(error: BaseException | None) -> list[tuple[str, object]]:
    """All representations of an exception and its chain."""
    links = []
    while error is not None:
        links.append((repr(error), error.args))
        error = error.__cause__ or error.__context__
    return links


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("codec", "name"), [("h264", "h264"), ("h265", "hevc"), ("mjpeg", "mjpeg")]
)
def test_frames_arrive(mount: Mount, codec: Codec, name: str, transport: Transport) -> None:
    with RtspServer({"door": replace(mount, codec=codec)}) as server:
        stream = RtspStream(server.address("door"), transport, 5.0)
        with stream, closing(iter(stream)) as pictures:
            taken = [next(pictures) for _ in range(12)]
            assert stream.info == SourceInfo((48, 64), name, 25.0, None, True)
    steps = np.diff([picture.pts_seconds for picture in taken])
    assert steps == pytest.approx(0.04, abs=0.002)
    shown = list(walking_box(50))
    differences = [np.abs(taken[-1].pixels.astype(int) - picture).mean() for picture in shown]
    assert min(differences) < 12


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_password(mount: Mount, scheme: Literal["digest", "basic"]) -> None:
    authentication = RtspAuthentication("cam", PASSWORD, scheme)
    with RtspServer({"x": mount}, authentication=authentication) as server:
        address = server.address("x")
        with RtspStream(address, "tcp", 5.0) as stream:
            assert stream.info.live
        assert loss(address.replace("s3cr", "s3crets")).code == "unauthorised"
        assert loss(f"rtsp://127.0.0.1:{server.port}/x").code == "unauthorised"
        assert loss(address.replace("cam:", "cat:")).code == "unauthorised"


def test_unknown_path(server: RtspServer) -> None:
    assert loss(server.address("attic")).code == "not_found"


def test_unknown_host() -> None:
    assert loss(f"rtsp://cam:{PASSWORD}@camera.invalid/x").code == "not_found"


def test_closed_port(server: RtspServer) -> None:
    server.stop()
    assert loss(server.address("door")).code == "refused"


def test_not_an_rtsp_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        began = time.monotonic()
        assert loss(f"rtsp://cam:{PASSWORD}@127.0.0.1:{port}/x").code == "timeout"
        assert time.monotonic() - began < STALL_SECONDS + 0.5


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_stall_is_detected_within_the_time_out(server: RtspServer, transport: Transport) -> None:
    stalled_at = []

    def stall() -> None:
        stalled_at.append(time.monotonic())
        server.stall()

    error = loss(server.address("door"), transport, stall)
    assert error.code == "timeout"
    assert 0.3 * STALL_SECONDS < time.monotonic() - stalled_at[0] < STALL_SECONDS + 1.0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_camera_that_goes_down_ends_the_stream(server: RtspServer, transport: Transport) -> None:
    assert loss(server.address("door"), transport, server.reset_clients).code == "ended"
    assert loss(server.address("door"), transport, server.stop).code == "ended"


class FrameSource:
    """A source of given frames, 25 a second."""

    info = SourceInfo((48, 64), "synthetic", 25.0, None, False)

    def __init__(self, pictures: Iterable[np.ndarray]) -> None:
        self._pictures = pictures

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        pacer = Pacer("live")
        for number, pixels in enumerate(self._pictures):
            pacer.wait_until(number / 25)
            yield Picture(number / 25, time.time(), pixels)


def test_frame_size_may_change_while_playing() -> None:
    changed = threading.Event()

    def pictures() -> Iterator[np.ndarray]:
        for number in itertools.count():
            size_hw = (96, 128) if changed.is_set() else (48, 64)
            yield np.full((*size_hw, 3), number % 200, np.uint8)

    with (
        RtspServer({"x": Mount(lambda: FrameSource(pictures()))}) as server,
        RtspStream(server.address("x"), "tcp", 5.0) as stream,
    ):
        sizes, last = set(), -1.0
        for picture in stream:
            assert picture.pts_seconds > last
            last = picture.pts_seconds
            sizes.add(picture.pixels.shape[:2])
            changed.set()
            if (96, 128) in sizes:
                break
    assert sizes == {(48, 64), (96, 128)}


def test_client_that_does_not_read_is_dropped_and_others_continue() -> None:
    heavy = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    mount = Mount(lambda: FrameSource(itertools.repeat(heavy)), "mjpeg")
    with RtspServer({"x": mount}) as server, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", server.port))
        uri = server.address("x")
        setup = f"SETUP {uri}/track0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast\r\n\r\n"
        idle.sendall(setup.encode())
        session = idle.recv(1000).decode().partition("Session: ")[2].partition(";")[0]
        idle.sendall(f"PLAY {uri} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n".encode())
        with RtspStream(uri, "tcp", 5.0) as stream, closing(iter(stream)) as pictures:
            assert server.clients == 2
            for number, _ in enumerate(pictures):
                if server.clients == 1:
                    break
                assert number < 250
            assert next(pictures).pts_seconds > 0


def test_stopped_server_releases_all_resources(mount: Mount) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))
    threads = set(threading.enumerate())
    server = RtspServer({"x": mount}, authentication=RtspAuthentication("cam", PASSWORD))
    for transport in get_args(Transport):
        with server:
            stream = RtspStream(server.address("x"), transport, 5.0)
            with stream, closing(iter(stream)) as pictures:
                next(pictures)
                server.stop()
    assert set(threading.enumerate()) == threads
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_closed_stream_is_freed_at_once(server: RtspServer) -> None:
    """A reference cycle would keep decoders of lost connections until garbage collection."""
    stream = RtspStream(server.address("door"), "tcp", 5.0)
    with stream, closing(iter(stream)) as pictures:
        next(pictures)
    reference = weakref.ref(stream)
    del stream, pictures
    assert reference() is None


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ("OPTIONS rtsp://h/x RTSP/1.0", "200 OK"),
        ("RECORD rtsp://h/x RTSP/1.0", "405 Method Not Allowed"),
        ("SETUP rtsp://h/y/track0 RTSP/1.0", "404 Not Found"),
        ("SETUP rtsp://h/x/track0 RTSP/1.0\r\nTransport: RTP/SAVP", "461 Unsupported Transport"),
        ("PLAY rtsp://h/x RTSP/1.0\r\nSession: 1", "454 Session Not Found"),
    ],
)
def test_server_responses(mount: Mount, request_text: str, answer: str) -> None:
    with (
        RtspServer({"x": mount}) as server,
        socket.create_connection(("127.0.0.1", server.port)) as control,
    ):
        control.sendall(b"$\0\0\2ab" + f"{request_text}\r\nCSeq: 7\r\n\r\n".encode())
        assert control.recv(1000).decode().startswith(f"RTSP/1.0 {answer}\r\nCSeq: 7\r\n")


def test_server_closes_the_connection_on_invalid_requests(mount: Mount) -> None:
    with RtspServer({"x": mount}) as server:
        for nonsense in (b"GET /\r\n\r\n", b"x" * 100_000, b"A b C\r\nContent-Length: -1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as control:
                control.sendall(nonsense)
                with contextlib.suppress(ConnectionResetError):
                    assert control.recv(100) == b""
