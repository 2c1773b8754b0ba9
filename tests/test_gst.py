"""The RTSP source against an independent server: GStreamer's, in a separate process."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from cameras import SourceError, SourceOptions, open_source
from cameras.probe import probe

pytestmark = pytest.mark.gst

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("gst_camera.py")
MISSING = (
    "no GStreamer RTSP server (on Debian: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-{base,good,bad,ugly})"
)
WANTED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
elements = "videotestsrc", "x264enc", "x265enc", "jpegenc", "rtph264pay", "rtph265pay", "rtpjpegpay"
assert all(map(Gst.ElementFactory.find, elements))
"""
STALL_SECONDS = 1.0


@dataclass(frozen=True)
class GstCamera:
    process: subprocess.Popen[str]
    port: int

    def address(self, mount: str, password: str = "s3cret") -> str:
        return f"rtsp://cam:{password}@127.0.0.1:{self.port}/{mount}"


@pytest.fixture(scope="module")
def installed() -> None:
    try:
        found = subprocess.run(
            [PYTHON, "-c", WANTED], capture_output=True, env=environment(), check=False
        )
    except FileNotFoundError:
        pytest.skip(f"{MISSING}: there is no {PYTHON}")
    if found.returncode != 0:
        pytest.skip(MISSING)


def environment() -> dict[str, str]:
    """Environment without PYTHON variables: the system's Python must not use our packages."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture
def camera(installed: None) -> Iterator[GstCamera]:
    with subprocess.Popen(
        [PYTHON, str(SERVER)], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            yield GstCamera(process, int(process.stdout.readline()))
        finally:
            process.kill()


def options(transport: Literal["tcp", "udp"] = "tcp") -> SourceOptions:
    return SourceOptions(transport=transport, stall_timeout_seconds=STALL_SECONDS)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("mount", "codec"),
    [("h264", "h264"), ("reordered", "h264"), ("hevc", "hevc"), ("mjpeg", "mjpeg")],
)
def test_frames_arrive(
    camera: GstCamera, mount: str, codec: str, transport: Literal["tcp", "udp"]
) -> None:
    settings = SourceOptions(transport=transport, stall_timeout_seconds=10.0)
    with open_source(camera.address(mount), settings) as source:
        taken = list(itertools.islice(source, 30))
        assert (source.info.codec, source.info.size_hw) == (codec, (240, 320))
    times = [picture.pts_seconds for picture in taken]
    assert times[0] == 0.0
    assert np.median(np.diff(times)) == pytest.approx(0.04, abs=0.004)
    assert (np.diff(times) > 0).all()
    assert max(picture.pixels.max() for picture in taken) > 200, "a white ball on black"
    assert not np.array_equal(taken[0].pixels, taken[-1].pixels)


def test_probe(camera: GstCamera) -> None:
    report = probe(camera.address("h264"), SourceOptions(stall_timeout_seconds=10.0), 3.0)
    assert report.measured_fps == pytest.approx(25, rel=0.1)
    assert report.keyframe_interval_seconds == pytest.approx(0.4, rel=0.1)
    assert report.clock is not None
    assert report.clock.backwards == report.clock.repeated == 0


def test_refusals(camera: GstCamera) -> None:
    for address, code in (
        (camera.address("h264", "wrong"), "unauthorised"),
        (camera.address("attic"), "not_found"),
    ):
        with pytest.raises(SourceError) as caught, open_source(address, options()):
            pass
        assert caught.value.code == code


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGSTOP, "timeout"), (signal.SIGKILL, "ended")])
def test_a_server_that_hangs_or_is_killed(
    camera: GstCamera, sent: signal.Signals, code: str, transport: Literal["tcp", "udp"]
) -> None:
    with open_source(camera.address("h264"), options(transport)) as source:
        pictures = iter(source)
        list(itertools.islice(pictures, 5))
        camera.process.send_signal(sent)
        began = time.monotonic()
        with pytest.raises(SourceError) as caught:
            list(pictures)
    assert caught.value.code == code
    assert time.monotonic() - began < STALL_SECONDS + 1.5
