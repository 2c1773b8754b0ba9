"""`vedette camera probe` on real streams, and its advice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from http_camera import http_camera
from makers import walking_box, write_images, write_video
from test_cli import vedette

from cameras import SourceOptions
from cameras.probe import ProbeReport, probe, sub_stream_guesses
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.simulation.rtsp_server.requests import Codec
from cameras.stream_quality import PacketRecord, clock_quality, keyframe_interval_seconds, rate
from cameras.video_file import VideoFile
from pipeline.cli.probe_advice import remarks, snippet
from pipeline.config import load_config

OPTIONS = SourceOptions(pace="fast", stall_timeout_seconds=5.0)
PASSWORD = "s3cr@t"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "clip.mp4"
    write_video(path, 50, codec="libx264")
    return path


@pytest.mark.parametrize(
    ("codec", "name"), [("h264", "h264"), ("h265", "hevc"), ("mjpeg", "mjpeg")]
)
def test_an_rtsp_camera(clip: Path, codec: Codec, name: str) -> None:
    mount = Mount(lambda: VideoFile(clip, "live"), codec, keyframe_seconds=0.4)
    with RtspServer({"main": mount}) as server:
        report = probe(server.address("main"), OPTIONS, 2.0)
    assert (report.live, report.codec, report.size_hw) == (True, name, (48, 64))
    assert (report.container, report.transport) == ("rtsp", "tcp")
    assert len(report.tracks) == 1
    assert report.tracks[0].startswith(name)
    assert report.measured_fps == pytest.approx(25, rel=0.25)
    assert report.keyframe_interval_seconds == pytest.approx(
        0.04 if codec == "mjpeg" else 0.4, rel=0.3
    )
    assert report.clock is not None
    assert report.clock.missing <= 1
    assert (report.clock.backwards, report.clock.repeated) == (0, 0)
    assert report.clock.rate_ratio == pytest.approx(1.0, abs=0.15)
    assert 0 < report.decode_ms < 50
    assert report.decode_errors == 0
    assert report.bits_per_second is not None
    assert report.bits_per_second > 1000


def test_recordings_and_http_cameras(clip: Path, tmp_path: Path) -> None:
    report = probe(str(clip), OPTIONS, 1.0)
    assert (report.live, report.codec, report.measured_fps) == (False, "h264", pytest.approx(25))
    assert report.frames == 26
    assert report.clock is not None
    assert report.clock.rate_ratio is None
    write_images(tmp_path, walking_box(5))
    report = probe(str(tmp_path), OPTIONS, 10.0)
    assert (report.codec, report.frames, report.measured_fps) == ("images", 5, pytest.approx(10))
    with http_camera(tmp_path, frames_per_second=10) as camera:
        report = probe(camera.address("live"), OPTIONS, 2.0)
    assert (report.live, report.codec, report.clock) == (True, "mjpeg", None)
    assert report.measured_fps == pytest.approx(9.5, rel=0.2)
    assert report.announced_fps is None, "no rate is announced: FFmpeg assumes 25"


def packets(stamps: list[float | None], keyframes: str = "") -> list[PacketRecord]:
    return [
        PacketRecord(stamp, keyframes[n : n + 1] == "k", 100, n / 10)
        for n, stamp in enumerate(stamps)
    ]


def test_clock_quality() -> None:
    good = clock_quality(packets([None, *(n / 10 for n in range(1, 30))]), live=True)
    assert (good.missing, good.backwards, good.repeated, good.gaps) == (1, 0, 0, 0)
    assert good.rate_ratio == pytest.approx(1.0)
    bad = clock_quality(packets([0.0, 0.1, 0.1, 0.2, None, 0.1, 0.3, 5.0, 5.1]), live=True)
    assert (bad.missing, bad.backwards, bad.repeated, bad.gaps) == (1, 1, 1, 1)
    assert clock_quality([], live=True).rate_ratio is None
    slow = clock_quality(packets([n / 20 for n in range(40)]), live=True)
    assert slow.rate_ratio == pytest.approx(0.5)


def test_rate_and_key_frames() -> None:
    assert rate([0.0]) is None
    assert rate([1.0, 1.0]) is None
    assert rate([0.0, 0.1, 0.2]) == pytest.approx(10)
    assert keyframe_interval_seconds(packets([0.0] * 4, "k---"), 0.1) is None
    assert keyframe_interval_seconds(packets([0.0] * 6, "k-k--k"), 0.1) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("main", "sub"),
    [
        ("rtsp://u:p@h/Streaming/Channels/101", "/Streaming/Channels/102"),
        ("rtsp://u:p@h/cam/realmonitor?channel=1&subtype=0", "?channel=1&subtype=1"),
        ("rtsp://u:p@h/h264Preview_01_main", "/h264Preview_01_sub"),
        ("rtsp://main:p@main/main", "rtsp://main:p@main/sub"),
        ("rtsp://u:p@h/somewhere", None),
    ],
)
def test_guesses_keep_host_and_credentials(main: str, sub: str | None) -> None:
    guesses = sub_stream_guesses(main)
    assert all(guess.rsplit("@")[0] == main.rsplit("@")[0] for guess in guesses)
    assert main not in guesses
    assert any(guess.endswith(sub) for guess in guesses) if sub else guesses == []


@pytest.fixture(scope="module")
def report(clip: Path) -> ProbeReport:
    return replace(probe(str(clip), OPTIONS, 1.0), live=True, transport="tcp", decode_ms=1.0)


def test_remarks(report: ProbeReport) -> None:
    assert remarks(report) == []
    assert "sub-stream" in remarks(replace(report, size_hw=(1080, 1920)))[0]
    assert "sub-stream" in remarks(replace(report, decode_ms=20.0))[0]
    assert "I-frame" in remarks(replace(report, keyframe_interval_seconds=10.0))[0]
    assert "expects 10" in remarks(replace(report, measured_fps=5.0, announced_fps=None))[0]
    assert "tcp" in remarks(replace(report, decode_errors=3, transport="udp"))[0]


def test_snippet_is_a_valid_configuration_without_the_password(
    report: ProbeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = snippet("rtsp://admin:s3cr@t@h:1554/x?a=1&password=s3crt", report)
    assert "s3cr" not in text
    assert "admin" not in text
    monkeypatch.setenv("VEDETTE_CAMERA_USER", "u")
    monkeypatch.setenv("VEDETTE_CAMERA_PASSWORD", "p")
    (tmp_path / "v.yaml").write_text(text)
    source = load_config(tmp_path / "v.yaml").cameras["NAME"].source
    assert source.url == "rtsp://u:p@h:1554/x?a=1&password=p"
    assert source.stall_timeout == 10


def test_the_command(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {name: Mount(lambda: VideoFile(clip, "live")) for name in ("main", "sub")}
    monkeypatch.setenv("VEDETTE_CAMERA_PASSWORD", "s3cr%40t")
    with RtspServer(mounts, authentication=RtspAuthentication("cam", PASSWORD)) as server:
        address = f"rtsp://cam:{{VEDETTE_CAMERA_PASSWORD}}@127.0.0.1:{server.port}/main"
        text = vedette("camera", "probe", address, "--seconds", 1, "--guess")
        as_json = vedette("camera", "probe", address, "--seconds", 1, "--json")
        wrong = vedette(
            "camera", "probe", server.address("main").replace("s3cr", "s3crets"), "--json"
        )
    assert text.returncode == 0, text.stderr
    assert "h264 64x48" in text.stdout
    assert f"rtsp://***@127.0.0.1:{server.port}/sub: h264" in text.stdout
    assert yaml.safe_load(text.stdout.partition("For the configuration:")[2])["cameras"]
    document = json.loads(as_json.stdout)
    assert document["report"]["codec"] == "h264"
    assert document["sub_streams"] == []
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["error"]["code"] == "unauthorised"
    assert "vedette: unauthorised: " in wrong.stderr
    for result in (text, as_json, wrong):
        assert "s3cr" not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
