import json
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from gateway_run import ADMIN, LEARNING, PASSWORD, TOKENS, VIEWER, Gateway, gateway_run
from stage_parts import run_info, small_config, worker_context
from test_alert_sink import course, expected_events, score

from pipeline.config import Api
from pipeline.gateway import server
from pipeline.gateway.app import openapi_document
from pipeline.gateway.authentication import Authenticator, DeniedError, ExposedError, FailureLimit
from pipeline.gateway.middleware import LARGEST_BODY_BYTES
from pipeline.gateway.tokens import (
    Caller,
    TokenError,
    create_token,
    generated_tokens,
    load_tokens,
    revoke_token,
)
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreError
from pipeline.transport.messages import ScoreMessage
from pipeline.transport.scores import ScoreSender
from pipeline.worker import PermanentError

DOCS = Path(__file__).parents[1] / "docs"
STREET: dict[str, Any] = {"source": {"url": "synthetic:street"}}


def test_openapi_document_is_the_committed_one() -> None:
    committed = (DOCS / "openapi.json").read_text(encoding="utf-8")
    assert openapi_document() == json.loads(committed), "python -m pipeline.gateway.openapi"


def test_documentation_names_every_route() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    routes = openapi_document()["paths"]
    missing = [
        f"{method.upper()} {path}"
        for path, methods in routes.items()
        for method in methods
        if f"`{method.upper()} {path}`" not in page
    ]
    assert not missing


# Authentication.


def test_tokens_are_stored_as_hashes(tmp_path: Path) -> None:
    token = create_token(tmp_path, "ann", "admin")
    other = create_token(tmp_path, "vic", "viewer")
    path = tmp_path / "tokens.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    book = load_tokens(Api.model_validate(TOKENS), tmp_path)
    assert (book.caller(token), book.caller(token[:-1])) == (None, None), "given ones go first"
    assert book.caller(ADMIN) == Caller("ann", "admin")
    book = load_tokens(Api(), tmp_path)
    assert [one and one.role for one in map(book.caller, (token, other, ""))] == [
        "admin",
        "viewer",
        None,
    ]
    assert generated_tokens(tmp_path) == {"ann": "admin", "vic": "viewer"}
    revoke_token(tmp_path, "ann")
    assert load_tokens(Api(), tmp_path).caller(token) is None
    with pytest.raises(TokenError, match="want one of vic"):
        revoke_token(tmp_path, "ann")
    path.write_text("[]")
    with pytest.raises(TokenError, match=r"tokens\.json: want a file"):
        load_tokens(Api(), tmp_path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "camera-server"])
def test_other_machines_need_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(ExposedError, match="other machines can reach, and no tokens"):
        Authenticator(Api(host=host), tmp_path)
    create_token(tmp_path, "ann", "admin")
    assert not Authenticator(Api(host=host), tmp_path).open


def test_tokens_are_required_from_the_first_one_on(tmp_path: Path) -> None:
    guard = Authenticator(Api(), tmp_path)
    assert guard.admit("admin", "127.0.0.1", None).name == "this machine"
    token = create_token(tmp_path, "ann", "admin")
    with pytest.raises(DeniedError, match="got none"):
        guard.admit("viewer", "127.0.0.1", None)
    assert guard.admit("admin", "127.0.0.1", token).name == "ann"
    (tmp_path / "tokens.json").unlink()
    with pytest.raises(DeniedError):
        guard.admit("viewer", "127.0.0.1", token)


def test_wrong_tokens_are_rate_limited(tmp_path: Path) -> None:
    now = [0.0]
    guard = Authenticator(Api.model_validate(TOKENS), tmp_path, clock=lambda: now[0])

    def status(address: str, token: str) -> int:
        try:
            guard.admit("viewer", address, token)
        except DeniedError as error:
            return error.status
        return 200

    assert [status("10.0.0.9", "x" * 16) for _ in range(11)] == [401] * 10 + [429]
    assert status("10.0.0.9", VIEWER) == 429
    assert status("10.0.0.8", VIEWER) == 200
    now[0] = 60.0
    assert status("10.0.0.9", VIEWER) == 200
    limit = FailureLimit()
    for number in range(5000):
        limit.failed(str(number), 0.0)
    assert len(limit._failed_at) <= 1024


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8470", None, None),
        ("localhost:8470", "http://localhost:8470", None),
        ("[::1]:8470", None, None),
        ("evil.example:8470", None, 421),
        ("evil.example:8470", "http://evil.example:8470", 421),
        ("127.0.0.1:8470", "http://evil.example", 403),
        ("127.0.0.1:8470", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:8470", "null", 403),
        ("", None, 421),
    ],
)
def test_pages_of_another_origin(
    host: str, origin: str | None, status: int | None, tmp_path: Path
) -> None:
    guard = Authenticator(Api(), tmp_path)
    if status is None:
        guard.check_page(host, origin)
        return
    with pytest.raises(DeniedError) as denied:
        guard.check_page(host, origin)
    assert denied.value.status == status


def test_unusable_address_and_certificate_are_reported_once(tmp_path: Path) -> None:
    run = run_info(tmp_path / "sockets", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for api, message in (
            (
                {"port": taken.getsockname()[1]},
                r"api\.host, api\.port: cannot listen on \S+: address already in use$",
            ),
            ({"tls": {"certificate": "no.pem", "key": "no.key"}}, "want a certificate"),
            ({"host": "0.0.0.0"}, "no tokens"),
        ):
            config = small_config(["yard"], api={"enabled": True, "port": 0, **api})
            with pytest.raises(PermanentError, match=message):
                server.run(worker_context("gateway", config, run))


# What it serves.


@pytest.fixture
def gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Gateway]:
    with gateway_run(tmp_path, caplog) as running:
        yield running


@pytest.fixture
def closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Gateway]:
    with gateway_run(tmp_path, caplog, TOKENS) as running:
        yield running


def test_cameras_over_http(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.client() as client:
        (yard,) = client.get("/api/v1/cameras").json()["cameras"]
        assert (yard["name"], yard["origin"], yard["state"]) == ("yard", "file", "watching")
        assert yard["learning"] == LEARNING
        assert yard["settings"]["source"]["url"] == "rtsp://***@127.0.0.1:1/yard?***"
        added = client.post("/api/v1/cameras", json={"name": "street", "camera": STREET})
        assert (added.status_code, added.json()["origin"]) == (201, "attached")
        again = client.post("/api/v1/cameras", json={"name": "street", "camera": STREET})
        assert again.status_code == 409
        assert again.json() == {"detail": "camera street: want a new name, got one in use"}
        changed = client.patch("/api/v1/cameras/street", json={"alert": {"cooldown": 5}})
        assert changed.json()["settings"]["alert"]["cooldown"] == 5
        assert client.post("/api/v1/cameras/street/disable").json()["state"] == "disabled"
        assert client.post("/api/v1/cameras/street/enable").json()["enabled"]
        assert client.post("/api/v1/cameras/yard/adapt").status_code == 202
        assert client.get("/api/v1/cameras/yard/scenes").json() == {"scenes": []}
        assert client.delete("/api/v1/cameras/yard").status_code == 409
        assert client.delete("/api/v1/cameras/street").status_code == 204
        assert client.get("/api/v1/cameras/street").status_code == 404
        assert client.get("/api/v1/cameras/..%2F..").status_code in (404, 422)
        for url in ("/etc/passwd", "file:///etc/passwd", "rtsp://{HOME}/x"):
            refused = client.post("/api/v1/cameras", json={"name": "x", "camera": {"source": url}})
            assert refused.status_code == 422
        assert client.get("/readyz").json() == {"ok": True}
        assert client.get("/healthz").json() == {"ok": True}
        assert client.post("/api/v1/config/reload").status_code == 409, "there is no file here"
        schema = client.get("/api/v1/config/schema.json").json()
        assert schema["title"] == "Vedette configuration"


def test_old_pictures_are_not_shown(gateway: Gateway) -> None:
    with gateway.client() as client:
        for name in ("latest", "heatmap"):
            answer = client.get(f"/api/v1/cameras/yard/{name}.jpg")
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["cache-control"] == "no-store"
            picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            assert picture.shape[2] == 3
        gateway.backend.captured_at = time.time() + 86_400  # the clock was set back since
        gateway.backend.age_seconds = 60.0
        old = client.get("/api/v1/cameras/yard/latest.jpg")
        assert old.status_code == 503
        assert "the newest frame is 60 s old" in old.json()["detail"]
        assert client.get("/api/v1/cameras/yard/latest.jpg?max_age=100").status_code == 200


def test_events_over_http(gateway: Gateway, tmp_path: Path) -> None:
    # Not long ago, or the retention of the sink would clean them away.
    shift = time.time() - 1100
    events = [
        replace(
            event,
            id=f"yard-7-{event.first_index}",
            camera="yard",
            started_at=event.started_at + shift,
            ended_at=(event.ended_at or 0) + shift,
            zones=("porch", "path"),
        )
        for event in expected_events(course())
    ]
    with EventStore(tmp_path / "events.sqlite") as store:
        store.save(events, {})
    newest = events[-1].id
    folder = tmp_path / "events" / "yard" / newest
    folder.mkdir(parents=True)
    (folder / "snapshot.jpg").write_bytes(b"picture")
    with gateway.client() as client:
        page = client.get("/api/v1/events", params={"limit": 2}).json()
        assert [event["id"] for event in page["events"]] == [newest, events[-2].id]
        assert page["events"][0]["snapshot"] == f"/api/v1/events/{newest}/snapshot.jpg"
        assert page["events"][1]["snapshot"] is None
        shown = [(event["zones"], event["suppressed_by"]) for event in page["events"]]
        assert shown == [(["porch", "path"], None), (["porch", "path"], "cooldown")]
        assert client.get("/api/v1/events", params={"zone": "yard"}).json()["events"] == []
        assert len(client.get("/api/v1/events", params={"zone": "path"}).json()["events"]) == 3
        cursor = {"cursor": page["next_cursor"], "limit": 2}
        rest = client.get("/api/v1/events", params=cursor).json()
        assert [event["id"] for event in rest["events"]] == [events[0].id]
        assert rest["next_cursor"] is None
        assert client.get(page["events"][0]["snapshot"]).content == b"picture"
        assert client.get(f"/api/v1/events/{newest}/clip.mp4").status_code == 404
        assert client.get("/api/v1/events", params={"cursor": "nonsense"}).status_code == 422
        change = {"acknowledged": True, "label": "normal", "note": "the postman"}
        labelled = client.patch(f"/api/v1/events/{newest}", json=change).json()
        assert labelled["acknowledged_at"] == pytest.approx(time.time(), abs=60)
        assert (labelled["label"], labelled["note"]) == ("normal", "the postman")
        span = {"begin": events[-1].started_at, "end": events[-1].ended_at}
        scene = {"name": "yard", "event": newest}
        orders = gateway.backend.orders
        assert [(one.command, one.arguments) for one in orders] == [
            ("accept_as_normal", scene | span)
        ]
        assert not labelled["accepted_as_normal"], "the scorer has kept nothing of it"
        kept = client.patch(f"/api/v1/events/{newest}", json={"note": None}).json()
        assert (kept["label"], kept["note"]) == ("normal", None)
        assert client.patch(f"/api/v1/events/{newest}", json={"label": "x"}).status_code == 422
        assert client.patch("/api/v1/events/yard-9-9", json={}).status_code == 404
        assert len(orders) == 1, "only labels are sent to the scorer"
        memory = tmp_path / "scenes" / "yard" / "memory"
        memory.mkdir(parents=True)
        (memory / f"{newest}.safetensors").write_bytes(b"remembered")
        assert client.get(f"/api/v1/events/{newest}").json()["accepted_as_normal"]
        other = client.patch(f"/api/v1/events/{newest}", json={"label": "anomaly"}).json()
        assert other["label"] == "anomaly"
        assert (orders[-1].command, orders[-1].arguments) == ("revoke_normal", scene)
        client.patch(f"/api/v1/events/{newest}", json={"label": "normal"})
        wanted = {"label": "normal"}
        found = client.get("/api/v1/events", params=wanted).json()["events"]
        assert [event["id"] for event in found] == [newest]
        for path in ("..", "yard-7-9%2F..", "%2e%2e%2fevents.sqlite", "../events.sqlite"):
            answer = client.get(f"/api/v1/events/{path}/snapshot.jpg")
            assert answer.status_code in (404, 422)
        assert client.get("/api/v1/cameras/yard/scores").json() == {"scores": []}


def test_an_event_that_ends_on_a_full_disk_is_not_shown_as_active(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("event store: cannot be written: the disk is full")

    shift = time.time() - 1010
    course_of_one = [*course("yard")[:16], *(score("yard", index, 0.1) for index in range(16, 90))]
    messages = [replace(one, captured_at=one.captured_at + shift) for one in course_of_one]
    with (
        gateway.client() as client,
        ScoreSender(gateway.backend.run_info.endpoints, 0.2) as scores,
    ):

        def send(some: Sequence[ScoreMessage]) -> None:
            for message in some:
                scores.send(message)
            wait_for(lambda: not scores.poll(0.05) and not scores.unacknowledged)

        def going_on() -> list[str]:
            page = client.get("/api/v1/events", params={"active": True}).json()
            return [event["id"] for event in page.get("events", [])]

        send(messages[:16])
        wait_for(lambda: going_on() == ["yard-7-10"])
        monkeypatch.setattr(EventStore, "save", full)
        send(messages[16:])
        wait_for(lambda: going_on() == [])
        event = client.get("/api/v1/events/yard-7-10").json()
        assert event["ended_at"] == pytest.approx(shift + 1001.5)
        monkeypatch.undo()


def wait_for(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_live_updates(gateway: Gateway) -> None:
    run = gateway.backend.run_info
    with (
        gateway.client() as client,
        client.stream("GET", "/api/v1/live", params={"camera": "yard"}) as answer,
        ScoreSender(run.endpoints, 0.2) as scores,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        state = next_update(lines, "state")
        assert (state["camera"], state["state"]) == ("yard", "watching")
        for message in course("yard")[:16]:
            scores.send(message)
        assert next_update(lines, "score")["camera"] == "yard"
        event = next_update(lines, "event")
        assert (event["change"], event["camera"]) == ("new", "yard")
        assert event["snapshot"] == f"/api/v1/events/{event['id']}/snapshot.jpg"
        assert client.get(event["snapshot"]).headers["content-type"] == "image/jpeg"


def next_update(lines: Iterator[str], kind: str) -> dict[str, Any]:
    """The next update of a kind."""
    for line in lines:
        if line == f"event: {kind}":
            body: dict[str, Any] = json.loads(next(lines).removeprefix("data: "))
            return body
    raise AssertionError(f"the stream ended without {kind}")


def test_roles(closed: Gateway) -> None:
    with (
        closed.client() as anonymous,
        closed.client(VIEWER) as viewer,
        closed.client(ADMIN) as admin,
    ):
        refused = anonymous.get("/api/v1/cameras")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert anonymous.get("/healthz").status_code == 200
        assert anonymous.get("/api/v1/live").status_code == 401
        assert viewer.get("/api/v1/cameras").status_code == 200
        for method, path in (
            ("POST", "/api/v1/cameras/yard/adapt"),
            ("POST", "/api/v1/config/reload"),
            ("DELETE", "/api/v1/cameras/yard"),
            ("PATCH", "/api/v1/events/yard-1-1"),
        ):
            body = {"json": {}} if method == "PATCH" else {}
            assert viewer.request(method, path, **body).status_code == 403
        assert admin.post("/api/v1/cameras/yard/adapt").status_code == 202


def test_every_route_requires_a_token(closed: Gateway) -> None:
    document = openapi_document()["paths"]
    with closed.client() as anonymous:
        for path, methods in document.items():
            place = path.format(name="yard", event="yard-1-1", scene="s", clip=0, token="t")
            for method in methods:
                status = anonymous.request(method, place, json={}).status_code
                assert status == (200 if path in ("/healthz", "/readyz") else 401), path


def test_head_is_answered_as_get_without_a_body(gateway: Gateway) -> None:
    with gateway.client() as client:
        for path in openapi_document()["paths"]:
            place = path.format(name="yard", event="yard-1-1", scene="s", clip=0, token="t")
            if "get" not in openapi_document()["paths"][path] or path.endswith(
                ("/live", "/system")  # without an end, and other each time
            ):
                continue
            head, get = client.head(place), client.get(place)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers["content-type"] == get.headers["content-type"], path
            assert head.headers["content-length"] == str(len(get.content)), path
        # What never ends is answered, too.
        assert client.head("/api/v1/live").status_code == 200
        assert client.get("/healthz").json() == {"ok": True}


def test_malformed_names_are_unknown(gateway: Gateway) -> None:
    with gateway.client() as client:
        for path, what in (
            ("/api/v1/events/nosuch", "event"),
            ("/api/v1/cameras/no such", "camera"),
            ("/api/v1/cameras/yard/scenes/no such/restore", "scene"),
        ):
            answer = client.request("POST" if "restore" in path else "GET", path)
            assert answer.status_code == 404
            assert answer.json() == {"detail": f"{what}: there is none of that name"}
        named = client.post("/api/v1/cameras", json={"name": "no such", "camera": {}})
        assert named.status_code == 422
        assert named.json() == {"detail": 'body.name: want 1 to 64 letters, digits, "_" or "-"'}


def test_processes_are_shown_with_role_and_pid(gateway: Gateway) -> None:
    with gateway.client() as client:
        workers = client.get("/api/v1/service").json()["workers"]
    assert {(one["name"], one["pid"]) for one in workers} == {
        ("ingest:yard", 1),
        ("scorer", 1),
        ("sink", 1),
    }


def test_too_large_bodies_and_other_origins(gateway: Gateway) -> None:
    with gateway.client() as client:
        large = "x" * (LARGEST_BODY_BYTES + 1)
        assert client.post("/api/v1/cameras", content=large).status_code == 413
        chunks = (b"x" * 10_000 for _ in range(20))
        assert client.post("/api/v1/cameras", content=chunks).status_code == 413
        deep = b"[" * 30_000
        as_json = {"Content-Type": "application/json"}
        assert client.post("/api/v1/cameras", content=deep, headers=as_json).status_code < 500
        plain = json.dumps({"name": "x", "camera": STREET})
        sly = {"Content-Type": "text/plain"}  # what a form of a page from elsewhere can send
        assert client.post("/api/v1/cameras", content=plain, headers=sly).status_code == 422
        page = {"Origin": "http://evil.example"}
        assert client.post("/api/v1/cameras/yard/adapt", headers=page).status_code == 403
        bound = {"Host": "evil.example"}
        assert client.get("/api/v1/cameras", headers=bound).status_code == 421


def test_planted_password_is_never_shown(
    closed: Gateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[httpx.Response] = []
    with closed.client(ADMIN) as client:
        answers += [client.get(path) for path in ("/api/v1/cameras", "/api/v1/cameras/yard")]
        for url in (f"ftp://u:{PASSWORD}@h/x", f"rtsp://u:{PASSWORD}@h:0/x", f"/{PASSWORD}"):
            bad = {"name": "x", "camera": {"source": {"url": url, "fps": "fast"}}}
            answers.append(client.post("/api/v1/cameras", json=bad))
            answers.append(client.patch("/api/v1/cameras/yard", json=bad))
            answers.append(client.post("/api/v1/cameras", json={"nam": url}))
        good = {"name": "ok", "camera": {"source": f"rtsp://u:{PASSWORD}@127.0.0.1:1/x"}}
        answers.append(client.post("/api/v1/cameras", json=good))
        assert answers[-1].status_code == 201
    shown = [*(f"{one.text}{one.headers}" for one in answers), *caplog.text.splitlines()]
    for secret in (PASSWORD, ADMIN, VIEWER):
        assert [text for text in shown if secret in text] == []
    assert stat.S_IMODE((tmp_path / "cameras.json").stat().st_mode) == 0o600
