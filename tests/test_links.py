"""Signed links to pictures of events: valid for one path and some days only."""

import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from gateway_run import TOKENS, VIEWER, gateway_run
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from test_alert_sink import course, expected_events

from pipeline.config.api import Api
from pipeline.events.event import EventChange
from pipeline.notifiers.links import LINK_SECONDS, Links
from pipeline.notifiers.message import event_message
from pipeline.storage.store import EventStore

PATH = "/api/v1/events/yard-7-10/snapshot.jpg"


def query(text: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(text).query).items()}


def test_a_link_is_valid_for_its_path_and_time(tmp_path: Path) -> None:
    links = Links.of(tmp_path)
    signed = query(links.query(PATH, 1000.0))
    assert links.is_valid(PATH, signed, 1000.0)
    assert Links.of(tmp_path).is_valid(PATH, signed, 1000.0 + LINK_SECONDS - 1)  # another process
    assert not links.is_valid(PATH, signed, 1000.0 + LINK_SECONDS)
    assert not links.is_valid(PATH.replace("10", "11"), signed, 1000.0)
    later = {**signed, "expires": str(int(signed["expires"]) + 1)}
    assert not links.is_valid(PATH, later, 1000.0)
    assert not links.is_valid(PATH, {}, 1000.0)
    assert stat.S_IMODE((tmp_path / "link.key").stat().st_mode) == 0o600


@given(st.text(max_size=20), st.text(max_size=70))
def test_malformed_links_are_invalid(expires: str, signature: str) -> None:
    links = Links(b"k" * 32)
    assert not links.is_valid(PATH, {"expires": expires, "signature": signature}, 0.0)


def test_a_damaged_key_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "link.key").write_bytes(b"")
    links = Links.of(tmp_path)
    assert links.is_valid(PATH, query(links.query(PATH, 0.0)), 0.0)
    assert len(list(tmp_path.glob("link.key.damaged-*"))) == 1


def test_the_public_address_is_checked() -> None:
    assert Api(public_url="https://cams.example.org/vedette/").public_url == (
        "https://cams.example.org/vedette"
    )
    for wrong in ("cams.example.org", "ftp://x", "https://u:p@x", "https://x/?a=1", "https://x y"):
        with pytest.raises(ValidationError, match="want http"):
            Api(public_url=wrong)


def test_a_message_has_before_and_after_and_whole_addresses() -> None:
    event = replace(expected_events(course())[0], zones=("porch",))
    message = event_message(
        EventChange("end", event), "a.jpg", None, api=True, link=lambda path: f"https://x{path}?s"
    )
    assert message is not None
    assert message.snapshot_url == f"https://x/api/v1/events/{event.id}/snapshot.jpg?s"
    assert message.after is not None
    assert message.before == message.after  # no message was sent before
    assert message.after.end_time == event.ended_at
    assert (message.after.entered_zones, message.after.current_zones) == (("porch",), ())
    assert (message.after.label, message.after.camera) == ("anomaly", "door")
    earlier = replace(message.after, end_time=None)
    again = event_message(EventChange("end", event), "a.jpg", None, api=True, before=earlier)
    assert again is not None
    assert again.before == earlier


def test_the_gateway_serves_a_picture_by_its_link(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shift = time.time() - 1100
    event = expected_events(course("yard"))[0]
    event = replace(
        event, started_at=event.started_at + shift, ended_at=(event.ended_at or 0) + shift
    )
    with EventStore(tmp_path / "events.sqlite") as store:
        store.save([event], {})
    folder = tmp_path / "events" / "yard" / event.id
    folder.mkdir(parents=True)
    (folder / "snapshot.jpg").write_bytes(b"picture")
    (folder / "heatmap.jpg").write_bytes(b"heat")
    path = f"/api/v1/events/{event.id}/snapshot.jpg"
    link = path + Links.of(tmp_path).query(path, time.time())
    with gateway_run(tmp_path, caplog, TOKENS) as gateway:
        with gateway.client() as anonymous:
            assert anonymous.get(link).content == b"picture"
            assert anonymous.get(path).status_code == 401
            assert anonymous.get(link.replace("snapshot", "heatmap")).status_code == 403
            assert anonymous.get(link.replace("/snapshot.jpg", "")).status_code == 401
            assert anonymous.get(link[:-1] + ("0" if link[-1] != "0" else "1")).status_code == 403
            old = path + Links.of(tmp_path).query(path, time.time() - LINK_SECONDS - 5)
            refused = anonymous.get(old)
            assert refused.status_code == 403
            assert "has not expired" in json.dumps(refused.json())
        with gateway.client(VIEWER) as viewer:
            assert viewer.get(path).content == b"picture"
