"""Damaged frames are counted and never yielded, for every kind of source."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

import av
import cv2
import numpy as np
import pytest
from http_camera import http_camera
from makers import walking_box, write_images, write_video

from cameras import Picture, SourceError, SourceInfo, SourceOptions, open_source
from cameras.h264_numbers import FrameNumberTracker
from cameras.pacing import Pacer
from cameras.packet_decoder import DamageSource
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.simulation.rtsp_server.requests import Codec

FAST = SourceOptions(pace="fast")
TS_BYTES = 188
GOP = 10
FRAMES = 40
KEYFRAME, BETWEEN = 20, 24
"""Positions of two reference frames: the third key frame, and one between key frames."""
TS_CODECS = {
    "libx264": {"g": str(GOP), "bf": "0", "sc_threshold": "0"},
    "libx264 reordered": {"g": str(GOP), "bf": "2", "sc_threshold": "0"},
    "libx265": {"x265-params": f"keyint={GOP}:min-keyint={GOP}:bframes=0:log-level=none"},
    "mpeg2video": {"g": str(GOP)},
    "mpeg4": {"g": str(GOP)},
}


def busy(count: int) -> list[np.ndarray]:
    """Frames that need several packets each."""
    rng = np.random.default_rng(0)
    return [
        np.clip(picture + rng.integers(0, 40, picture.shape), 0, 255).astype(np.uint8)
        for picture in walking_box(count, (96, 128))
    ]


def recording(path: Path, codec: str) -> None:
    name = codec.split()[0]
    write_video(path, pictures=busy(FRAMES), codec=name, options=TS_CODECS[codec])


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """Position, size in bytes, and whether it is a key frame."""
    with av.open(str(path)) as container:
        found = [p for p in container.demux(video=0) if p.size]
        return [(p.pos or 0, p.size, p.is_keyframe) for p in found]


def lose(path: Path, number: int, whole: bool) -> None:
    """Remove one packet of 188 bytes from the middle of a frame, or all of them."""
    content = path.read_bytes()
    places = [place for place, *_ in packets(path)]
    blocks = [content[n : n + TS_BYTES] for n in range(0, len(content), TS_BYTES)]
    first, last = (place // TS_BYTES for place in places[number : number + 2])
    video = [n for n in range(first, last) if (blocks[n][1] & 31, blocks[n][2]) == (1, 0)]
    gone = set(video if whole else [video[len(video) // 2]])
    path.write_bytes(b"".join(block for n, block in enumerate(blocks) if n not in gone))


def frames_of(path: Path, options: SourceOptions = FAST) -> tuple[dict[float, np.ndarray], int]:
    """Frames by their time, and the number reported as damaged."""
    reported: list[int] = []
    source = open_source(str(path), options)
    assert isinstance(source, DamageSource)
    source.on_damaged = reported.append
    with source:
        taken = list(source)
    assert taken[-1].decode_errors <= sum(reported)
    return {round(one.pts_seconds, 3): one.pixels for one in taken}, sum(reported)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("number", [KEYFRAME, BETWEEN])
@pytest.mark.parametrize("codec", TS_CODECS)
def test_a_lost_packet_of_a_file(tmp_path: Path, codec: str, number: int, whole: bool) -> None:
    path = tmp_path / "yard.ts"
    recording(path, codec)
    good, damaged = frames_of(path)
    assert (len(good), damaged) == (FRAMES, 0)
    lose(path, number, whole)
    taken, damaged = frames_of(path)
    assert damaged > 0
    assert FRAMES - 2 * GOP - 3 <= len(taken) < FRAMES
    assert max(taken) == max(good), "the next key frame is intact"
    for seconds, pixels in taken.items():
        assert np.array_equal(pixels, good[seconds]), f"the frame at {seconds} s is damaged"


def test_damaged_packets_of_a_file_with_an_index(tmp_path: Path) -> None:
    path = tmp_path / "yard.mp4"
    recording(path, "libx264")
    good, _ = frames_of(path)
    place, size, _ = packets(path)[BETWEEN]
    content = bytearray(path.read_bytes())
    content[place + size // 2 : place + size] = np.random.default_rng(0).bytes(size - size // 2)
    path.write_bytes(content)
    taken, damaged = frames_of(path)
    assert damaged == 30 - BETWEEN
    assert all(np.array_equal(pixels, good[seconds]) for seconds, pixels in taken.items())


def test_labelled_recordings_keep_their_number_of_frames(tmp_path: Path) -> None:
    path = tmp_path / "yard.ts"
    recording(path, "libx264")
    good, _ = frames_of(path)
    lose(path, BETWEEN, whole=False)
    taken, damaged = frames_of(path, SourceOptions(pace="fast", repeat_damaged=True))
    assert damaged > 0
    assert len(taken) == FRAMES
    pictures = list(taken.values())
    before = list(good.values())[BETWEEN - 2]
    assert np.array_equal(pictures[BETWEEN + 1], before) or np.array_equal(
        pictures[BETWEEN + 1], list(good.values())[BETWEEN - 1]
    )


def truncated(_: int, jpeg: bytes) -> bytes:
    return jpeg[: len(jpeg) // 2]


def truncated_with_end_marker(_: int, jpeg: bytes) -> bytes:
    return jpeg[: len(jpeg) // 2] + b"\xff\xd9"


def truncated_and_zeros(_: int, jpeg: bytes) -> bytes:
    return jpeg[: len(jpeg) // 2].ljust(len(jpeg), b"\0")


def empty(_: int, jpeg: bytes) -> bytes:
    return jpeg[:0]


TRUNCATIONS: list[Callable[[int, bytes], bytes]] = [
    truncated,
    truncated_with_end_marker,
    truncated_and_zeros,
]


@pytest.mark.parametrize("damage", TRUNCATIONS)
def test_truncated_images_of_an_http_camera(
    tmp_path: Path, damage: Callable[[int, bytes], bytes]
) -> None:
    shown = list(walking_box(24))
    with http_camera(tmp_path, frames_per_second=100) as camera:
        camera.alter = lambda n, jpeg: damage(n, jpeg) if n % 3 == 1 else jpeg
        reported: list[int] = []
        source = open_source(camera.address("live"), SourceOptions())
        assert isinstance(source, DamageSource)
        source.on_damaged = reported.append
        with source:
            taken = list(itertools.islice(source, 30))
    assert taken[-1].decode_errors >= 8
    assert sum(reported) >= taken[-1].decode_errors
    for picture in taken:
        distance = min(np.abs(picture.pixels.astype(int) - one).mean() for one in shown)
        assert distance < 10, "a truncated image was yielded"


def test_a_camera_whose_images_all_lack_their_last_bytes(tmp_path: Path) -> None:
    """Every image violates the standard: a property of the camera, not transmission damage."""
    with http_camera(tmp_path, frames_per_second=100) as camera:
        camera.alter = lambda _, jpeg: jpeg[:-40]
        with open_source(camera.address("live"), SourceOptions()) as source:
            taken = list(itertools.islice(source, 10))
    assert taken[0].pixels.shape == (48, 64, 3)


def test_a_camera_that_sends_only_truncated_images_after_intact_ones(tmp_path: Path) -> None:
    with http_camera(tmp_path, frames_per_second=50) as camera:
        camera.alter = lambda n, jpeg: jpeg if n < 10 else truncated(n, jpeg)
        options = SourceOptions(stall_timeout_seconds=1.0)
        began = time.monotonic()
        with (
            pytest.raises(SourceError, match="damaged") as caught,
            open_source(camera.address("live"), options) as source,
        ):
            list(source)
    assert caught.value.code == "corrupt"
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("damage", [*TRUNCATIONS, empty])
@pytest.mark.parametrize("place", [0, 2])
def test_damaged_images_of_a_folder(
    tmp_path: Path, damage: Callable[[int, bytes], bytes], place: int
) -> None:
    write_images(tmp_path, busy(4), "jpg")
    image = sorted(tmp_path.iterdir())[place]
    image.write_bytes(damage(0, image.read_bytes()))
    taken, damaged = frames_of(tmp_path, SourceOptions(pace="fast", frames_per_second=10.0))
    assert damaged == 1
    assert list(taken) == [n / 10 for n in range(4) if n != place]


def test_an_image_that_lacks_only_its_end_marker_is_complete(tmp_path: Path) -> None:
    write_images(tmp_path, walking_box(2), "jpg")
    image = min(tmp_path.iterdir())
    pixels = cv2.imread(str(image))[..., ::-1]
    image.write_bytes(image.read_bytes()[:-2])
    taken, damaged = frames_of(tmp_path)
    assert damaged == 0
    assert np.array_equal(taken[0.0], pixels)


RATE = 50
H265_FRAGMENT = 49
SHOWN = list(walking_box(24, (96, 128)))


class Street:
    """An endless walking box."""

    info = SourceInfo((96, 128), "synthetic", RATE, None, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        pacer = Pacer("live")
        for number in itertools.count():
            pacer.wait_until(number / RATE)
            yield Picture(number / RATE, time.time(), SHOWN[number % len(SHOWN)])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_lost_packets_of_a_camera(codec: Codec, transport: Literal["tcp", "udp"]) -> None:
    """None of 100 frames shows artefacts, and time advances."""
    rng = np.random.default_rng(0)
    losing = threading.Event()

    def change(packet: bytes) -> bytes | None:
        # A hole in an H.265 frame is decoded without an error: it cannot be detected.
        may_drop = losing.is_set() and not (codec == "h265" and packet[12] >> 1 == H265_FRAGMENT)
        return None if may_drop and rng.random() < 0.04 else packet

    mount = Mount(Street, codec, RATE, keyframe_seconds=0.2)
    with (
        RtspServer({"x": mount}) as server,
        open_source(server.address("x"), SourceOptions(transport=transport)) as source,
    ):
        pictures = iter(source)
        server.alter(change)
        before = [next(pictures) for _ in range(30)]
        worst = max(map(_artefact_level, before))
        losing.set()
        taken = [next(pictures) for _ in range(100)]
    assert codec == "mjpeg" or taken[-1].decode_errors > 0, (
        "FFmpeg drops incomplete RTP JPEGs itself"
    )
    assert max(map(_artefact_level, taken)) < worst + 15, "a damaged frame was yielded"


def _artefact_level(picture: Picture) -> float:
    """The largest mean difference of an area from the most similar frame."""
    pixels = picture.pixels.astype(int)
    areas = (np.abs(pixels - one).reshape(12, 8, 16, 8, 3).mean((1, 3, 4)) for one in SHOWN)
    return min(float(area.max()) for area in areas)


def gaps(path: Path, leave_out: int | None = None) -> list[int]:
    """Packets before which a reference frame is missing."""
    with av.open(str(path)) as container:
        numbers = FrameNumberTracker(container.streams.video[0].codec_context.extradata)
        data = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return [n for n, one in enumerate(data) if n != leave_out and numbers.gap_before(one)]


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
@pytest.mark.parametrize(
    "options",
    [
        {"profile": "baseline"},
        {"profile": "high", "bf": "3", "x264-params": "b-pyramid=normal:ref=4"},
        {"x264-params": "cqm=jvt"},
        {"x264-params": "slices=4"},
        {"x264-params": "interlaced=1"},
        {"x264-params": "intra-refresh=1"},
    ],
)
def test_frame_numbers_of_h264(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = tmp_path / f"yard.{suffix}"
    write_video(path, pictures=busy(60), codec="libx264", options={"g": "25"} | options)
    assert gaps(path) == []
    assert gaps(path, leave_out=0) == [], "the first frame has no predecessor"
    place = 25  # a key frame; the gap is detected at once, or at the next reference frame
    assert gaps(path, leave_out=place)[:1] in ([place + 1], [place + 2], [place + 3])


def test_non_standard_frame_numbers_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "yard.ts"
    write_video(path, pictures=busy(80), codec="libx264", options={"g": "100", "bf": "0"})
    with av.open(str(path)) as container:
        numbers = FrameNumberTracker(container.streams.video[0].codec_context.extradata)
        data = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    found = [numbers.gap_before(one) for one in data[::2]]
    assert any(found[:10])
    assert not any(found[-10:])
