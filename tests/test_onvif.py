"""ONVIF against a well-behaved and a malicious device on loopback, directly and by multicast."""

import ssl
import time
from collections.abc import Iterator

import pytest
import trustme
from onvif_camera import (
    BILLION_LAUGHS,
    ENVELOPE,
    PASSWORD,
    USER,
    OnvifCamera,
    Stream,
    answering,
    fault,
    onvif_camera,
    two_streams,
)

from cameras.onvif import OnvifError, OnvifLogin, discover_devices, query_device
from cameras.onvif.markup import MAX_BYTES

LOGIN = OnvifLogin(USER, PASSWORD)
SECONDS = 3.0


@pytest.fixture
def camera() -> Iterator[OnvifCamera]:
    with onvif_camera(two_streams()) as camera:
        yield camera


# --- one device -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["token", "digest", "none"])
@pytest.mark.parametrize("ahead_seconds", [0.0, -7e8, 36000.0])
def test_all_properties_for_any_device_clock(
    camera: OnvifCamera, scheme: str, ahead_seconds: float
) -> None:
    camera.login, camera.ahead_seconds = scheme, ahead_seconds  # type: ignore[assignment]
    device = query_device(camera.host, LOGIN, SECONDS)
    assert (device.code, device.problem, device.needs_login) == (None, "", False)
    assert (device.name, device.manufacturer, device.model) == ("Tür €", "Ünlü & Co", "M-1")
    assert device.clock_ahead_seconds == pytest.approx(ahead_seconds, abs=2.0)
    main, sub = device.profiles
    assert (main.codec, main.size_hw, main.frames_per_second) == ("hevc", (1080, 1920), 25)
    assert (main.name, main.source, main.problem) == ("main", "source 1", "")
    assert main.address == "rtsp://127.0.0.1:1/main"
    assert sub.address == "rtsp://127.0.0.1:1/sub?a=1&b=2"
    assert camera.refused == (1 if scheme == "digest" else 0)


@pytest.mark.parametrize("old", ["", "with a fault", "with a page"])
def test_media_service_version_1(camera: OnvifCamera, old: str) -> None:
    camera.old = bool(old)
    if old == "with a page":
        camera.replies["GetServices"], camera.status = b"<html><p>Bad request", 400
    camera.media = ("http://www.onvif.org/ver10/media/wsdl",)
    device = query_device(camera.host, LOGIN, SECONDS)
    assert device.problem == ""
    assert [profile.codec for profile in device.profiles] == ["h264", "h264"]
    assert [profile.source for profile in device.profiles] == ["source 1", "source 1"]
    assert device.profiles[0].address == "rtsp://127.0.0.1:1/main"
    assert ("GetCapabilities" in camera.requested) == camera.old


def test_media_service_1_is_used_where_version_2_fails(camera: OnvifCamera) -> None:
    served, camera.media = camera.media, camera.media[:1]
    camera.replies["GetServices"] = ENVELOPE.format(
        header="",
        body="<GetServicesResponse>"
        + "".join(
            f"<Service><Namespace>{one}</Namespace><XAddr>http://x/y</XAddr></Service>"
            for one in served
        )
        + "</GetServicesResponse>",
    ).encode()
    device = query_device(camera.host, LOGIN, SECONDS)
    assert camera.requested.count("GetProfiles") == 2
    assert [profile.codec for profile in device.profiles] == ["h264", "h264"]


@pytest.mark.parametrize("scheme", ["token", "digest"])
def test_properties_available_without_a_login(camera: OnvifCamera, scheme: str) -> None:
    camera.login = scheme  # type: ignore[assignment]
    device = query_device(camera.host, None, SECONDS)
    assert (device.needs_login, device.problem, device.profiles) == (True, "", [])
    assert device.clock_ahead_seconds == pytest.approx(0, abs=2)


@pytest.mark.parametrize("scheme", ["token", "digest"])
def test_wrong_password_is_tried_only_once(camera: OnvifCamera, scheme: str) -> None:
    camera.login = scheme  # type: ignore[assignment]
    device = query_device(camera.host, OnvifLogin(USER, "else"), SECONDS)
    assert device.code == "unauthorised"
    assert device.profiles == []
    assert camera.refused == (2 if scheme == "digest" else 1)
    assert camera.requested[-1] == "GetDeviceInformation"


def test_password_is_never_sent_in_clear_text(camera: OnvifCamera) -> None:
    camera.replies["GetDeviceInformation"], camera.status = b"", 401
    camera.headers = {"WWW-Authenticate": 'Basic realm="x"'}
    assert query_device(camera.host, LOGIN, SECONDS).code == "unauthorised"
    assert camera.requested.count("GetDeviceInformation") == 1
    assert PASSWORD not in repr(LOGIN)


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="x"',
        "Digest nonsense",
        'Digest realm="x", nonce="y", algorithm=ROT13',
        'Digest realm="x", nonce="y", qop="auth-int"',
        'Digest realm="x", nonce="y", qop="else"',
        'Digest realm="\xfc", nonce="y"',
    ],
)
def test_unsupported_challenges(camera: OnvifCamera, challenge: str) -> None:
    camera.replies["GetDeviceInformation"], camera.status = b"", 401
    camera.headers = {"WWW-Authenticate": challenge}
    device = query_device(camera.host, LOGIN, SECONDS)
    assert device.code == "unauthorised"
    assert "not supported" in device.problem


INVALID_RESPONSES = {
    "nothing": b"",
    "garbage": b"\x00\xff<<<&&&",
    "a page": b"<html><body>Welcome</body></html>",
    "no XML": b"<html><br></html>",
    "a billion laughs": BILLION_LAUGHS,
    "a file": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "too deep": b"<a>" * 100_000,
    "too many": b"<a>" + b"<b/>" * 60_000 + b"</a>",
    "too large": b" " * (MAX_BYTES + 1),
    "zipped": b"\x1f\x8b\x08\x00" + bytes(100),
    "odd letters": b'<?xml version="1.0" encoding="utf-7"?><a/>',
    "unknown letters": b'<?xml version="1.0" encoding="klingon"?><a/>',
    "another response": ENVELOPE.format(header="", body="<GetHostnameResponse/>").encode(),
    "an empty envelope": ENVELOPE.format(header="", body="").encode(),
}


@pytest.mark.parametrize("kind", INVALID_RESPONSES)
@pytest.mark.parametrize("operation", ["GetSystemDateAndTime", "GetProfiles"])
def test_invalid_responses(camera: OnvifCamera, kind: str, operation: str) -> None:
    camera.replies[operation] = INVALID_RESPONSES[kind]
    began = time.monotonic()
    device = query_device(camera.host, LOGIN, SECONDS)
    assert device.code == "no_onvif"
    assert operation in device.problem
    assert device.problem.isprintable()
    assert time.monotonic() - began < 2 * SECONDS


@pytest.mark.parametrize("status", [200, 401])
def test_response_size_is_limited(camera: OnvifCamera, status: int) -> None:
    camera.replies["GetProfiles"], camera.status = bytes(16 * MAX_BYTES), status
    camera.headers = {"WWW-Authenticate": camera.challenge}
    assert "want a response of at most" in query_device(camera.host, LOGIN, SECONDS).problem
    assert camera.requested.count("GetProfiles") == 2  # once for each media service


@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_fault_is_reported_without_control_characters(camera: OnvifCamera, status: int) -> None:
    body = fault("ter:Action", "\u202etoo\x9b31m\nbusy" + "!" * 1000)
    camera.replies["GetProfiles"] = ENVELOPE.format(header="", body=body).encode()
    camera.status = status
    device = query_device(camera.host, LOGIN, SECONDS)
    assert device.code == "fault"
    assert "too 31m busy!" in device.problem
    assert device.problem.isprintable()
    assert len(device.problem) < 250


def test_redirects_are_not_followed(camera: OnvifCamera) -> None:
    with onvif_camera({}) as other:
        camera.replies["GetSystemDateAndTime"], camera.status = b"", 302
        camera.headers = {"Location": f"http://{other.host}/onvif/device_service"}
        assert query_device(camera.host, LOGIN, SECONDS).code == "no_onvif"
    assert other.requested == []


def test_slow_response_ends_at_the_time_out(camera: OnvifCamera) -> None:
    camera.drip_seconds = 0.1
    began = time.monotonic()
    assert query_device(camera.host, LOGIN, 1.0).code == "timeout"
    assert time.monotonic() - began < 5.0


def test_nothing_listens() -> None:
    with onvif_camera({}) as camera:
        host = camera.host
    device = query_device(host, LOGIN, SECONDS)
    assert (device.code, host in device.problem) == ("refused", True)


def test_streams_that_must_not_receive_a_password(camera: OnvifCamera) -> None:
    addresses = {
        "elsewhere": "rtsp://192.0.2.7/x",
        "name": "rtsp://camera.example/x",
        "web": "http://127.0.0.1/x",
        "file": "file:///etc/passwd",
        "control": "rtsp://127.0.0.1/\x85x",
        "port": "rtsp://127.0.0.1:99999/x",
        "safe": "rtsps://127.0.0.1/x",
        "none": "",
        "secret": "rtsp://127.0.0.1/{VEDETTE_TOKEN}",
    }
    camera.streams = {name: Stream(address) for name, address in addresses.items()}
    found = {one.name: one for one in query_device(camera.host, LOGIN, SECONDS).profiles}
    assert list(found) == list(addresses)
    assert {name for name, one in found.items() if not one.problem} == {"secret"}
    assert found["secret"].address == "rtsp://127.0.0.1/%7BVEDETTE_TOKEN%7D"
    shown = {name for name, one in found.items() if one.address}
    assert shown == {"elsewhere", "name", "safe", "secret"}


def test_failed_stream_does_not_hide_the_others(camera: OnvifCamera) -> None:
    gone = camera.streams.pop("main")
    camera.replies["GetProfiles"] = ENVELOPE.format(
        header="",
        body='<GetProfilesResponse><Profiles token="main"><VideoEncoder/></Profiles>'
        '<Profiles token="sub &quot;&lt;1>"><VideoEncoder/></Profiles></GetProfilesResponse>',
    ).encode()
    main, sub = query_device(camera.host, LOGIN, SECONDS).profiles
    assert gone.address
    assert (main.address, "no such profile" in main.problem) == ("", True)
    assert (sub.problem, sub.codec, sub.size_hw) == ("", "", None)


@pytest.mark.parametrize(
    "host", ["", "u:s3cr@h", "a b", "h/x", "h:0", "h:99999", "h?x", "[::1", "h\x1b[31m", "a\\b"]
)
def test_invalid_hosts(host: str) -> None:
    with pytest.raises(ValueError, match="host: want") as caught:
        query_device(host, None, SECONDS)
    assert "s3cr" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_host_by_name(camera: OnvifCamera) -> None:
    device = query_device(f"localhost:{camera.server_port}", LOGIN, SECONDS)
    assert [profile.problem for profile in device.profiles] == ["", ""]


# --- the network ----------------------------------------------------------------------------------


def test_discovery_of_the_network(camera: OnvifCamera) -> None:
    camera.datagrams = lambda answer: [b"garbage", answer, BILLION_LAUGHS, answer, b"x" * 60_000]
    camera.scopes = ["onvif://www.onvif.org/name/T%C3%BCr%1B%5B31m", "odd"]
    streams = {"a": Stream("rtsp://127.0.0.1/a")}
    with onvif_camera(streams) as second, answering(camera, second):
        devices = discover_devices("127.0.0.1", LOGIN, 1.0)
    assert {device.service for device in devices} == {
        f"http://{one.host}/onvif/device_service" for one in (camera, second)
    }
    found = {device.service.split("/")[2]: device for device in devices}
    assert found[camera.host].name == "Tür [31m"
    assert [len(found[one.host].profiles) for one in (camera, second)] == [2, 1]
    # Twice because datagrams may be lost, for each of the types that cameras respond to.
    assert sorted(kind.partition(":")[2] for kind in camera.probed) == [
        "Device",
        "Device",
        "NetworkVideoTransmitter",
        "NetworkVideoTransmitter",
    ]
    assert camera.requested.count("GetProfiles") == 1


def test_only_the_responder_is_queried(camera: OnvifCamera) -> None:
    with answering(camera):
        camera.addresses = ["http://127.0.0.2:1/x", "ftp://127.0.0.1/x", "http://[", "nonsense"]
        (device,) = discover_devices("127.0.0.1", LOGIN, 1.0)
        assert (device.code, device.name) == ("no_onvif", "Tür €")
        assert "--host 127.0.0.1" in device.problem
        assert camera.requested == []
        camera.datagrams = lambda answer: [
            answer.replace(b"</wsa:RelatesTo>", b"0</wsa:RelatesTo>")
        ]
        assert discover_devices("127.0.0.1", LOGIN, 1.0) == []
        camera.datagrams = lambda answer: [answer]
        camera.types, camera.scopes = "wsdp:Device pub:Printer", ["http://printers"]
        assert discover_devices("127.0.0.1", LOGIN, 1.0) == []


def test_self_signed_certificates() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("camera.example").configure_cert(context)
    streams = {"a": Stream("rtsp://127.0.0.1/a")}
    with onvif_camera(streams, context) as camera, answering(camera):
        camera.addresses = [f"https://{camera.host}/onvif/device_service"]
        (device,) = discover_devices("127.0.0.1", LOGIN, 2.0)
    assert (device.service, device.problem) == (camera.addresses[0], "")
    assert len(device.profiles) == 1


def test_services_per_sender_are_limited(camera: OnvifCamera) -> None:
    camera.datagrams = lambda answer: [
        answer.replace(b"/onvif/device_service", b"/%d" % number) for number in range(50)
    ]
    with answering(camera):
        assert len(discover_devices("127.0.0.1", None, 1.0)) == 8


def test_invalid_interfaces() -> None:
    with pytest.raises(ValueError, match="want an IPv4 address of this machine, got '::1'"):
        discover_devices("::1", None, 1.0)
    with pytest.raises(OnvifError, match=r"on the interface 192\.0\.2\.77") as caught:
        discover_devices("192.0.2.77", None, 1.0)
    assert caught.value.code == "network"
