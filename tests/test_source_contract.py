"""One contract suite for every kind of source, then damage in files and folders."""

import time
import wave
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from http_camera import http_camera
from makers import walking_box, write_images, write_video

from cameras import Source, SourceError, SourceOptions, open_source
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.simulation.rtsp_server.requests import Codec
from cameras.video_file import VideoFile

FAST = SourceOptions(pace="fast")
FRAMES = 12
INDEX_FIRST = {"movflags": "faststart"}
SIZE_HW = (48, 64)


@pytest.fixture(
    params=[
        "video file",
        "folder of images",
        "synthetic",
        "http file",
        "http motion jpeg",
        "webcam",
        *(f"rtsp {codec} over {way}" for codec in get_args(Codec) for way in ("tcp", "udp")),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Source]]:
    """Opens a source of each kind, repeatedly; a live one never ends."""
    kind: str = request.param
    clip = tmp_path / "clip.mp4"
    if kind == "video file":
        write_video(clip, FRAMES)
        yield lambda: open_source(str(clip), FAST)
    elif kind == "folder of images":
        write_images(tmp_path, walking_box(FRAMES))
        yield lambda: open_source(str(tmp_path), FAST)
    elif kind == "synthetic":
        yield lambda: open_source("synthetic:street?seed=3", FAST)
    elif kind.startswith("http"):
        write_video(clip, FRAMES)
        with http_camera(tmp_path) as camera:
            path = "clip.mp4" if kind == "http file" else "live"
            yield lambda: open_source(camera.address(path), FAST)
    elif kind == "webcam":
        if not Path("/dev/video0").exists():
            pytest.skip("there is no /dev/video0: the contract of a webcam is not tested")
        yield lambda: open_source("webcam:0", FAST)
    else:
        write_video(clip, FRAMES)
        codec: Codec = kind.split()[1]  # type: ignore[assignment]
        options = SourceOptions(transport="udp" if kind.endswith("udp") else "tcp")
        with RtspServer(
            {"clip": Mount(lambda: VideoFile(clip, "live"), codec, keyframe_seconds=0.2)}
        ) as server:
            yield lambda: open_source(server.address("clip"), options)


def test_contract(opened: Callable[[], Source]) -> None:
    source = opened()
    with source, closing(iter(source)) as pictures:
        assert isinstance(source, Source)
        info = source.info
        first_at = time.time()
        taken = [next(pictures) for _ in range(8)]
        assert info.codec
        assert info.frames_per_second is None or 0 < info.frames_per_second < 1000
        assert not (info.live and info.frame_count is not None)
        for picture in taken:
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.shape == (*info.size_hw, 3)
            assert picture.pixels.flags.c_contiguous
            assert picture.pixels is picture.pixels  # converted once
            assert abs(picture.captured_at - first_at) < 10
        times = [picture.pts_seconds for picture in taken]
        assert times[0] == 0.0
        assert all(early < late for early, late in pairwise(times))
        assert not np.array_equal(taken[0].pixels, taken[-1].pixels)
        if not info.live and info.frame_count is not None:
            assert len(taken) + sum(1 for _ in pictures) == info.frame_count
    source.__exit__(None, None, None)  # closing twice is allowed


def test_each_opening_is_a_new_connection(opened: Callable[[], Source]) -> None:
    for _ in range(2):
        with opened() as source, closing(iter(source)) as pictures:
            assert next(pictures).pts_seconds == 0.0


def failure(path: Path) -> tuple[SourceError, int]:
    """Read a source until its error; return it with the number of frames before it."""
    pictures = []
    with pytest.raises(SourceError) as caught, open_source(str(path), FAST) as source:
        pictures.extend(source)
    assert caught.value.permanent
    assert path.name in str(caught.value)
    return caught.value, len(pictures)


def test_missing_file(tmp_path: Path) -> None:
    error, _ = failure(tmp_path / "nothing.mp4")
    assert error.code == "not_found"


@pytest.mark.parametrize("content", [b"", b"this is not a video" * 100])
def test_file_without_video_data(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    assert failure(path)[0].code == "corrupt"


def test_file_without_a_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    error, _ = failure(path)
    assert error.code == "codec"
    assert "got audio" in str(error)


def test_video_without_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "empty.avi"
    write_video(path, FRAMES)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"movi") + 4])
    assert failure(path)[0].code == "corrupt"


def test_truncated_file_yields_its_frames_before_the_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_video(path, pictures=noisy(40), codec="libx264", container_options=INDEX_FIRST)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    error, count = failure(path)
    assert error.code == "corrupt"
    assert 10 < count < 30
    assert "50% of it is missing" in str(error)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_truncated_file_without_an_index_is_detected_by_its_length(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"cut.{suffix}"
    write_video(path, pictures=noisy(100), codec="libx264")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    error, count = failure(path)
    assert error.code == "corrupt"
    assert 30 < count < 70
    assert "50% of it is missing" in str(error)


def test_size_and_time_may_jump_within_a_file(tmp_path: Path) -> None:
    parts = [tmp_path / "small.ts", tmp_path / "large.ts"]
    for path, size_hw in zip(parts, [(48, 64), (96, 128)], strict=True):
        write_video(path, pictures=walking_box(25, size_hw), codec="mpeg2video")
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(str(path), FAST) as source:
        pictures = list(source)
    sizes = [picture.pixels.shape[:2] for picture in pictures]
    # The decoder may drop a reordered frame when the size changes, and packet numbers restart, so
    # the frame before may count as damaged.
    assert sizes in ([(48, 64)] * kept + [(96, 128)] * 25 for kept in (23, 24, 25))
    times = [picture.pts_seconds for picture in pictures]
    assert all(0 < after - before < 0.2 for before, after in pairwise(times))


def test_damage_is_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "scratched.mp4"
    write_video(
        path,
        pictures=noisy(40),
        codec="libx264",
        container_options=INDEX_FIRST,
        options={"g": "5"},
    )
    spoil(path, 0.6, 0.64)
    with open_source(str(path), FAST) as source:
        pictures = list(source)
    assert 30 <= len(pictures) < 40
    assert pictures[0].decode_errors == 0
    assert pictures[-1].decode_errors >= 40 - len(pictures) - 1


def test_persistent_damage_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ruined.mp4"
    write_video(path, pictures=noisy(700), codec="libx264", container_options=INDEX_FIRST)
    spoil(path, 0.3, 1.0)
    error, count = failure(path)
    assert error.code == "corrupt"
    assert count < 300
    assert "400 consecutive frames are damaged" in str(error)


def test_size_may_change_within_a_folder(tmp_path: Path) -> None:
    write_images(tmp_path, [*walking_box(2), *walking_box(2, (24, 32))])
    with open_source(str(tmp_path), FAST) as source:
        assert [picture.pixels.shape[:2] for picture in source] == [SIZE_HW] * 2 + [(24, 32)] * 2


def test_folder_in_natural_order_with_grey_and_hidden_files(tmp_path: Path) -> None:
    for number, suffix in [(10, "png"), (9, "bmp"), (2, "tif"), (1, "jpg")]:
        cv2.imwrite(
            str(tmp_path / f"frame{number}.{suffix}"), np.full((8, 8), 20 * number, np.uint8)
        )
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "._frame3.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    options = SourceOptions(pace="fast", frames_per_second=5.0)
    with open_source(str(tmp_path), options) as source:
        pictures = list(source)
        assert source.info.frame_count == 4
    assert [int(picture.pixels[0, 0, 0]) for picture in pictures] == [20, 40, 180, 200]
    assert [picture.pts_seconds for picture in pictures] == pytest.approx([0.0, 0.2, 0.4, 0.6])


@pytest.mark.parametrize("kept_bytes", [0, 10, 3000])
def test_unreadable_image_is_skipped_or_replaced_by_the_previous_one(
    tmp_path: Path, kept_bytes: int
) -> None:
    write_images(tmp_path, walking_box(4), "tif")
    damaged = sorted(tmp_path.iterdir())[2]
    damaged.write_bytes(damaged.read_bytes()[:kept_bytes])
    with open_source(str(tmp_path), FAST) as source:
        pictures = list(source)
    assert [picture.pts_seconds for picture in pictures] == pytest.approx([0.0, 0.1, 0.3])
    assert [picture.decode_errors for picture in pictures] == [0, 0, 1]
    with open_source(str(tmp_path), SourceOptions(pace="fast", repeat_damaged=True)) as source:
        pictures = list(source)
    assert np.array_equal(pictures[2].pixels, pictures[1].pixels)
    assert not np.array_equal(pictures[3].pixels, pictures[2].pixels)
    assert [picture.decode_errors for picture in pictures] == [0, 0, 1, 1]


def test_unreadable_first_image(tmp_path: Path) -> None:
    write_images(tmp_path, walking_box(2))
    min(tmp_path.iterdir()).write_bytes(b"")
    with (
        open_source(str(tmp_path), SourceOptions(pace="fast", repeat_damaged=True)) as source,
        pytest.raises(SourceError, match="first image"),
    ):
        list(source)
    max(tmp_path.iterdir()).write_bytes(b"")
    assert failure(tmp_path)[0].code == "corrupt"


def test_error_of_a_folder_without_images_names_its_files(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("x")
    error, _ = failure(tmp_path)
    assert error.code == "not_found"
    assert "got readme.md" in str(error)


def test_live_pace_follows_the_time_stamps(tmp_path: Path) -> None:
    write_images(tmp_path, walking_box(6))
    began = time.monotonic()
    with open_source(str(tmp_path), SourceOptions(pace="live", frames_per_second=20.0)) as source:
        assert sum(1 for _ in source) == 6
    assert 0.25 <= time.monotonic() - began < 2.0


def noisy(count: int) -> Iterator[np.ndarray]:
    """Incompressible frames, so that a part of the file is the same part of the frames."""
    rng = np.random.default_rng(0)
    for picture in walking_box(count):
        yield np.clip(picture + rng.integers(0, 60, picture.shape), 0, 255).astype(np.uint8)


def spoil(path: Path, begin_ratio: float, end_ratio: float) -> None:
    """Overwrite a part of a file with random bytes."""
    data = bytearray(path.read_bytes())
    part = slice(int(begin_ratio * len(data)), int(end_ratio * len(data)))
    data[part] = np.random.default_rng(1).bytes(len(data[part]))
    path.write_bytes(data)
