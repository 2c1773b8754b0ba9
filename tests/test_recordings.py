"""Time stamps, frame counts, tracks and display properties of containers."""

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from http_camera import http_camera
from makers import walking_box, write_images, write_video

from benchmarks.normal_video import normal_videos
from cameras import Picture, SourceError, SourceInfo, SourceOptions, open_source
from cameras.packet_ring import PacketRing, PacketSource
from cameras.probe import probe
from cameras.remux import write_mp4
from pipeline.training.scenes import load_scenes

FAST = SourceOptions(pace="fast")
HW = (96, 128)
RATE = 25


def read(path: Path) -> tuple[SourceInfo, list[Picture]]:
    with open_source(str(path), FAST) as source:
        return source.info, list(source)


def seconds_of(path: Path) -> list[float]:
    return [picture.pts_seconds for picture in read(path)[1]]


def copy(
    source: Path,
    target: Path,
    change: Callable[[int, av.Packet], av.Packet | None],
    options: dict[str, str] | None = None,
) -> None:
    """Copy packets without re-encoding; `change` may modify or drop a packet."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options or {}) as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        packets = (packet for packet in given.demux(video=0) if packet.dts is not None)
        for number, packet in enumerate(packets):
            changed = change(number, packet)
            if changed is not None:
                changed.stream = stream
                out.mux_one(changed)


# ---- time


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_gaps_in_time_are_preserved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"gap.{suffix}"
    shown = [n / RATE + (60 if n >= 30 else 0) for n in range(60)]
    write_video(path, 60, codec="libx264", options={"bf": "0"}, stamps=shown.__getitem__)
    assert seconds_of(path) == pytest.approx(shown, abs=0.002)


def test_stray_time_stamps_of_a_file(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mkv", tmp_path / "stray.mkv"
    write_video(whole, 60, codec="libx264", options={"bf": "0"})

    def stray(number: int, packet: av.Packet) -> av.Packet:
        if number in (20, 21, 40):
            packet.pts = (packet.pts or 0) + 9_000_000
        return packet

    copy(whole, path, stray)
    assert seconds_of(path) == pytest.approx(seconds_of(whole), abs=0.05)


def test_recording_cut_at_its_beginning_starts_at_its_first_key_frame(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    write_video(
        whole,
        pictures=walking_box(300, HW),
        codec="libx264",
        options={"g": "150", "bf": "0", "sc_threshold": "0"},
    )
    with av.open(str(whole)) as container:
        places = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    path = tmp_path / "cut.ts"
    path.write_bytes(whole.read_bytes()[places[20] // 188 * 188 :])
    good = read(whole)[1]
    pictures = read(path)[1]
    assert len(pictures) == 150
    assert np.array_equal(pictures[0].pixels, good[150].pixels)
    assert pictures[0].decode_errors == 0, "frames before the first key frame are not damaged"
    assert pictures[0].pts_seconds == pytest.approx(130 / RATE, abs=0.1), "as players count"


class _Paced(BaseHTTPRequestHandler):
    """Sends a file evenly over two seconds, as a live stream joined in the middle."""

    content = b""

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        size = len(self.content) // 40 + 1
        with suppress(ConnectionError):
            for place in range(0, len(self.content), size):
                self.wfile.write(self.content[place : place + size])
                time.sleep(0.05)


def test_first_key_frame_of_a_live_stream_may_take_longer_than_the_stall_time_out(
    tmp_path: Path,
) -> None:
    """It arrives after 1.5 s, later than the stall time-out."""
    whole = tmp_path / "whole.ts"
    options = {"g": "75", "bf": "0", "sc_threshold": "0"}
    write_video(whole, pictures=noisy(150), codec="libx264", options=options)
    with av.open(str(whole)) as container:
        places = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    _Paced.content = whole.read_bytes()[places[5] // 188 * 188 : places[98] // 188 * 188]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Paced) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/live"
        try:
            with open_source(address, SourceOptions(stall_timeout_seconds=1.2)) as source:
                assert source.info.live
                assert next(iter(source)).pixels.shape == (240, 320, 3)
        finally:
            server.shutdown()
            thread.join()


def test_recording_without_any_key_frame(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    write_video(whole, 60, codec="libx264", options={"g": "150", "bf": "0"})
    with av.open(str(whole)) as container:
        places = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    path = tmp_path / "cut.ts"
    path.write_bytes(whole.read_bytes()[places[20] // 188 * 188 :])
    with pytest.raises(SourceError) as caught:
        read(path)
    assert caught.value.code in ("codec", "corrupt")


def test_edit_lists_hide_frames(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "trimmed.mp4"
    write_video(
        whole,
        pictures=walking_box(120, HW),
        codec="libx264",
        options={"g": "300", "bf": "2"},
    )
    hidden = Fraction(50, RATE)

    def earlier(_: int, packet: av.Packet) -> av.Packet:
        unit = packet.time_base
        assert unit is not None
        packet.pts = (packet.pts or 0) - int(hidden / unit)
        packet.dts = (packet.dts or 0) - int(hidden / unit)
        return packet

    copy(whole, path, earlier)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 120, "the container counts them all"
    info, pictures = read(path)
    assert info.frame_count == len(pictures) == 70
    assert pictures[0].pts_seconds == pytest.approx(0.0, abs=0.05)
    assert np.array_equal(pictures[0].pixels, read(whole)[1][50].pixels)
    assert pictures[-1].decode_errors == 0


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_frame_count_that_is_too_high_is_no_damage(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"yard.{suffix}"
    write_video(path, 40)
    content = bytearray(path.read_bytes())
    if suffix == "avi":  # the main header, then that of the stream
        for mark, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
            place = content.find(mark) + offset
            content[place : place + 4] = struct.pack("<I", 4000)
    else:  # the duration of the movie, as editors leave it
        place = content.find(b"mvhd") + 4 + 16
        content[place : place + 4] = struct.pack(">I", 10 * 60 * 1000)
    path.write_bytes(content)
    assert len(read(path)[1]) == 40


# ---- tracks


def put_together(path: Path, *sources: Path) -> None:
    """Copy the video tracks of several files into one, in this order."""
    given = [av.open(str(source)) for source in sources]
    with av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(one.streams.video[0]) for one in given]
        for one, stream in zip(given, streams, strict=True):
            for packet in one.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux_one(packet)
    for one in given:
        one.close()


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_main_video_is_selected_instead_of_cover_art(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    video, cover, path = tmp_path / "f.mkv", tmp_path / "c.mkv", tmp_path / f"both.{suffix}"
    write_video(video, 40, codec="libx264", options={"bf": "0"})
    pictures = [np.full((*HW, 3), 200, np.uint8)]
    write_video(cover, pictures=pictures, codec=codec, options={"bf": "0"})
    put_together(path, cover, video)
    info, taken = read(path)
    assert (info.codec, info.size_hw, len(taken)) == ("h264", (48, 64), 40)


def test_first_of_two_video_tracks_is_selected(tmp_path: Path) -> None:
    main, sub, path = tmp_path / "m.mkv", tmp_path / "s.mkv", tmp_path / "both.mkv"
    write_video(main, pictures=walking_box(40, HW), codec="libx264", options={"bf": "0"})
    write_video(sub, 40, codec="libx264", options={"bf": "0"})
    put_together(path, main, sub)
    assert read(path)[0].size_hw == HW


# ---- display


MATRICES: dict[str, tuple[tuple[int, int, int, int], Callable[[np.ndarray], np.ndarray]]] = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "upside down": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "counterclockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    "no quarter": ((1, 1, -1, 1), lambda p: p),
}


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write the matrix of the track's header (version 0)."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 4 + 40
    one = 1 << 16
    content[place : place + 36] = struct.pack(
        ">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)


@pytest.mark.parametrize("way", MATRICES)
def test_frames_are_upright(tmp_path: Path, way: str) -> None:
    path = tmp_path / "phone.mp4"
    write_video(path, pictures=walking_box(5, HW))
    plain = [picture.pixels for picture in read(path)[1]]
    numbers, turn = MATRICES[way]
    set_matrix(path, *numbers)
    info, pictures = read(path)
    for picture, before in zip(pictures, plain, strict=True):
        assert np.array_equal(picture.pixels, turn(before))
        assert picture.pixels.flags.c_contiguous
        assert info.size_hw == picture.pixels.shape[:2]
    assert probe(str(path), FAST, 0.1).size_hw == info.size_hw


@pytest.mark.parametrize("way", MATRICES)
def test_event_clips_are_turned_as_their_source_is(tmp_path: Path, way: str) -> None:
    path, clip = tmp_path / "phone.mp4", tmp_path / "clip.mp4"
    write_video(path, pictures=walking_box(5, HW))
    set_matrix(path, *MATRICES[way][0])
    ring = PacketRing(60, 2**20)
    source = open_source(str(path), FAST)
    assert isinstance(source, PacketSource)
    source.on_packet = ring.start_stream()
    with source:
        shown = list(source)
        for picture in shown:
            ring.mark(1, picture)
    excerpt = ring.cut(1, 0.0, 1.0)
    assert excerpt is not None
    write_mp4(excerpt, clip)
    info, pictures = read(clip)
    assert len(pictures) == len(shown) == 5
    assert info.size_hw == shown[0].pixels.shape[:2]
    for picture, before in zip(pictures, shown, strict=True):
        assert np.array_equal(picture.pixels, before.pixels)


@pytest.mark.parametrize(
    ("aspect", "shown_hw"),
    [
        (Fraction(1), (96, 128)),
        (Fraction(16, 11), (96, 186)),
        (Fraction(2), (96, 256)),
        (Fraction(1, 2), (192, 128)),
        (Fraction(1000, 1001), (96, 128)),
        (Fraction(40), (96, 128)),
    ],
)
@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_frames_have_square_pixels(
    tmp_path: Path, suffix: str, aspect: Fraction, shown_hw: tuple[int, int]
) -> None:
    path = tmp_path / f"recorder.{suffix}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = *HW, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for picture in walking_box(5, HW):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    info, pictures = read(path)
    assert info.size_hw == shown_hw
    assert {picture.pixels.shape for picture in pictures} == {(*shown_hw, 3)}


# ---- names


NAMES = [
    "Screen Recording 1.23.45\u202fPM.mp4".encode(),
    "Kamera\u00a01.mp4".encode(),
    "\u200fחצר.mp4".encode(),
    "庭\u3000 100% #1?.mp4".encode(),
    "é e\u0301 👩\u200d🚒.mp4".encode(),
    b"caf\xe9.mp4",
    b"-i.mp4",
    b"a%03d:b.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_file_names_of_other_systems(tmp_path: Path, name: bytes) -> None:
    plain = tmp_path / "plain.mp4"
    write_video(plain, 12)
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_bytes(plain.read_bytes())
    assert len(read(path)[1]) == 12
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "camera", "probe", os.fsencode(path)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"mpeg4" in done.stdout


@pytest.mark.parametrize("name", ["a\nb.mp4", "a\x1b[2J.mp4", "a\x07.mp4"])
def test_names_with_terminal_control_characters_are_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        open_source(name, FAST)


# ---- hidden files


def test_hidden_files_are_skipped_everywhere(tmp_path: Path) -> None:
    for scene in ("yard", "hall"):
        (tmp_path / scene).mkdir()
        write_video(tmp_path / scene / "01.mp4", 12)
    write_images(tmp_path / "gate", walking_box(12))
    junk = os.urandom(120)
    for name in ("yard/._01.mp4", "gate/._001.png", ".hidden.mp4", "._yard", "gate/Thumbs.db"):
        (tmp_path / name).write_bytes(junk)
    for name in ("__MACOSX/yard", ".Trashes/old", "@eaDir/01.mp4", "yard/@eaDir"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "01.mp4").write_bytes(junk)
        (tmp_path / name / "001.jpg").write_bytes(junk)
    clips = load_scenes(tmp_path, height=48)
    assert {name: [len(clip.frames) for clip in scene] for name, scene in clips.items()} == {
        "gate": [12],
        "hall": [5],
        "yard": [5],
    }
    videos = normal_videos([tmp_path / "yard", tmp_path / "gate"])
    assert videos["yard"] == [str(tmp_path / "yard/01.mp4")]
    assert videos["gate"] == [str(tmp_path / "gate")]
    assert len(read(tmp_path / "gate")[1]) == 12


# ---- web servers


def test_web_server_without_range_requests(tmp_path: Path) -> None:
    with http_camera(tmp_path) as camera:
        camera.ranges = False
        write_video(tmp_path / "last.mp4", pictures=noisy(120), options={"b": "50000000"})
        write_video(tmp_path / "first.mp4", 12, container_options={"movflags": "faststart"})
        with open_source(camera.address("first.mp4"), FAST) as source:
            assert len(list(source)) == 12
        with (
            pytest.raises(SourceError, match="range requests") as caught,
            open_source(camera.address("last.mp4"), FAST) as source,
        ):
            list(source)
    assert "index" in str(caught.value)
    assert caught.value.permanent


def noisy(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(p.astype(int) + rng.integers(0, 90, p.shape), 0, 255).astype(np.uint8)
        for p in walking_box(count, (240, 320))
    ]


def test_times_increase_strictly(tmp_path: Path) -> None:
    path = tmp_path / "yard.mkv"
    write_video(path, 60, codec="libx264", stamps=lambda n: (n // 2) / 10 + n % 2 * 0.001)
    times = seconds_of(path)
    assert all(early < late for early, late in pairwise(times))
