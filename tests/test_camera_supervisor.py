import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from makers import walking_box, write_images, write_video

from cameras import Picture, Source, SourceError, SourceInfo, SourceOptions, open_source
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.source import ErrorCode
from cameras.supervisor import CameraSupervisor, backoff_seconds
from cameras.video_file import VideoFile

FAST = SourceOptions(pace="fast", frames_per_second=10.0)


class NoWaiting(threading.Event):
    """A stop event whose waits return at once; it records their durations."""

    def __init__(self, max_waits: int) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._max_waits = max_waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == self._max_waits:
            self.set()
        return self.is_set()


class Script:
    """A live connection that yields some frames, then raises an error."""

    def __init__(self, pictures: int, code: ErrorCode) -> None:
        self._pictures = pictures
        self._code = code
        self.info = SourceInfo((2, 2), "h264", None, None, True)

    def __enter__(self) -> Self:
        if not self._pictures:
            raise SourceError(self._code, "scripted")
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        for number in range(self._pictures):
            yield Picture(number / 10, 0.0, np.zeros((2, 2, 3), np.uint8), decode_errors=1)
        raise SourceError(self._code, "scripted")


def scripted(*script: tuple[int, ErrorCode]) -> Callable[[], Source]:
    connections = iter(script)
    return lambda: Script(*next(connections))


def supervise(open: Callable[[], Source], **more: object) -> CameraSupervisor:
    settings = {"loop": False, "first_connection": 100, "jitter": lambda: 0.5, **more}
    return CameraSupervisor("front", open, **settings)  # type: ignore[arg-type]


def test_backoff_doubles_from_one_second_to_sixty() -> None:
    middle = [backoff_seconds(failures, 0.5) for failures in range(1, 9)]
    assert middle == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_seconds(10_000, 1.0) == 60
    assert backoff_seconds(3, 0.0) == pytest.approx(3.2)
    assert backoff_seconds(3, 1.0) == pytest.approx(4.8)
    assert backoff_seconds(1, 0.0) == 1


def test_waits_grow_and_are_reset_by_the_first_frame() -> None:
    stop = NoWaiting(max_waits=5)
    supervisor = supervise(
        scripted((0, "refused"), (0, "timeout"), (0, "refused"), (1, "ended"), (0, "refused"))
    )
    assert len(list(supervisor.frames(stop))) == 1
    assert stop.waits == [1, 2, 4, 1, 2]
    assert supervisor.reconnects == {"refused": 2, "timeout": 1, "ended": 1}
    assert supervisor.received == 1
    assert supervisor.decode_errors == 1


def test_waits_are_shorter_for_a_camera_that_worked_within_the_hour() -> None:
    now = [0.0]
    stop = NoWaiting(max_waits=9)
    script: list[tuple[int, ErrorCode]] = [(1, "ended"), *[(0, "refused")] * 8]  # type: ignore[list-item]
    supervisor = supervise(scripted(*script), clock=lambda: now[0])
    assert len(list(supervisor.frames(stop))) == 1
    assert stop.waits == [1, 2, 4, 8, 10, 10, 10, 10, 10]

    late = NoWaiting(max_waits=9)
    supervisor = supervise(scripted(*script), clock=lambda: now[0])
    for _ in supervisor.frames(late):
        now[0] = 3600.0  # the hour is over
    assert late.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_waits_are_long_for_a_camera_that_denies_access() -> None:
    stop = NoWaiting(max_waits=7)
    supervisor = supervise(scripted((1, "ended"), *[(0, "unauthorised")] * 6))
    assert len(list(supervisor.frames(stop))) == 1
    assert stop.waits == [1, 2, 4, 8, 16, 32, 60], "some cameras lock the user out"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("refused", "offline: refused"),
        ("timeout", "offline: timeout"),
        ("unauthorised", "error: unauthorised"),
        ("not_found", "error: not_found"),
        ("codec", "error: codec"),
    ],
)
def test_status_of_a_live_camera_between_attempts(code: ErrorCode, shown: str) -> None:
    stop = NoWaiting(max_waits=2)
    errors: list[SourceError] = []
    supervisor = supervise(scripted((0, code), (0, code)), on_error=errors.append)
    assert str(supervisor.status) == "starting"
    assert not list(supervisor.frames(stop))
    assert str(supervisor.status) == shown
    assert [error.code for error in errors] == [code, code]


def test_connection_numbers_do_not_depend_on_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([5.0, 4.0, 0.01])
    monkeypatch.setattr(time, "time", lambda: next(times, 0.0))
    supervisor = supervise(scripted((1, "ended"), (1, "ended"), (1, "ended")))
    connections = [connection for connection, _ in supervisor.frames(NoWaiting(max_waits=3))]
    assert connections == [100, 101, 102]


def test_file_ends(tmp_path: Path) -> None:
    write_images(tmp_path, walking_box(3))
    supervisor = supervise(partial(open_source, str(tmp_path), FAST))
    frames = list(supervisor.frames(threading.Event()))
    assert [connection for connection, _ in frames] == [100, 100, 100]
    assert str(supervisor.status) == "ended"
    assert supervisor.reconnects == {}


def test_looping_file_is_a_new_connection_every_pass(tmp_path: Path) -> None:
    write_images(tmp_path, walking_box(3))
    supervisor = supervise(partial(open_source, str(tmp_path), FAST), loop=True)
    with closing(supervisor.frames(threading.Event())) as frames:
        taken = [next(frames) for _ in range(7)]
    assert [connection for connection, _ in taken] == [100] * 3 + [101] * 3 + [102]
    assert [picture.pts_seconds for _, picture in taken][3:6] == pytest.approx([0.0, 0.1, 0.2])
    assert str(supervisor.status) == "watching"


def test_truncated_looping_file_loops_its_intact_part(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_video(whole, 50, container_options={"movflags": "faststart"})
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 2 // 3])
    reported: list[str] = []
    supervisor = supervise(
        partial(open_source, str(cut), FAST),
        loop=True,
        on_error=lambda error: reported.append(str(error)),
    )
    with closing(supervisor.frames(threading.Event())) as frames:
        passes = [connection for connection, _ in islice(frames, 120)]
    assert 2 < passes.count(100) == passes.count(101) < 50
    assert passes[-1] > 101
    assert str(supervisor.status) == "watching"
    assert len(reported) == 1
    assert "truncated" in reported[0]
    assert reported[0].endswith("; it loops to its beginning from there")


def test_looping_file_without_any_frame_ends(tmp_path: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no video at all" * 50)
    supervisor = supervise(partial(open_source, str(tmp_path / "none.mp4"), FAST), loop=True)
    assert not list(supervisor.frames(threading.Event()))
    assert str(supervisor.status) == "error: corrupt"


def test_missing_file_is_not_retried(tmp_path: Path) -> None:
    supervisor = supervise(partial(open_source, str(tmp_path / "no.mp4"), FAST), loop=True)
    assert not list(supervisor.frames(threading.Event()))
    assert str(supervisor.status) == "error: not_found"


def test_stop_ends_the_wait_at_once() -> None:
    stop = threading.Event()
    supervisor = supervise(scripted((0, "refused")), on_error=lambda _: stop.set())
    began = time.monotonic()
    assert not list(supervisor.frames(stop))
    assert time.monotonic() - began < 0.5


def test_camera_reconnects_on_the_same_port(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, 50)
    with RtspServer({"x": Mount(lambda: VideoFile(clip, "live"), keyframe_seconds=0.2)}) as server:
        address = server.address("x")
        states: list[str] = []
        supervisor = supervise(
            partial(open_source, address, SourceOptions(stall_timeout_seconds=5.0)),
            on_error=lambda error: (states.append(str(supervisor.status)), server.start()),
        )
        with closing(supervisor.frames(threading.Event())) as frames:
            first, _ = next(frames)
            server.stop()
            second = next(number for number, _ in frames if number != first)
        assert second == first + 1
        assert states == ["offline: ended"]
        assert supervisor.reconnects == {"ended": 1}
        assert str(supervisor.status) == "watching"
