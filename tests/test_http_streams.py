"""HTTP streams of cameras and servers, and how they are classified."""

import base64
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import small_scorer, walking_box, write_video
from odd_http_camera import Answer, Handler, grainy, head, in_steps, jpeg, serving
from stage_parts import CollectingSink, ingesting, scoring, small_config, worker_context
from test_ingest_worker import wait_for

from cameras import SourceError, SourceOptions, open_source
from cameras.bursts import BurstSmoother
from cameras.http_stream import is_endless
from cameras.jpeg_stream import JpegSplitter
from cameras.probe import probe
from cameras.refusals import explain_status
from pipeline.worker import RunInfo

OPTIONS = SourceOptions(pace="fast", stall_timeout_seconds=2.0)
PICTURES = [jpeg(picture) for picture in grainy(12)]
PASSWORD = "s3crets3cret"


def parts(lines: Callable[[bytes], str], tail: bytes = b"\r\n") -> Callable[[bytes], bytes]:
    return lambda picture: lines(picture).encode() + b"\r\n" + picture + tail


def multipart(
    part: Callable[[bytes], bytes],
    opening: bytes = b"",
    kind: str = "multipart/x-mixed-replace; boundary=frame",
    rate: float = 20.0,
) -> Answer:
    """An endless response; `opening` precedes the first part."""

    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, kind)
        handler.wfile.write(opening)
        number = 0
        while not over.wait(1 / rate):
            handler.wfile.write(part(PICTURES[number % len(PICTURES)]))
            number += 1

    return answer


def standard(p: bytes) -> str:
    return f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(p)}\r\n"


def late_boundary() -> Callable[[bytes], bytes]:
    """The first part has no boundary before it."""
    count = iter(range(10_000))
    return lambda p: parts(lambda q: standard(q) if next(count) else standard(q)[9:])(p)


VARIANTS = {
    "standard": multipart(parts(standard)),
    "late boundary": multipart(late_boundary()),
    "another name of the type": multipart(parts(lambda p: standard(p).replace("jpeg", "jpg"))),
    "no type": multipart(parts(lambda p: f"--frame\r\nContent-Length: {len(p)}\r\n")),
    "no length": multipart(parts(lambda p: "--frame\r\nContent-Type: image/jpeg\r\n")),
    "no length and no line end": multipart(
        parts(lambda p: "--frame\r\nContent-Type: image/jpeg\r\n", b"")
    ),
    "wrong length": multipart(parts(lambda p: "--frame\r\nContent-Length: 17\r\n")),
    "no dashes": multipart(parts(lambda p: standard(p)[2:])),
    "dashes in the name": multipart(
        parts(standard), kind="multipart/x-mixed-replace;boundary=--frame"
    ),
    "quoted boundary": multipart(
        parts(standard), kind='multipart/x-mixed-replace; boundary="frame"'
    ),
    "no boundary named": multipart(parts(standard), kind="multipart/x-mixed-replace"),
    "another boundary": multipart(parts(standard), kind="multipart/x-mixed-replace; boundary=else"),
    "more header lines": multipart(
        parts(lambda p: standard(p) + "X-Timestamp: 12.5\r\nX-Long: " + "x" * 5000 + "\r\n")
    ),
    "bare line feeds": multipart(parts(lambda p: standard(p).replace("\r\n", "\n"))),
    "preamble": multipart(parts(standard), b"This is a message with several parts.\r\n\r\n"),
    "padded pictures": multipart(parts(standard, b"\0" * 100 + b"\r\n")),
    "pictures one after the other": multipart(lambda p: p, kind="image/jpeg"),
    "called a video": multipart(parts(standard), kind="multipart/mixed"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_motion_jpeg_as_cameras_send_it(variant: str) -> None:
    with (
        serving(VARIANTS[variant]) as address,
        open_source(f"{address}/live", OPTIONS) as source,
        closing(iter(source)) as pictures,
    ):
        taken = list(islice(pictures, 15))
    assert source.info.size_hw == (120, 160)
    assert source.info.frames_per_second is None, "FFmpeg's 25 a second are only assumed"
    expected = cv2.cvtColor(
        cv2.imdecode(np.frombuffer(PICTURES[0], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )
    assert np.abs(taken[0].pixels.astype(int) - expected).mean() < 3
    assert taken[-1].decode_errors == 0
    assert taken[-1].pts_seconds - taken[0].pts_seconds == pytest.approx(14 / 20, rel=0.5)


def split(data: bytes, size: int) -> tuple[list[bytes], int]:
    splitter = JpegSplitter()
    found = [p for at in range(0, len(data), size) for p in splitter.feed(data[at : at + size])]
    return found, splitter.broken


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_images_are_complete_with_their_last_byte(size: int) -> None:
    thumbnail = PICTURES[1]
    inside = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = PICTURES[0][:2] + inside + PICTURES[0][2:]
    data = b"HEAD\xff\xd8" + with_thumbnail + b"junk" + PICTURES[2] + b"\0\0"
    assert split(data, size) == ([with_thumbnail, PICTURES[2]], 0)


def test_incomplete_images_are_counted_and_discarded_unless_all_lack_an_end() -> None:
    half = PICTURES[1][:-300]
    found, broken = split(PICTURES[0] + half + b"\r\n--frame\r\n" + PICTURES[2], 4096)
    assert (found, broken) == ([PICTURES[0], PICTURES[2]], 1)
    place = PICTURES[1].index(b"\xff\xc0")  # cut before a segment of the head
    found, broken = split(PICTURES[0] + PICTURES[1][:place] + PICTURES[2], 4096)
    assert (found, broken) == ([PICTURES[0], PICTURES[2]], 1)
    endless = [picture[:-2] for picture in PICTURES[:3]]
    found, broken = split(b"".join(endless), 4096)
    assert (len(found), broken) == (2, 0)


def test_splitter_recovers_from_garbled_data() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(b"".join(PICTURES[:4]))
        for place in rng.integers(0, len(data), 20):
            data[place] = rng.integers(0, 256)
        splitter = JpegSplitter()
        splitter.feed(bytes(data))
        assert splitter.feed(PICTURES[4] * 20)[-1] == PICTURES[4]


def failure(address: str, options: SourceOptions = OPTIONS) -> SourceError:
    with pytest.raises(SourceError) as caught:
        probe(address, options, 1.0)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_single_image_is_reported() -> None:
    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, "image/jpeg", len(PICTURES[0]))
        handler.wfile.write(PICTURES[0])

    with serving(answer) as address:
        error = failure(f"{address}/snapshot.jpg")
    assert error.code == "codec"
    assert "want a stream, got a single image (image/jpeg" in str(error)


def test_web_page_is_reported() -> None:
    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, "text/html; charset=utf-8", 40)
        handler.wfile.write(b"<html>log in</html>" + b" " * 21)

    with serving(answer) as address:
        error = failure(f"{address}/")
    assert "want a stream, got a web page (text/html)" in str(error)


@pytest.mark.parametrize(
    ("challenges", "user", "said"),
    [
        (["Basic realm=x"], "", "requires a user and a password (Basic authentication), and none"),
        (["Basic realm=x"], "u", "does not accept this user and password (Basic"),
        (['Digest realm="x", nonce="1"'], "u", "does not accept this user and password (Digest"),
        (['Digest realm="x", nonce="1", algorithm=SHA-256'], "u", "digest with SHA-256, which is"),
        (["Negotiate"], "u", "authentication by Negotiate, which is not supported"),
        ([], "", "requires a user and a password, and none was given"),
    ],
)
def test_refusal_messages(challenges: list[str], user: str, said: str) -> None:
    def answer(handler: Handler, over: threading.Event) -> None:
        handler.send_response(401)
        for challenge in challenges:
            handler.send_header("WWW-Authenticate", challenge)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(answer) as address:
        who = f"{user}:{PASSWORD}@" if user else ""
        error = failure(address.replace("://", f"://{who}") + "/live")
    assert error.code == "unauthorised"
    assert said in str(error)
    assert "another" not in str(error)


def test_forbidden_is_not_reported_as_wrong_password() -> None:
    assert explain_status(403, [], False)[1] == (
        "it denies access to this address without a user and a password (status 403)"
    )
    assert explain_status(503, [], True) == ("refused", "the camera refused (status 503)")


def test_basic_is_used_where_the_digest_algorithm_is_not_supported() -> None:
    wanted = "Basic " + base64.b64encode(f"u:{PASSWORD}".encode()).decode()
    good = multipart(parts(standard))

    def answer(handler: Handler, over: threading.Event) -> None:
        if handler.headers.get("Authorization") == wanted:
            return good(handler, over)
        handler.send_response(401)
        digest = 'Digest realm="x", nonce="1", algorithm=SHA-256'
        handler.send_header("WWW-Authenticate", digest)
        handler.send_header("WWW-Authenticate", 'Basic realm="x"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(answer) as address:
        report = probe(address.replace("://", f"://u:{PASSWORD}@") + "/live", OPTIONS, 0.5)
    assert report.codec == "mjpeg"


def encoded(folder: Path, name: str, seconds: float, rate: int = 25, **more: object) -> bytes:
    path = folder / name
    write_video(path, pictures=walking_box(round(seconds * rate)), frames_per_second=rate, **more)  # type: ignore[arg-type]
    return path.read_bytes()


def sent(kind: str, data: bytes, seconds: float, step: float, stop: float = 1e9) -> Answer:
    """Send an encoded stream in real time; end it after `stop` seconds."""

    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, kind)
        part = data[: round(len(data) * min(1.0, stop / seconds))]
        in_steps(handler, over, part, seconds * len(part) / len(data), step)

    return answer


def test_a_stream_in_bursts_is_scored_at_its_own_rate(tmp_path: Path, run: RunInfo) -> None:
    data = encoded(tmp_path, "a.ts", 30)
    with serving(sent("video/mp2t", data, 30, step=1.0)) as address:
        config = small_config({"yard": {"url": f"{address}/bursts.x"}})
        ingest = worker_context("ingest:yard", config, run, "yard")
        scorer = worker_context("scorer", config, run)
        with scoring(scorer, small_scorer()), CollectingSink(run) as sink, ingesting(ingest):
            wait_for(lambda: len(sink.scores) > 20)
            begin, at = len(sink.scores), sink.scores[-1].pts_seconds
            wait_for(lambda: sink.scores[-1].pts_seconds > at + 6)
            scores = sink.scores[begin:]
    times = [score.pts_seconds for score in scores]
    rate = (len(times) - 1) / (times[-1] - times[0])
    assert 8 < rate < 11
    assert max(np.diff(times)) < 0.5


def test_bursts_are_smoothed_and_steady_streams_are_not_delayed() -> None:
    even = BurstSmoother()
    assert all(
        even.due_seconds(n / 10, n / 10 + 0.05 * (n % 2)) <= n / 10 + 0.05 for n in range(99)
    )
    backlog = BurstSmoother()  # the initial backlog of a server arrives at once
    for n in range(60):
        arrived = max(0.0, (n - 20) / 10)
        assert backlog.due_seconds(n / 10, arrived) == arrived
    bursts, dues = BurstSmoother(), []
    for n in range(200):
        arrived = float(n // 20 * 2)  # twenty every two seconds
        dues.append(bursts.due_seconds(n / 10, arrived))
        assert arrived <= dues[-1] <= arrived + 2
    assert np.diff(dues)[100:] == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["auto", "live"])
def test_a_live_stream_with_the_suffix_of_a_recording_reconnects(
    tmp_path: Path, run: RunInfo, kind: str
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    data = encoded(tmp_path, "a.mp4", 20, container_options=options)
    requested: list[str] = []
    with serving(sent("video/mp4", data, 20, step=0.04, stop=3), requested) as address:
        config = small_config({"yard": {"url": f"{address}/api/stream.mp4", "kind": kind}})
        ingest = worker_context("ingest:yard", config, run, "yard")
        scorer = worker_context("scorer", config, run)
        with scoring(scorer, small_scorer()), CollectingSink(run) as sink, ingesting(ingest):
            wait_for(lambda: len({score.connection for score in sink.scores}) == 2)
    assert ingest.metrics.registry.get_sample_value(
        "vedette_reconnects_total", {"camera": "yard", "reason": "ended"}
    )


def test_the_response_decides_whether_a_stream_is_endless(tmp_path: Path) -> None:
    data = encoded(tmp_path, "a.ts", 2)

    def recording(handler: Handler, over: threading.Event) -> None:
        head(handler, "video/mp2t", len(data))
        handler.wfile.write(data)

    with serving(recording) as address:
        assert not is_endless(f"{address}/download?id=7", 2.0)
        report = probe(f"{address}/download?id=7", OPTIONS, 60.0)
        assert (report.live, report.frames) == (False, 50)
    with serving(multipart(parts(standard))) as address:
        assert is_endless(f"{address}/clip.mp4", 2.0)
        assert probe(f"{address}/clip.mp4", OPTIONS, 0.5).live
    with pytest.raises(SourceError, match="nothing listens"):
        is_endless(f"{address}/clip.mp4", 2.0)


@pytest.mark.parametrize(
    ("kind", "part", "code", "said"),
    [
        ("multipart/x-mixed-replace; boundary=frame", b"", "timeout", "no frame for 2 s, although"),
        (
            "multipart/x-mixed-replace; boundary=frame",
            PICTURES[0][: PICTURES[0].index(b"\xff\xc0")],
            "corrupt",
            "were damaged",
        ),
        ("video/mp2t", b"\0" * 188, "timeout", "no frame for 4 s, although"),
    ],
)
def test_data_without_frames_do_not_reset_the_deadline(
    kind: str, part: bytes, code: str, said: str
) -> None:
    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, kind)
        while not over.wait(0.1):
            handler.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + part)

    began = time.monotonic()
    with serving(answer) as address:
        error = failure(f"{address}/live")
    assert error.code == code
    assert said in str(error)
    assert time.monotonic() - began < 8
