"""HTTP and webcams as sources; what FFmpeg is allowed to open."""

import os
import time
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from http_camera import PASSWORD, http_camera
from makers import walking_box, write_video

from cameras import SourceError, SourceOptions, open_source
from cameras.address import is_live, kind_of

FAST = SourceOptions(pace="fast", stall_timeout_seconds=1.0)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mp4", 12)
    return tmp_path


def failure(address: str) -> SourceError:
    """Open and read until the error; no exception of its chain may contain the password."""
    with pytest.raises(SourceError) as caught, open_source(address, FAST) as source:
        list(source)
    shown = "".join(traceback.format_exception(caught.value))
    error: BaseException | None = caught.value
    while error is not None:
        shown += repr(error)
        error = error.__cause__ or error.__context__
    assert PASSWORD not in shown
    assert "s3cr" not in shown
    return caught.value


@pytest.mark.parametrize(
    ("address", "live"),
    [
        ("rtsp://h/x.mp4", True),
        ("http://h/video.cgi?resolution=1", True),
        ("https://h:8443/a.MP4?token=1", False),
        ("webcam:0", True),
        ("yard.mp4", False),
        ("synthetic:street", False),
    ],
)
def test_which_addresses_are_live(address: str, live: bool) -> None:
    assert is_live(address) is live


@pytest.mark.parametrize("address", ["webcam:", "webcam:x", "webcam:-1", "webcam:0;ls", "webcam:٣"])
def test_webcam_addresses_require_a_number(address: str) -> None:
    with pytest.raises(ValueError, match="webcam:0"):
        kind_of(address)


def test_missing_webcam() -> None:
    assert not os.path.exists("/dev/video999")
    error = failure("webcam:999")
    assert error.code == "not_found"
    assert "/dev/video999" in str(error)


def test_motion_jpeg_uses_the_time_of_arrival(recordings: Path) -> None:
    with (
        http_camera(recordings, frames_per_second=5) as camera,
        open_source(camera.address("live"), FAST) as source,
        closing(iter(source)) as pictures,
    ):
        taken = [next(pictures) for _ in range(8)]
    assert source.info.live
    assert source.info.codec == "mjpeg"
    # FFmpeg itself assumes 25 a second for any rate of the camera.
    assert taken[-1].pts_seconds - taken[0].pts_seconds > 0.5


def test_stall_and_end(recordings: Path) -> None:
    for fault, code in (("stalled", "timeout"), ("closing", "ended")):
        with http_camera(recordings) as camera:
            with open_source(camera.address("live"), FAST) as source:
                pictures = iter(source)
                for _ in range(5):
                    next(pictures)
                getattr(camera, fault).set()
                began = time.monotonic()
                with pytest.raises(SourceError) as caught:
                    list(pictures)
            assert caught.value.code == code
            assert time.monotonic() - began < 2.5
            assert not caught.value.permanent


def test_password(recordings: Path) -> None:
    with http_camera(recordings, protected=True) as camera:
        for path in ("live", "clip.mp4"):
            with open_source(camera.address(path), FAST) as source:
                assert source.info.size_hw == (48, 64)
            wrong = camera.address(path).replace("s3cr%40t", "s3crets")
            assert failure(wrong).code == "unauthorised"


def test_missing_and_refused(recordings: Path) -> None:
    with http_camera(recordings) as camera:
        for path in ("attic", "attic.mp4"):
            assert failure(camera.address(path)).code == "not_found"
    assert failure(camera.address("live")).code == "refused"
    error = failure(camera.address("clip.mp4"))
    assert (error.code, error.permanent) == ("refused", False)


def test_truncated_recording(recordings: Path) -> None:
    write_video(
        recordings / "cut.mp4",
        pictures=walking_box(40),
        container_options={"movflags": "faststart"},
    )
    whole = (recordings / "cut.mp4").read_bytes()
    (recordings / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with http_camera(recordings) as camera:
        assert failure(camera.address("cut.mp4")).code == "corrupt"


@pytest.mark.parametrize("suffix", ["m3u8", "ffconcat", "sdp", "mpd"])
@pytest.mark.parametrize("disguise", ["", ".mp4"])
def test_playlists_are_rejected(recordings: Path, suffix: str, disguise: str) -> None:
    """The response of a camera, or a file among the recordings, names another local file."""
    clip = recordings / "clip.mp4"
    lists = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2,\nfile://{clip}\n#EXT-X-ENDLIST\n",
        "ffconcat": "ffconcat version 1.0\nfile clip.mp4\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<Period><BaseURL>file://{clip}</BaseURL></Period></MPD>",
    }
    name = f"list.{suffix}{disguise}"
    (recordings / name).write_text(lists[suffix])
    assert failure(str(recordings / name)).code in ("codec", "corrupt")
    with http_camera(recordings) as camera:
        assert failure(camera.address(name)).code in ("codec", "corrupt")


@pytest.mark.parametrize("scheme", ["file", "concat", "subfile,,start,0,end,9,,", "rtsp", "ftp"])
def test_redirects_are_limited_to_http(recordings: Path, scheme: str) -> None:
    with http_camera(recordings) as camera:
        camera.redirects["/moved.mp4"] = f"{scheme}:{recordings / 'clip.mp4'}"
        camera.redirects["/round.mp4"] = "/round.mp4"
        camera.redirects["/well.mp4"] = "/clip.mp4"
        assert failure(camera.address("moved.mp4")).code in ("codec", "refused", "not_found")
        assert failure(camera.address("round.mp4")).code in ("codec", "refused")
        with open_source(camera.address("well.mp4"), FAST) as source:
            assert sum(1 for _ in source) == 12


def test_file_names_are_never_parsed_as_protocols(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings)
    (recordings / "concat:clip.mp4").write_bytes(b"no video")
    assert failure("concat:clip.mp4").code == "corrupt"
    assert failure("subfile,,start,0,end,0,,:clip.mp4").code == "not_found"
