import hashlib
import hmac
import json
import threading
import time
from pathlib import Path

import pytest
import trustme
from http_receiver import receiving
from mqtt_broker import free_port

from pipeline.config import Webhook
from pipeline.notifiers.outbox_message import OutboxMessage
from pipeline.notifiers.retry_policy import Delivered, Failed, Refused
from pipeline.notifiers.webhook import (
    WebhookNotifier,
    outcome_of,
    retry_after_seconds,
    signature,
)
from pipeline.worker import PermanentError

SECRET = "planted-webhook-secret"
LETTER = OutboxMessage("webhook:x", "door-7-1:new:4", "door-7-1", "new", 4, '{"id": "ü"}', 1000.0)


def webhook(port: int, scheme: str = "http", **more: object) -> WebhookNotifier:
    url = f"{scheme}://127.0.0.1:{port}/hooks/planted-path?x=1"
    return WebhookNotifier("x", Webhook.model_validate({"url": url, **more}), lambda: 1234.9)


def test_a_message_arrives_signed() -> None:
    with receiving() as receiver:
        assert webhook(receiver.port, secret=SECRET).deliver(LETTER) == Delivered()
    (post,) = receiver.posts
    assert post.path == "/hooks/planted-path?x=1"
    assert json.loads(post.body) == {"id": "ü"}
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Idempotency-Key"] == LETTER.key
    assert post.headers["X-Vedette-Timestamp"] == "1234"
    # As docs/sinks.md describes it for receivers.
    wanted = hmac.new(SECRET.encode(), b"1234." + post.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(post.headers["X-Vedette-Signature"], f"sha256={wanted}")


def test_known_signature() -> None:
    assert signature("k" * 16, "1700000000", b"{}") == (
        "sha256=" + hmac.digest(b"k" * 16, b"1700000000.{}", "sha256").hex()
    )
    assert signature("k" * 16, "1700000001", b"{}") != signature("k" * 16, "1700000000", b"{}")


def test_without_a_secret_nothing_is_signed() -> None:
    with receiving() as receiver:
        webhook(receiver.port).deliver(LETTER)
    assert "X-Vedette-Signature" not in receiver.posts[0].headers


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_temporary_errors_are_retried(status: int) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (status, {"Retry-After": "17"})
        outcome = webhook(receiver.port).deliver(LETTER)
    assert outcome == Failed(f"got HTTP status {status}, want 2xx", 17.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418])
def test_statuses_of_a_proxy_during_a_restart_are_retried_for_a_while(status: int) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (status, {})
        outcome = webhook(receiver.port).deliver(LETTER)
    assert outcome == Failed(f"got HTTP status {status}, want 2xx", give_up_seconds=600.0)


@pytest.mark.parametrize("status", [413, 415, 422])
def test_permanent_errors_are_refused(status: int) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (status, {})
        outcome = webhook(receiver.port).deliver(LETTER)
    assert outcome == Refused(f"got HTTP status {status}, want 2xx")


def test_redirects_are_not_followed() -> None:
    with receiving() as elsewhere, receiving() as receiver:
        place = f"http://127.0.0.1:{elsewhere.port}/"
        receiver.answer = lambda _: (307, {"Location": place})
        outcome = webhook(receiver.port).deliver(LETTER)
    assert isinstance(outcome, Failed)
    assert outcome.give_up_seconds == 600.0
    assert "redirects are not followed" in outcome.reason
    assert elsewhere.posts == []


def test_retry_after_as_seconds_as_a_date_and_as_nonsense() -> None:
    assert retry_after_seconds("120", 0.0) == 120
    assert retry_after_seconds("Thu, 01 Jan 1970 00:02:00 GMT", 60.0) == 60
    assert retry_after_seconds("Thu, 01 Jan 1970 00:00:00 GMT", 60.0) == 0
    assert retry_after_seconds("soon", 0.0) is None
    assert retry_after_seconds(None, 0.0) is None
    assert outcome_of(503, "-5", 0.0) == Failed("got HTTP status 503, want 2xx", None)


def test_connection_refused() -> None:
    outcome = webhook(free_port()).deliver(LETTER)
    assert outcome == Failed("no connection to 127.0.0.1 (NewConnectionError)", unreachable=True)


def test_an_answer_that_trickles_in_for_ever_ends_at_the_deadline() -> None:
    with receiving() as receiver:
        receiver.stall = threading.Event()
        begin = time.monotonic()
        outcome = webhook(receiver.port, timeout=0.4).deliver(LETTER)
        seconds = time.monotonic() - begin
    assert isinstance(outcome, Failed)
    assert 0.3 < seconds < 3


def test_no_failure_contains_the_path() -> None:
    with receiving() as receiver:
        for status in (302, 404, 500):
            receiver.answer = lambda _, status=status: (status, {})  # type: ignore[misc]
            assert "planted" not in str(webhook(receiver.port).deliver(LETTER))
    assert "planted" not in str(webhook(receiver.port).deliver(LETTER))
    assert "planted" not in repr(Webhook(url="http://h/planted", secret=SECRET))


def test_https_requires_a_trusted_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    pem, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(ca))
    with receiving(tls=pem) as receiver:
        assert webhook(receiver.port, "https", ca=str(ca)).deliver(LETTER) == Delivered()
        stranger = webhook(receiver.port, "https").deliver(LETTER)
    assert isinstance(stranger, Failed)
    assert len(receiver.posts) == 1


def test_an_invalid_ca_file(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"webhooks\.x\.ca: want a file in PEM"):
        webhook(1, "https", ca=str(tmp_path / "none.pem"))
