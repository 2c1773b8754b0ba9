"""Faults of cameras: each ends the connection with its code, or frames continue."""

import itertools
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Literal, Self

import numpy as np
import pytest
from makers import walking_box

from cameras import Picture, SourceError, SourceInfo, SourceOptions, open_source
from cameras.lag import MAX_LAG_SECONDS, CatchUp, LagMeter
from cameras.pacing import Pacer
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.simulation.rtsp_server.requests import Codec
from cameras.source import ErrorCode
from cameras.supervisor import CameraSupervisor

RATE = 50
STALL_SECONDS = 1.0
CLOCK = 90_000
WAYS: list[tuple[Codec, Literal["tcp", "udp"]]] = [
    ("h264", "tcp"),
    ("h264", "udp"),
    ("h265", "tcp"),
    ("mjpeg", "tcp"),
]


class Street:
    """An endless walking box; `larger` changes its frame size."""

    def __init__(self) -> None:
        self.info = SourceInfo((48, 64), "synthetic", RATE, None, False)
        self.larger = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        pacer = Pacer("live")
        shown = {
            larger: list(walking_box(24, (96, 128) if larger else (48, 64))) for larger in (0, 1)
        }
        for number in itertools.count():
            pacer.wait_until(number / RATE)
            pixels = shown[self.larger.is_set()][number % 24]
            yield Picture(number / RATE, time.time(), pixels)


Fault = Callable[[RtspServer, Street], None]


def mount(street: Street, codec: Codec) -> Mount:
    return Mount(lambda: street, codec, RATE, keyframe_seconds=0.1)


def shifted(seconds: float) -> Callable[[bytes], bytes]:
    """Shift the time stamp of RTP packets, as a camera whose clock is set."""

    def change(packet: bytes) -> bytes:
        stamp = (struct.unpack(">I", packet[4:8])[0] + round(seconds * CLOCK)) % 2**32
        return packet[:4] + struct.pack(">I", stamp) + packet[8:]

    return change


def about_to_wrap() -> Callable[[bytes], bytes]:
    """Let the 32-bit time stamps wrap around half a second after the first packet."""
    begin: list[int] = []

    def change(packet: bytes) -> bytes:
        stamp = struct.unpack(">I", packet[4:8])[0]
        begin.append(stamp)
        return packet[:4] + struct.pack(">I", (stamp - begin[0] - CLOCK // 2) % 2**32) + packet[8:]

    return change


def garbled(ratio: float, head: int = 12) -> Callable[[bytes], bytes]:
    """Replace the payload of some packets by random bytes."""
    rng = np.random.default_rng(0)

    def change(packet: bytes) -> bytes:
        if rng.random() >= ratio:
            return packet
        return packet[:head] + rng.bytes(len(packet) - head)

    return change


def losing(ratio: float) -> Callable[[bytes], bytes | None]:
    rng = np.random.default_rng(0)
    return lambda packet: None if rng.random() < ratio else packet


LOST: dict[str, tuple[Fault, set[ErrorCode]]] = {
    "stalls": (lambda server, _: server.stall(), {"timeout"}),
    "loses every packet": (lambda server, _: server.alter(lambda _: None), {"timeout"}),
    # Undecodable data are corrupt where they reach the decoder, else a time-out.
    "garbles every packet": (lambda server, _: server.alter(garbled(1.0)), {"corrupt", "timeout"}),
    "resets": (lambda server, _: server.reset_clients(), {"ended"}),
    "goes down": (lambda server, _: server.stop(), {"ended"}),
}
TOLERATED: dict[str, Fault] = {
    "loses some packets": (lambda server, _: server.alter(losing(0.1))),
    "garbles some packets": (lambda server, _: server.alter(garbled(0.1))),
    "jumps an hour ahead": (lambda server, _: server.alter(shifted(3600))),
    "jumps an hour back": (lambda server, _: server.alter(shifted(-3600))),
    "jumps slightly back": (lambda server, _: server.alter(shifted(-0.5))),
    "falls behind": (lambda server, _: server.fall_behind(0.5)),
}


@pytest.mark.parametrize(("codec", "transport"), WAYS)
@pytest.mark.parametrize("fault", LOST)
def test_connection_is_lost(codec: Codec, transport: Literal["tcp", "udp"], fault: str) -> None:
    happen, codes = LOST[fault]
    street = Street()
    options = SourceOptions(transport=transport, stall_timeout_seconds=STALL_SECONDS)
    with (
        RtspServer({"x": mount(street, codec)}) as server,
        open_source(server.address("x"), options) as source,
    ):
        pictures = iter(source)
        for _ in range(5):
            next(pictures)
        happen(server, street)
        began = time.monotonic()
        with pytest.raises(SourceError) as caught:
            list(
                itertools.takewhile(
                    lambda _: time.monotonic() - began < 4 * STALL_SECONDS, pictures
                )
            )
    assert caught.value.code in codes
    assert time.monotonic() - began < 3 * STALL_SECONDS


@pytest.mark.parametrize(("codec", "transport"), WAYS)
@pytest.mark.parametrize("fault", TOLERATED)
def test_frames_continue(codec: Codec, transport: Literal["tcp", "udp"], fault: str) -> None:
    street = Street()
    options = SourceOptions(transport=transport, stall_timeout_seconds=5.0)
    with (
        RtspServer({"x": mount(street, codec)}) as server,
        open_source(server.address("x"), options) as source,
    ):
        pictures = iter(source)
        times = [next(pictures).pts_seconds for _ in range(5)]
        TOLERATED[fault](server, street)
        taken = [next(pictures) for _ in range(40)]
    times += [picture.pts_seconds for picture in taken]
    steps = np.diff(times)
    assert (steps > 0).all()
    assert steps.max() < 2, "a jump of the camera's clock is not taken over"


@pytest.mark.parametrize(("codec", "transport"), WAYS)
def test_size_changes(codec: Codec, transport: Literal["tcp", "udp"]) -> None:
    street = Street()
    options = SourceOptions(transport=transport, stall_timeout_seconds=STALL_SECONDS)

    def larger(pictures: Iterable[Picture]) -> bool:
        seen = itertools.islice(pictures, 200)
        return any(picture.pixels.shape == (96, 128, 3) for picture in seen)

    with RtspServer({"x": mount(street, codec)}) as server:
        with open_source(server.address("x"), options) as source:
            pictures = iter(source)
            for _ in range(5):
                next(pictures)
            street.larger.set()
            try:
                assert larger(pictures)
                return
            except SourceError as error:
                # Over UDP FFmpeg may then decode nothing more: a lost connection, never a hang.
                if (transport, error.code) != ("udp", "timeout"):
                    raise
        with open_source(server.address("x"), options) as source:
            assert larger(source)


@pytest.mark.parametrize(("codec", "transport"), WAYS)
def test_time_stamps_that_wrap_around(codec: Codec, transport: Literal["tcp", "udp"]) -> None:
    options = SourceOptions(transport=transport, stall_timeout_seconds=5.0)
    with RtspServer({"x": mount(Street(), codec)}) as server:
        server.alter(about_to_wrap())
        with open_source(server.address("x"), options) as source:
            times = [picture.pts_seconds for picture in itertools.islice(source, 40)]
    steps = np.diff(times)
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(1 / RATE, rel=0.2)
    assert steps.max() < 1


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_first_time_stamp_is_missing(codec: Codec) -> None:
    stamps: list[int | None] = []
    with RtspServer({"x": mount(Street(), codec)}) as server:
        source = open_source(server.address("x"), SourceOptions())
        source.on_packet = lambda packet: stamps.append(packet.pts)  # type: ignore[attr-defined]
        with source:
            times = [picture.pts_seconds for picture in itertools.islice(source, 10)]
    assert None in stamps[:2], "this server omits it, as cameras do"
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()


def refusals(server: RtspServer) -> Iterator[tuple[str, ErrorCode]]:
    address = server.address("x")
    yield address.replace("s3cret", "wrong"), "unauthorised"
    yield address.replace("cam:s3cret@", ""), "unauthorised"
    yield address + "/attic", "not_found"
    server.stop()
    yield address, "refused"


@pytest.mark.parametrize("scheme", ["digest", "basic"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_connection_is_refused(
    scheme: Literal["digest", "basic"], transport: Literal["tcp", "udp"]
) -> None:
    options = SourceOptions(transport=transport, stall_timeout_seconds=STALL_SECONDS)
    authentication = RtspAuthentication("cam", "s3cret", scheme)
    with RtspServer({"x": mount(Street(), "h264")}, authentication=authentication) as server:
        for address, code in refusals(server):
            with pytest.raises(SourceError) as caught, open_source(address, options):
                pass
            assert caught.value.code == code
            assert "s3cret" not in str(caught.value)


def test_a_slow_reader_gets_current_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding takes longer than the camera's interval: late packets are dropped, and counted."""
    monkeypatch.setattr("cameras.lag.MAX_LAG_SECONDS", 0.6)
    monkeypatch.setattr("cameras.lag._CAUGHT_UP_SECONDS", 0.2)
    with (
        RtspServer({"x": mount(Street(), "h264")}) as server,
        open_source(server.address("x"), SourceOptions(stall_timeout_seconds=5.0)) as source,
    ):
        began, ages, late = time.monotonic(), [], 0
        for picture in source:
            passed = time.monotonic() - began
            ages.append(passed - picture.pts_seconds)
            late = picture.late
            if passed > 4:
                break
            time.sleep(0.05)  # too slow: 20 frames a second, of 50
    assert late > 20
    assert max(ages) < 2.0, "without skipping it would be 2.4 s and increase"
    supervisor = CameraSupervisor("a", lambda: Script(late), loop=False, first_connection=0)
    for _ in supervisor.frames(threading.Event()):
        pass
    assert supervisor.late == late


class Script:
    """One frame, then the end of the connection."""

    info = SourceInfo((2, 2), "synthetic", None, 1, False)

    def __init__(self, late: int) -> None:
        self._late = late

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> Iterator[Picture]:
        yield Picture(0.0, 0.0, np.zeros((2, 2, 3), np.uint8), late=self._late)


def test_lag_is_distinguished_from_drift_and_jumps() -> None:
    meter = LagMeter()
    assert meter.lag_seconds(100.0, 0.0) == 0
    assert meter.lag_seconds(101.0, 3.0) == pytest.approx(2.0, abs=0.01)
    assert meter.lag_seconds(None, 3.5) == pytest.approx(2.0, abs=0.01)
    assert meter.lag_seconds(104.0, 4.0) == pytest.approx(0.0, abs=0.01)
    assert meter.lag_seconds(9.0, 5.0) == 0, "its clock was set"
    assert meter.lag_seconds(5000.0, 6.0) == 0
    drifting = LagMeter()
    assert max(drifting.lag_seconds(n * 0.9995, float(n)) for n in range(100_000)) < 0.01


def test_lag_that_skipping_recovers() -> None:
    catch_up, decisions = CatchUp(), []
    now = 0.0
    for n in range(2000):
        stamp = n / 25
        now = max(now, stamp)  # a packet cannot be read before it arrives
        skip = catch_up.skips(stamp, n % 25 == 0, now)
        decisions.append(skip)
        now += 0.0001 if skip else 0.06
    assert 0.2 < np.mean(decisions) < 0.6
    assert now - 2000 / 25 < MAX_LAG_SECONDS + 1.5
    resumed = [n for n in range(1, 2000) if decisions[n - 1] and not decisions[n]]
    assert resumed
    assert all(n % 25 == 0 for n in resumed), "decoding begins with a key frame"


def test_lag_that_skipping_does_not_recover() -> None:
    """The camera itself sends with increasing delay."""
    catch_up = CatchUp()
    decisions = [catch_up.skips(n / 25, n % 25 == 0, 1.2 * n / 25) for n in range(25 * 90)]
    assert 0 < sum(decisions) < 25 * 6, "skipping is tried once, and not again"


def test_skipping_ends_without_key_frames() -> None:
    catch_up = CatchUp()
    decisions = [catch_up.skips(n / 25, False, n / 25 + (5 if n > 50 else 0)) for n in range(1500)]
    assert not decisions[-1]


def test_calls_into_a_source_are_timed() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Hangs(Script):
        def __enter__(self) -> Self:
            entered.set()
            leave.wait()
            return self

    supervisor = CameraSupervisor("a", lambda: Hangs(0), loop=False, first_connection=0)
    assert supervisor.blocked_seconds() == 0
    with closing(supervisor.frames(threading.Event())) as frames:
        thread = threading.Thread(target=next, args=(frames,))
        thread.start()
        assert entered.wait(5)
        begin = time.monotonic()
        while supervisor.blocked_seconds() < 0.05:
            assert time.monotonic() - begin < 5
        leave.set()
        thread.join()
        assert supervisor.blocked_seconds() == 0, "what the reader does is not the source's fault"
