"""Our RTSP source against our RTSP server, over real sockets."""

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from makers import walking_box, write_video

from cameras.rtsp import RtspStream
from cameras.rtsp_server import Guard, Mount, RtspServer
from cameras.source import Picture, Source, SourceError, SourceInfo
from cameras.video_file import VideoFile

PASSWORD = "s3cr@t"
STALL_SECONDS = 1.0


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rtsp") / "clip.mp4"
    write_video(path, 50)
    return path


@pytest.fixture
def server(clip: Path) -> Iterator[RtspServer]:
    """A camera with a password, in three codecs."""

    def show() -> Source:
        return VideoFile(clip, "live")

    mounts = {"h264": Mount(show), "h265": Mount(show, "h265"), "mjpeg": Mount(show, "mjpeg")}
    with RtspServer(mounts, guard=Guard("cam", PASSWORD)) as server:
        yield server


def loss(
    address: str, transport: str = "tcp", then: Callable[[], None] = lambda: None
) -> SourceError:
    """Read until the connection is lost; `then` happens after the fifth picture."""
    with pytest.raises(SourceError) as caught:
        watch(RtspStream(address, transport, STALL_SECONDS), then)  # type: ignore[arg-type]
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
    """An exception and all that hang on it, shown in every way."""
    links = []
    while error is not None:
        links.append((repr(error), error.args))
        error = error.__cause__ or error.__context__
    return links


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_pictures_arrive(server: RtspServer, codec: str, transport: str) -> None:
    stream = RtspStream(server.address(codec), transport, 5.0)  # type: ignore[arg-type]
    with stream, closing(iter(stream)) as pictures:
        taken = [next(pictures) for _ in range(12)]
        assert stream.info == SourceInfo((48, 64), codec.replace("h265", "hevc"), 25.0, None, True)
    steps = np.diff([picture.pts_seconds for picture in taken])
    assert steps == pytest.approx(0.04, abs=0.002)
    shown = list(walking_box(50))
    differences = [np.abs(taken[-1].pixels.astype(int) - picture).mean() for picture in shown]
    assert min(differences) < 12


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_password(clip: Path, scheme: str) -> None:
    guard = Guard("cam", PASSWORD, scheme)  # type: ignore[arg-type]
    with RtspServer({"x": Mount(lambda: VideoFile(clip, "live"))}, guard=guard) as server:
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
    assert loss(server.address("h264")).code == "refused"


def test_not_an_rtsp_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        began = time.monotonic()
        assert loss(f"rtsp://cam:{PASSWORD}@127.0.0.1:{port}/x").code == "timeout"
        assert time.monotonic() - began < STALL_SECONDS + 0.5


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_stall_is_noticed_within_the_time_out(server: RtspServer, transport: str) -> None:
    stalled_at = []

    def stall() -> None:
        stalled_at.append(time.monotonic())
        server.stall()

    error = loss(server.address("h264"), transport, stall)
    assert error.code == "timeout"
    assert 0.3 * STALL_SECONDS < time.monotonic() - stalled_at[0] < STALL_SECONDS + 1.0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_camera_that_goes_down_has_ended(server: RtspServer, transport: str) -> None:
    assert loss(server.address("h264"), transport, server.reset_clients).code == "ended"
    assert loss(server.address("h264"), transport, server.stop).code == "ended"


class Resized:
    """A source whose pictures change their size half-way, as cameras do when set up anew."""

    info = SourceInfo((48, 64), "made", 25.0, None, False)

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def __enter__(self) -> "Resized":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        pace = threading.Event()
        for number in range(10_000):
            size_hw = (96, 128) if self._changed.is_set() else (48, 64)
            pixels = np.full((*size_hw, 3), number % 200, np.uint8)
            yield Picture(number / 25, time.time(), pixels)
            pace.wait(0.04)


def test_size_may_change_while_watching() -> None:
    changed = threading.Event()
    with (
        RtspServer({"x": Mount(lambda: Resized(changed))}) as server,
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


def test_several_clients_and_one_that_does_not_read(server: RtspServer) -> None:
    streams = [RtspStream(server.address("mjpeg"), "tcp", 5.0) for _ in range(2)]
    with streams[0] as first, streams[1] as second:
        pairs = zip(iter(first), iter(second), strict=False)
        assert [next(pairs) for _ in range(5)]
        assert server.clients == 2


def test_stopped_server_leaves_nothing_behind(server: RtspServer) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))
    threads = set(threading.enumerate())
    other = RtspServer(server._mounts, guard=server._guard)
    for transport in ("tcp", "udp"):
        with other:
            stream = RtspStream(other.address("h264"), transport, 5.0)  # type: ignore[arg-type]
            with stream, closing(iter(stream)) as pictures:
                next(pictures)
                other.stop()
    assert set(threading.enumerate()) == threads
    assert set(os.listdir("/proc/self/fd")) == descriptors
