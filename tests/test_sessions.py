"""Log in, stay logged in, be refused: sessions of the dashboard, and its page."""

import json
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from gateway_run import ADMIN, TOKENS, VIEWER, Gateway, gateway_run
from makers import walking_box, write_video
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pipeline.gateway.live_socket import LOGGED_OUT
from pipeline.gateway.sessions import COOKIE, CSRF_HEADER, SESSION_SECONDS, Sessions
from pipeline.gateway.tokens import Caller, TokenBook, hash_of

BOOK = TokenBook({"ann": (hash_of(ADMIN), "admin")})


def test_session_ends_with_its_time_and_with_its_token(tmp_path: Path) -> None:
    now = 1000.0
    sessions = Sessions(tmp_path, lambda: now)
    cookie, session = sessions.open(ADMIN, Caller("ann", "admin"))
    assert sessions.find(cookie, BOOK) == session
    assert sessions.find("other", BOOK) is None
    assert sessions.find(cookie, TokenBook({})) is None
    assert sessions.find(cookie, TokenBook({"ann": (hash_of("another"), "admin")})) is None
    demoted = TokenBook({"ann": (hash_of(ADMIN), "viewer")})
    found = sessions.find(cookie, demoted)
    assert found is not None
    assert found.caller.role == "viewer"
    now += SESSION_SECONDS
    assert sessions.find(cookie, BOOK) is None


def test_sessions_outlive_a_restart_as_hashes(tmp_path: Path) -> None:
    cookie, session = Sessions(tmp_path).open(ADMIN, Caller("ann", "admin"))
    (kept,) = tmp_path.iterdir()
    assert cookie not in kept.read_text()
    assert ADMIN not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = Sessions(tmp_path)
    assert again.find(cookie, BOOK) == session
    again.close(cookie)
    assert Sessions(tmp_path).find(cookie, BOOK) is None
    kept.write_text("{ torn")
    assert Sessions(tmp_path).find(cookie, BOOK) is None


@pytest.fixture
def closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Gateway]:
    with gateway_run(tmp_path, caplog, TOKENS) as gateway:
        yield gateway


@pytest.fixture
def gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Gateway]:
    with gateway_run(tmp_path, caplog) as gateway:
        yield gateway


def test_cookie_needs_the_csrf_token_to_change_anything(closed: Gateway) -> None:
    with closed.client() as person:
        assert person.post("/api/v1/session", json={"token": "wrong-token"}).status_code == 401
        answer = person.post("/api/v1/session", json={"token": ADMIN})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        for part in (COOKIE, "HttpOnly", "SameSite=strict", "Path=/", "Max-Age"):
            assert part in cookie
        assert "Secure" not in cookie  # plain HTTP
        assert person.get("/api/v1/session").json()["role"] == "admin"
        adapt = "/api/v1/cameras/yard/adapt"
        assert person.post(adapt).status_code == 403
        assert person.post(adapt, headers={CSRF_HEADER: "guess"}).status_code == 403
        csrf = {CSRF_HEADER: answer.json()["csrf"]}
        assert person.post(adapt, headers=csrf).status_code == 202
        evil = {**csrf, "Origin": "http://evil.example"}
        assert person.post(adapt, headers=evil).status_code == 403
        assert person.delete("/api/v1/session", headers=csrf).status_code == 204
        assert person.get("/api/v1/cameras").status_code == 401


def test_cookie_has_the_role_of_its_token(closed: Gateway) -> None:
    with closed.client() as person:
        answer = person.post("/api/v1/session", json={"token": VIEWER})
        csrf = {CSRF_HEADER: answer.json()["csrf"]}
        assert person.get("/api/v1/cameras").status_code == 200
        assert person.get("/api/v1/tokens").status_code == 403
        assert person.post("/api/v1/cameras/yard/adapt", headers=csrf).status_code == 403


def test_page_is_strict_and_asks_for_nothing_elsewhere(closed: Gateway) -> None:
    with closed.client() as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<script>" not in page.text
        assert " style=" not in page.text
        script = client.get("/static/app.js")
        assert script.headers["content-encoding"] == "gzip"
        again = client.get("/static/app.js", headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for path in ("/static/nosuch.js", "/static/..%2fapp.py", "/static/%2e%2e/server.py"):
            assert client.get(path).status_code == 404
        assert client.get("/", headers={"Host": "127.0.0.1"}).status_code == 200


def test_socket_wants_a_session_and_our_page(closed: Gateway) -> None:
    address = closed.url.replace("http", "ws", 1) + "/api/v1/ws"
    with connect(address) as socket, pytest.raises(ConnectionClosed) as gone:
        socket.recv(timeout=10)
    assert gone.value.rcvd is not None
    assert gone.value.rcvd.code == LOGGED_OUT
    with closed.client() as person:
        person.post("/api/v1/session", json={"token": VIEWER})
        cookie = {"Cookie": f"{COOKIE}={person.cookies[COOKIE]}"}
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, additional_headers=cookie, origin="http://evil.example")
    with connect(address, additional_headers=cookie, origin=closed.url) as socket:
        socket.send(json.dumps({"small": ["yard"]}))
        while not isinstance(found := socket.recv(timeout=20), bytes):
            pass
    length = int.from_bytes(found[:4], "little")
    header = json.loads(found[4 : 4 + length])
    assert (header["camera"], header["size"], header["map"]) == ("yard", [64, 48], [4, 3])
    picture = found[4 + length :]
    assert picture[:2] == b"\xff\xd8"
    assert len(picture) == header["jpeg"] + 12


def test_pictures_wait_until_the_browser_has_drawn_the_last_one(gateway: Gateway) -> None:
    address = gateway.url.replace("http", "ws", 1) + "/api/v1/ws"

    def picture(socket: ClientConnection, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with suppress(TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                if isinstance(socket.recv(timeout=left), bytes):
                    return True
        return False

    with connect(address) as socket:
        socket.send(json.dumps({"small": ["yard"]}))
        assert picture(socket, 20)
        for view in ([], ["yard"]):  # in view again: a picture at once
            socket.send(json.dumps({"small": view}))
        assert not picture(socket, 1.5)
        socket.send("drawn")
        assert picture(socket, 2.5)  # less than the time after which it would come anyway


def test_socket_refuses_what_is_no_view(gateway: Gateway) -> None:
    address = gateway.url.replace("http", "ws", 1) + "/api/v1/ws"
    for text in ("nonsense", '{"small": "yard"}', '{"small": ["a b"]}', '{"exec": 1}'):
        with connect(address) as socket:
            socket.send(text)
            with pytest.raises(ConnectionClosed) as gone:
                list(socket)
        assert gone.value.rcvd is not None
        assert gone.value.rcvd.code == 1008, text


def test_tokens_are_made_and_revoked(closed: Gateway) -> None:
    with closed.client(ADMIN) as admin:
        made = admin.post("/api/v1/tokens", json={"name": "pat", "role": "viewer"}).json()
        names = {one["name"] for one in admin.get("/api/v1/tokens").json()["tokens"]}
        assert names == {"ann", "vic", "pat"}
        assert made["token"] not in admin.get("/api/v1/tokens").text
        with closed.client() as pat:
            assert pat.post("/api/v1/session", json={"token": made["token"]}).status_code == 200
            assert pat.get("/api/v1/cameras").status_code == 200
            assert admin.delete("/api/v1/tokens/pat").status_code == 204
            assert pat.get("/api/v1/cameras").status_code == 401
        assert admin.delete("/api/v1/tokens/ann").status_code == 404  # is defined in the file
        assert admin.post("/api/v1/tokens", json={"name": "ann"}).status_code == 409


def test_system_shows_processes_and_storage(gateway: Gateway) -> None:
    with gateway.client() as client:
        shown = client.get("/api/v1/system").json()
    assert {one["name"] for one in shown["processes"]} == {"ingest:yard", "scorer", "sink"}
    assert shown["processes"][0]["memory_bytes"] > 0
    assert shown["storage"]["free_bytes"] > 0
    assert "python" in shown["versions"]


def test_threshold_of_a_camera_of_the_file_is_set(gateway: Gateway) -> None:
    with gateway.client() as client:
        answer = client.put("/api/v1/cameras/yard/threshold", json={"threshold": 1.5})
        assert answer.json()["settings"]["alert"]["enter"] == 1.5
        alarms = client.get("/api/v1/cameras/yard/alarms").json()
        current = alarms["false_alarms_per_day"]
        assert {level["count"] for level in alarms["levels"]} == {0}
        thresholds = {one["false_alarms_per_day"]: one["threshold"] for one in alarms["levels"]}
        assert thresholds[current] == 1.5
        assert thresholds[5.0] == 0.5  # in the present score, times the score of the current event
        assert (
            client.put("/api/v1/cameras/none/threshold", json={"threshold": 1}).status_code == 404
        )


def test_probe_says_what_is_wrong_without_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "street.mp4", pictures=walking_box(20), frames_per_second=10)
    with (
        gateway_run(tmp_path, caplog, {"allow_file_roots": [str(videos)]}) as gateway,
        gateway.client() as client,
    ):
        client.timeout = 60
        for url, code in (
            ("rtsp://admin:planted@127.0.0.1:1/x", "refused"),
            ("/etc/passwd", "malformed"),
            ("{VEDETTE_SECRET}", "malformed"),
        ):
            answer = client.post("/api/v1/probe", json={"url": url})
            assert answer.json()["problem"]["code"] == code, answer.text
            assert "planted" not in answer.text
        found = client.post("/api/v1/probe", json={"url": str(videos / "street.mp4")}).json()
    assert found["report"]["measured_fps"] == pytest.approx(10, abs=0.5)
    assert found["picture"].startswith("/9j/")  # a JPEG file in base64
    assert "planted" not in caplog.text
