"""Parsing of untrusted ONVIF data: no input causes an unexpected error."""

import base64
import hashlib
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onvif_camera import BILLION_LAUGHS, ENVELOPE, Stream, onvif_camera

from cameras.address import host_and_port
from cameras.onvif import OnvifError, OnvifLogin
from cameras.onvif.discovery import read_probe_matches
from cameras.onvif.markup import MAX_BYTES, MarkupError, clean, parse
from cameras.onvif.replies import (
    read_clock,
    read_profiles,
    read_scopes,
    read_services,
    read_stream,
    same_host,
)
from cameras.onvif.soap import read_reply, security_header

UUID = "4f6a3c1e-0000-4000-8000-00000000000a"
HOSTS = ("10.0.0.5", "fe80::1")
VALID = (
    "<Uri>rtsp://u:s3cr@10.0.0.5/{X}</Uri>", "<Uri>rtsp://[::1</Uri>", "<Uri>rtsp://[fe80::1]/</Uri>",
    "<Uri>rtsp://10.0.0.5/&#x202e;</Uri>", "<Uri>rtsp:///</Uri>", "<Uri>rtsps://10.0.0.5:0/</Uri>",
    "<Profiles token='a'><Name>&#x9b;31m</Name><VideoEncoder><Resolution><Height>-1</Height><Width>"
    "1e999</Width></Resolution></VideoEncoder></Profiles>",
    "<Profiles token='b'><VideoEncoder><Encoding>H265\x85</Encoding><Resolution><Height>9</Height>"
    "<Width>9</Width></Resolution><RateControl><FrameRateLimit>nan</FrameRateLimit></RateControl>"
    "</VideoEncoder></Profiles>",
    "<Profiles/>", "<Service><Namespace/><XAddr>http://[</XAddr></Service>", "<Service/>", "🎥",
    "<SystemDateAndTime><UTCDateTime><Date><Year>99999999999</Year><Month>0</Month><Day>1</Day>"
    "</Date><Time><Hour>1</Hour><Minute>1</Minute><Second>1</Second></Time></UTCDateTime>"
    "</SystemDateAndTime>",
    "<ProbeMatch><Types>NetworkVideoTransmitter</Types><XAddrs>http://[ http://10.0.0.5:99999/ "
    "ftp://10.0.0.5/ http://u:s3cr@10.0.0.5/&#x202e; http://u:s3cr@10.0.0.5/x</XAddrs></ProbeMatch>",
    "<ProbeMatch><Scopes>onvif://www.onvif.org/name/%1b%ff%00 onvif://www.onvif.org/</Scopes>"
    "</ProbeMatch>",
)  # fmt: skip
BROKEN = ("<Fault/>", "<Uri>", "</Uri>", "<!DOCTYPE x>", "&#27;", "&lt;", "<![CDATA[", "\x00")
OPERATIONS = ("GetProfiles", "GetStreamUri", "GetSystemDateAndTime", "GetServices")


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Garbage, invalid XML, and complete envelopes with unusual content."""
    pieces = VALID if draw(st.booleans()) else VALID + BROKEN
    body = "".join(draw(st.lists(st.sampled_from(pieces), max_size=6)))
    names = ("ProbeMatches", *(f"{operation}Response" for operation in OPERATIONS))
    body = "".join(f"<{name}>{body}</{name}>" for name in names)
    data = ENVELOPE.format(header="", body=body).encode()
    kind = draw(st.sampled_from(("whole", "whole", "cut", "garbage")))
    if kind == "garbage":
        return draw(st.binary())
    if kind == "cut":
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(st.binary(max_size=8)) + data[start + draw(st.integers(0, 9)) :]
    return data


def is_displayable(*texts: str) -> bool:
    return all(text.isprintable() and len(text) <= 2000 for text in texts)


@settings(max_examples=300)
@given(documents())
def test_datagrams(data: bytes) -> None:
    for answer in read_probe_matches(data, "10.0.0.5", [UUID]):
        assert is_displayable(answer.service, answer.scopes.name, answer.scopes.model)
        assert not answer.service or host_and_port(answer.service)[0] == "10.0.0.5"
        assert "@" not in answer.service


@settings(max_examples=300)
@given(documents(), st.sampled_from(OPERATIONS), st.sampled_from((200, 401, 404, 500)))
def test_replies(data: bytes, operation: str, status: int) -> None:
    refusal = None
    try:
        reply = read_reply(status, data, operation)
    except OnvifError as error:
        refusal = str(error)
    if refusal is not None:
        assert is_displayable(refusal)
        return
    seconds = read_clock(reply)
    assert seconds is None or 0 <= seconds < 4.2e9
    assert all(isinstance(place, str) for place in read_services(reply).values())
    for profile in read_profiles(reply):
        assert is_displayable(profile.name, profile.source, profile.codec)
        assert profile.size_hw is None or min(profile.size_hw) > 0
        assert profile.frames_per_second is None or profile.frames_per_second > 0
    address, problem = read_stream(reply, HOSTS)
    assert is_displayable(address, problem)
    assert not {*"{}"} & {*address}
    assert "@" not in urlsplit(address).netloc
    if address and not problem:
        assert any(same_host(host_and_port(address)[0], host) for host in HOSTS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
        BILLION_LAUGHS,
        b"<a>&x;</a>",
        b"<a>" * 65 + b"</a>" * 65,
        b"<a>" + b"<b/>" * 50_000 + b"</a>",
        b"<a>" + b" " * MAX_BYTES + b"</a>",
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_rejected_markup(data: bytes) -> None:
    with pytest.raises(MarkupError, match="want "):
        parse(data)


def test_accepted_markup() -> None:
    # Cameras use undeclared prefixes and other encodings.
    head = b'<?xml version="1.0" encoding="iso-8859-1"?>'
    root = parse(head + b'<x:a y:b="1">\xe9<c/></x:a>')
    assert (root.tag, root.attrib, root.text, root[0].tag) == ("a", {"b": "1"}, "é", "c")
    assert parse(b"<a>" * 64 + b"</a>" * 64).tag == "a"
    assert clean("  a\x1b[31m\n\u202eb\x00c\ud800  ") == "a [31m b c"
    assert len(clean("x" * 10_000)) == 120


def test_probe_matches() -> None:
    with onvif_camera({"a": Stream("")}) as camera:
        camera.addresses = ["http://u:s3cr@10.0.0.5:8000/x/y?z"]
        data, other = camera.matches(), camera.matches(f"<RelatesTo>urn:uuid:{UUID}</RelatesTo>")
    for one in (data, other, other.replace(UUID.encode(), UUID.upper().encode())):
        (answer,) = read_probe_matches(one, "10.0.0.5", [UUID])
        assert answer.service == "http://10.0.0.5:8000/x/y"
        assert (answer.scopes.name, answer.scopes.model) == ("Tür €", "M-1")
    assert read_probe_matches(other, "10.0.0.5", [UUID.replace("a", "b")]) == []
    assert read_probe_matches(data, "10.0.0.6", [UUID])[0].service == ""
    assert read_scopes(["onvif://www.onvif.org/name/a", "onvif://www.onvif.org/name/b"]).name == "a"


def clock(**parts: object) -> float | None:
    given = {"Year": 2024, "Month": 2, "Day": 29, "Hour": 23, "Minute": 59, "Second": 30, **parts}
    date, time = (
        "".join(f"<{name}>{given[name]}</{name}>" for name in names)
        for names in (("Year", "Month", "Day"), ("Hour", "Minute", "Second"))
    )
    return read_clock(
        parse(
            "<r><SystemDateAndTime><UTCDateTime>"
            f"<Time>{time}</Time><Date>{date}</Date></UTCDateTime></SystemDateAndTime></r>".encode()
        )
    )


def test_clocks() -> None:
    assert clock() == datetime(2024, 2, 29, 23, 59, 30, tzinfo=UTC).timestamp()
    assert clock(Second=60) == clock(Second=59)
    assert clock(Year=1970, Month=1, Day=1, Hour=0, Minute=0, Second=0) == 0
    wrong = ({"Year": 0}, {"Year": 9999}, {"Month": 13}, {"Day": 30}, {"Hour": ""}, {"Minute": "x"})
    assert [clock(**one) for one in wrong] == [None] * len(wrong)
    assert read_clock(parse(b"<r/>")) is None


def test_token_matches_the_standard() -> None:
    created, nonce = datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC), b"\x01" * 16
    header = security_header(OnvifLogin("<u>", "pässword"), created, nonce)
    digest = hashlib.sha1(nonce + b"2010-09-16T07:50:45Z" + "pässword".encode()).digest()
    assert f">{base64.b64encode(digest).decode()}<" in header
    assert "<w:Username>&lt;u&gt;</w:Username>" in header
    assert "pässword" not in header
