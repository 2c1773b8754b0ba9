"""`vedette camera discover`: what it says, and that a camera is watched as it says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import walking_box, write_video
from onvif_camera import PASSWORD, USER, OnvifCamera, Stream, answering, onvif_camera, two_streams
from test_cli import vedette

from cameras import SourceOptions
from cameras.onvif import Device, Profile
from cameras.onvif.replies import read_stream
from cameras.probe import probe
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.video_file import VideoFile
from pipeline.cli.discover import discover
from pipeline.cli.discover_advice import configuration, remarks, roles, to_watch
from pipeline.config import load_config

PLACEHOLDERS = ("{VEDETTE_TEST_USER}", "{VEDETTE_TEST_PASSWORD}")
SECONDS = 3.0


@pytest.fixture
def camera() -> Iterator[OnvifCamera]:
    with onvif_camera(two_streams()) as camera:
        yield camera


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_TEST_USER", quote(USER, safe=""))
    monkeypatch.setenv("VEDETTE_TEST_PASSWORD", quote(PASSWORD, safe=""))


@pytest.mark.usefixtures("environment")
def test_a_discovered_camera_is_watched_as_the_configuration_says(
    camera: OnvifCamera, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "clip.mp4", pictures=walking_box(50, (240, 320)), codec="libx264")
    mounts = {"sub": Mount(lambda: VideoFile(tmp_path / "clip.mp4", "live"))}
    with (
        RtspServer(mounts, authentication=RtspAuthentication(USER, PASSWORD)) as server,
        answering(camera),
    ):
        camera.streams = {
            "big": Stream(f"rtsp://127.0.0.1:{server.port}/main", size_hw=(1080, 1920)),
            "small": Stream(server.address("sub"), size_hw=(240, 320)),
            "tiny": Stream(f"rtsp://127.0.0.1:{server.port}/tiny", size_hw=(120, 160)),
        }
        discover(*PLACEHOLDERS, 1.0, "127.0.0.1", None, False)
        printed = capsys.readouterr().out
        (tmp_path / "v.yaml").write_text(printed.partition("For the configuration:\n")[2])
        ((name, settings),) = load_config(tmp_path / "v.yaml").cameras.items()
        report = probe(settings.source.url, SourceOptions(stall_timeout_seconds=5.0), 1.0)
    assert (report.codec, report.size_hw) == ("h264", (240, 320))
    assert "s3cr" not in printed
    assert name == "t_r"
    for part in (
        "camera         Tür €",
        f"service        http://{camera.host}/onvif/device_service",
        "made by        Ünlü & Co M-1",
        "main           h264 1920x1080, at most 25 frames/s (big)",
        f"rtsp://127.0.0.1:{server.port}/sub",
        f'url: "rtsp://{":".join(PLACEHOLDERS)}@127.0.0.1:{server.port}/sub"',
    ):
        assert part in printed
    assert printed.count("sub-stream") == 2


@pytest.mark.usefixtures("environment")
def test_json_without_secrets(camera: OnvifCamera, capsys: pytest.CaptureFixture[str]) -> None:
    camera.streams = {"a": Stream("rtsp://u:s3cr1@127.0.0.1/x?password=s3cr2&b=1", source="1")}
    camera.streams["b"] = Stream("rtsp://127.0.0.1/y", source="2")
    discover(*PLACEHOLDERS, SECONDS, None, camera.host, True)
    printed = capsys.readouterr().out
    assert "s3cr" not in printed
    document = json.loads(printed)
    (device,) = document["devices"]
    assert "contains a password" in device["remarks"][0]
    assert [profile["role"] for profile in device["profiles"]] == ["main", "main"]
    assert device["profiles"][0]["address"] == "rtsp://127.0.0.1/x?password=***&b=1"
    who = ":".join(PLACEHOLDERS)
    assert document["configuration"] == (
        "cameras:\n"
        f'  t_r:\n    source:\n      url: "rtsp://{who}@127.0.0.1/x?password={PLACEHOLDERS[1]}&b=1"\n'
        f'  t_r_2:\n    source:\n      url: "rtsp://{who}@127.0.0.1/y"\n'
    )


def test_the_command(camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_TEST_PASSWORD", quote(PASSWORD, safe=""))
    asking = ("camera", "discover", "--host", camera.host, "--user", USER, "--password")
    good = vedette(*asking, PLACEHOLDERS[1])
    assert (good.returncode, good.stderr) == (0, "")
    assert f"rtsp://cam%261:{PLACEHOLDERS[1]}@127.0.0.1:1/sub" in good.stdout
    monkeypatch.setenv("VEDETTE_TEST_PASSWORD", "s3crets")
    wrong = vedette(*asking, PLACEHOLDERS[1])
    assert wrong.returncode == 1
    assert "lock out" in wrong.stdout
    plain = vedette(*asking, PASSWORD)
    unset = vedette(*asking, "{VEDETTE_UNSET}")
    assert (plain.returncode, unset.returncode) == (1, 1)
    assert "password: want {VEDETTE_…}" in plain.stderr
    assert "{VEDETTE_UNSET} has no value" in unset.stderr
    half = vedette("camera", "discover", "--user", "x")
    both = vedette("camera", "discover", "--host", "h", "--interface", "127.0.0.1")
    assert (half.returncode, both.returncode) == (2, 2)
    for result in (good, wrong, plain, unset, half, both):
        assert "s3cr" not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


def test_an_empty_network_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(), pytest.raises(SystemExit) as ended:
        discover(None, None, 0.5, "127.0.0.1", None, True)
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert json.loads(printed.out) == {"devices": [], "configuration": ""}
    assert "no camera answered within 0.5 s" in printed.err


@settings(max_examples=200)
@given(
    st.one_of(st.text(), st.sampled_from(("on", "Null", "7", "0x", "1e5"))), st.text(), st.text()
)
def test_any_name_makes_a_configuration(name: str, other: str, path: str) -> None:
    reply = Element("GetStreamUriResponse")
    reply.append(uri := Element("Uri"))
    uri.text = "rtsp://u:s3cr@10.0.0.5/" + path
    address, problem = read_stream(reply, ("10.0.0.5",))
    stream = Profile("a", "", "", "", None, None, address, problem)
    devices = [Device("http://10.0.0.5/", one, profiles=[stream]) for one in (name, other)]
    text = configuration(devices, ("{VEDETTE_U}", "{VEDETTE_P}"))
    if problem or not address:
        assert text == ""
        return
    cameras = yaml.safe_load(text)["cameras"]
    assert len(cameras) == 2
    for key, camera in cameras.items():
        assert re.fullmatch("[A-Za-z0-9_-]{1,64}", key)
        url = camera["source"]["url"]
        assert url.startswith("rtsp://{VEDETTE_U}:{VEDETTE_P}@10.0.0.5/")
        assert set(re.findall(r"\{(.*?)\}", url)) == {"VEDETTE_U", "VEDETTE_P"}


def profile(
    token: str, size_hw: tuple[int, int] | None, fps: float | None = None, **other: str
) -> Profile:
    settings = {"address": "rtsp://10.0.0.5/" + token, "source": "1", "problem": "", **other}
    source, address, problem = (settings[key] for key in ("source", "address", "problem"))
    return Profile(token, token, source, "h264", size_hw, fps, address, problem)


def test_which_stream_is_watched() -> None:
    main, sub, tiny = profile("m", (1080, 1920)), profile("s", (360, 640)), profile("t", (120, 160))
    assert to_watch([main, sub, tiny]) is sub
    assert to_watch([tiny, main]) is main
    assert to_watch([tiny, profile("u", None)]) is tiny
    assert to_watch([profile("u", None)]) is not None
    slow = profile("s", (360, 640), 5.0)
    assert to_watch([main, slow]) is main
    assert to_watch([slow, tiny]) is slow
    assert to_watch([profile("s", (360, 640), problem="elsewhere"), main]) is main
    assert to_watch([profile("s", (360, 640), address="")]) is None
    assert to_watch([]) is None


def test_roles_are_of_each_source() -> None:
    profiles = [
        profile("a", (240, 320)), profile("b", (480, 640)), profile("c", (240, 320), source="2"),
        profile("d", (480, 640)),
    ]  # fmt: skip
    assert list(roles(profiles).values()) == ["sub-stream", "main", "main", "sub-stream"]


def test_remarks() -> None:
    assert remarks(Device("http://a", clock_ahead_seconds=30.0)) == []
    (behind,) = remarks(Device("http://a", clock_ahead_seconds=-3600.4))
    assert "3600 s behind" in behind
    (login,) = remarks(Device("http://a", needs_login=True))
    assert "--password" in login
    (printed,) = remarks(
        Device("http://a", profiles=[profile("x", None, problem="it is elsewhere")])
    )
    assert printed == "x: it is elsewhere."
