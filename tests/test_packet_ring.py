"""Clips of real streams, verified by decoding; limits of the ring."""

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from makers import walking_box, write_images, write_video

from cameras.frame_directory import FrameDirectory
from cameras.packet_ring import EncodedPacket, Excerpt, PacketRing, PacketSource
from cameras.remux import RemuxError, in_order, write_mp4
from cameras.rtsp import RtspStream
from cameras.simulation import open_synthetic
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.simulation.rtsp_server.requests import Codec
from cameras.source import Picture, Source, SourceOptions
from cameras.video_file import VideoFile

MEBIBYTE = 2**20


def fill(ring: PacketRing, source: Source, connection: int, until_seconds: float = 1e9) -> None:
    """Fill a ring as the ingest worker does."""
    assert isinstance(source, PacketSource)
    source.on_packet = ring.start_stream()
    with source, closing(iter(source)) as pictures:
        for picture in pictures:
            ring.mark(connection, picture)
            if picture.pts_seconds >= until_seconds:
                return


def decoded(path: Path) -> tuple[str, list[float], list[np.ndarray]]:
    """Codec, times and RGB frames of a clip; fails for damaged packets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert container.format.name.startswith("mov,mp4")
        frames = [frame for packet in container.demux(stream) for frame in packet.decode()]
        times = [frame.time for frame in frames]
        assert None not in times
        codec = stream.codec_context.codec.canonical_name
        return codec, [float(t or 0) for t in times], [f.to_ndarray(format="rgb24") for f in frames]


def assert_shows(pictures: Sequence[np.ndarray], first: int, count: int) -> None:
    """Check that these are the frames of the walking box from `first` on."""
    wanted = list(walking_box(first + count))[first:]
    assert len(pictures) == count
    for actual, expected in zip(pictures, wanted, strict=True):
        assert np.abs(actual.astype(int) - expected).mean() < 12


@pytest.mark.parametrize(
    ("suffix", "codec", "name", "key_distance"),
    [
        ("mp4", "mpeg4", "mpeg4", 12),
        ("mp4", "libx264", "h264", 250),
        ("ts", "libx264", "h264", 250),
        ("mkv", "libx264", "h264", 250),
        ("avi", "mjpeg", "mjpeg", 1),
    ],
)
def test_excerpt_of_a_file(
    tmp_path: Path, suffix: str, codec: str, name: str, key_distance: int
) -> None:
    """Also with reordered frames and arbitrary start times."""
    recording = tmp_path / f"recording.{suffix}"
    write_video(recording, 75, codec=codec)
    ring = PacketRing(60, MEBIBYTE)
    fill(ring, VideoFile(recording, "fast"), 7)
    excerpt = ring.cut(7, 1.0, 2.0)
    assert excerpt is not None
    write_mp4(excerpt, tmp_path / "deep" / "clip.mp4")
    kind, times, pictures = decoded(tmp_path / "deep" / "clip.mp4")
    assert kind == name
    assert np.diff(times) == pytest.approx(0.04, abs=0.001)
    first = 25 // key_distance * key_distance
    # Plus frames decoded before the last one, but displayed after it.
    assert 51 - first <= len(pictures) <= 51 - first + 4
    assert_shows(pictures, first, len(pictures))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("codec", "name"), [("h264", "h264"), ("h265", "hevc"), ("mjpeg", "mjpeg")]
)
def test_excerpt_of_a_camera(tmp_path: Path, codec: Codec, name: str, transport: str) -> None:
    recording = tmp_path / "recording.mp4"
    write_video(recording, 50)
    mount = Mount(lambda: VideoFile(recording, "live"), codec, keyframe_seconds=0.2)
    ring = PacketRing(60, MEBIBYTE)
    with RtspServer({"door": mount}) as server:
        address = server.address("door")
        fill(ring, RtspStream(address, transport, 5.0), 9, until_seconds=1.2)  # type: ignore[arg-type]
    excerpt = ring.cut(9, 0.5, 1.0)
    assert excerpt is not None
    assert excerpt.packets[0].is_keyframe
    write_mp4(excerpt, tmp_path / "clip.mp4")
    kind, times, pictures = decoded(tmp_path / "clip.mp4")
    assert kind == name
    assert 0.5 <= times[-1] - times[0] <= 0.75
    assert np.diff(times) == pytest.approx(0.04, abs=0.002)
    shown = list(walking_box(50))
    for picture in pictures:
        assert min(np.abs(picture.astype(int) - one).mean() for one in shown) < 12


def test_excerpt_from_the_first_packet_of_a_camera(tmp_path: Path) -> None:
    """The first packet has no time stamp."""
    recording = tmp_path / "recording.mp4"
    write_video(recording, 50)
    ring = PacketRing(60, MEBIBYTE)
    with RtspServer({"door": Mount(lambda: VideoFile(recording, "live"))}) as server:
        fill(ring, RtspStream(server.address("door"), "tcp", 5.0), 9, until_seconds=0.4)
    excerpt = ring.cut(9, -5.0, 0.2)
    assert excerpt is not None
    assert excerpt.packets[0].dts is None, "else this test checks nothing"
    write_mp4(excerpt, tmp_path / "clip.mp4")
    _, times, _ = decoded(tmp_path / "clip.mp4")
    assert times[0] == 0.0
    assert np.diff(times) == pytest.approx(0.04, abs=0.002)


def test_connections_are_separate(tmp_path: Path) -> None:
    """Passes of a looping file have separate packets."""
    ring = PacketRing(60, MEBIBYTE)
    for connection, codec in ((1, "mpeg4"), (2, "mjpeg")):
        recording = tmp_path / f"{codec}.avi"
        write_video(recording, 50, codec=codec)
        fill(ring, VideoFile(recording, "fast"), connection)
    assert ring.newest == (2, pytest.approx(1.96))
    for connection, codec in ((1, "mpeg4"), (2, "mjpeg")):
        excerpt = ring.cut(connection, 1.0, 9.0)
        assert excerpt is not None
        write_mp4(excerpt, tmp_path / f"{connection}.mp4")
        kind, _, pictures = decoded(tmp_path / f"{connection}.mp4")
        assert kind == codec
        assert_shows(pictures, 50 - len(pictures), len(pictures))
    assert ring.cut(3, 0.0, 9.0) is None
    assert ring.cut(1, 5.0, 9.0) is None


def test_ring_is_limited_by_time_and_bytes(tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp4"
    write_video(recording, 300, codec="mpeg4")  # a key frame every 12 frames
    ring = PacketRing(2.0, MEBIBYTE)
    fill(ring, VideoFile(recording, "fast"), 1)
    excerpt = ring.cut(1, 0.0, 99.0)
    assert excerpt is not None
    first, last = excerpt.packets[0], excerpt.packets[-1]
    assert first.is_keyframe
    assert 2.0 <= last.at_seconds - first.at_seconds <= 2.0 + 0.52
    assert ring.size_bytes == sum(len(packet.data) for packet in excerpt.packets)

    small = PacketRing(60.0, 3000)
    fill(small, VideoFile(recording, "fast"), 1)
    assert small.size_bytes <= 3000
    excerpt = small.cut(1, 0.0, 99.0)
    assert excerpt is not None
    assert excerpt.packets[0].is_keyframe
    assert excerpt.packets[-1].at_seconds == pytest.approx(299 / 25)

    tiny = PacketRing(60.0, 100)  # not even a key frame fits
    fill(tiny, VideoFile(recording, "fast"), 1)
    assert tiny.size_bytes == 0
    assert tiny.cut(1, 0.0, 99.0) is None


def test_cut_while_filling(tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp4"
    write_video(recording, 300)
    ring, failures = PacketRing(1.0, MEBIBYTE), []
    over = threading.Event()

    def cut() -> None:
        while not over.is_set():
            excerpt = ring.cut(1, 0.0, 99.0)
            if excerpt is not None:
                times = [packet.at_seconds for packet in excerpt.packets]
                if not excerpt.packets[0].is_keyframe or times != sorted(times):
                    failures.append(times)

    thread = threading.Thread(target=cut)
    thread.start()
    fill(ring, VideoFile(recording, "fast"), 1)
    over.set()
    thread.join()
    assert failures == []


def test_sources_without_packets(tmp_path: Path) -> None:
    write_images(tmp_path / "images", walking_box(3))
    folder = FrameDirectory(tmp_path / "images", 10.0, "fast")
    street = open_synthetic("synthetic:street?seed=1", SourceOptions())
    assert not isinstance(folder, PacketSource)
    assert not isinstance(street, PacketSource)
    ring = PacketRing(1.0, MEBIBYTE)
    ring.mark(1, Picture(0.0, 0.0, np.zeros((2, 2, 3), np.uint8)))
    assert not ring.has_packets
    assert ring.cut(1, 0.0, 1.0) is None


def test_codec_not_supported_by_mp4(tmp_path: Path) -> None:
    recording = tmp_path / "recording.wmv"
    write_video(recording, 20, codec="wmv2")
    ring = PacketRing(60, MEBIBYTE)
    fill(ring, VideoFile(recording, "fast"), 1)
    excerpt = ring.cut(1, 0.0, 9.0)
    assert excerpt is not None
    with pytest.raises(RemuxError, match=r"cannot be written as MP4 .*wmv2"):
        write_mp4(excerpt, tmp_path / "clip" / "clip.mp4")
    assert [*(tmp_path / "clip").iterdir()] == []


def test_failed_clip_leaves_no_file(tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp4"
    write_video(recording, 20)
    ring = PacketRing(60, MEBIBYTE)
    fill(ring, VideoFile(recording, "fast"), 1)
    excerpt = ring.cut(1, 0.0, 9.0)
    assert excerpt is not None
    (tmp_path / "clip.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_mp4(excerpt, tmp_path / "clip.mp4")
    damaged = Excerpt(b"nonsense", excerpt.time_base, excerpt.packets)
    with pytest.raises(RemuxError):
        write_mp4(damaged, tmp_path / "other.mp4")
    assert not (tmp_path / "other.mp4").exists()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([(100, 100), (140, 140), (180, 180)], [(0, 0), (40, 40), (80, 80)]),
        ([(None, None), (40, 40), (80, 80)], [(0, 0), (40, 40), (80, 80)]),
        ([(0, None), (80, None), (40, 0)], [(80, 0), (160, 40), (120, 80)]),
        ([(0, 0), (40, 40), (5, 5), (45, 45)], [(0, 0), (40, 40), (80, 80), (120, 120)]),
        ([(0, 0), (90, 90), (90_000, 90_000)], [(0, 0), (90, 90), (180, 180)]),
        ([(80, 0), (200, 40), (120, 80)], [(80, 0), (200, 40), (120, 80)]),
    ],
)
def test_times_increase_for_any_input(
    given: list[tuple[int | None, int | None]], wanted: list[tuple[int, int]]
) -> None:
    packets = [EncodedPacket(b"x", pts, dts, 0, True, 0.0) for pts, dts in given]
    ordered = [*in_order(packets, Fraction(1, 1000))]
    assert [(packet.pts, packet.dts) for packet in ordered] == wanted
    assert all((a.dts or 0) < (b.dts or 0) for a, b in pairwise(ordered))
    assert replace(ordered[0], pts=0, dts=0) == replace(packets[0], pts=0, dts=0)
