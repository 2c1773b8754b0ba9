import pytest

from cameras.address import host_and_port, kind_of, redact


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("rtsp://10.0.0.10/sub", "rtsp"),
        ("RTSP://cam:s3cr%40t@10.0.0.10:8554/sub", "rtsp"),
        ("rtsp://cam:s3cr@t@host/x", "rtsp"),
        ("synthetic:street?seed=3", "synthetic"),
        ("/videos/a clip: one.mp4", "path"),
        ("frames", "path"),
        ("http://cam:s3cr@host/x.mp4", "http"),
        ("HTTPS://host:8443/live", "http"),
        ("webcam:0", "webcam"),
    ],
)
def test_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "ftp://cam:s3cr@host/x.mp4",
        "http://cam:s3cr/t@host/x",
        "http://cam:s3cr@:80/x",
        "rtsp://",
        "rtsp:///x",
        "rtsp://cam:s3cr/t@host/x",
        "rtsp://host:99999/x",
        "rtsp://host:0/x",
        "rtsp://cam:s3cr t@host/x",
        "a\x00b.mp4",
    ],
)
def test_error_of_a_malformed_address_hides_its_password(address: str) -> None:
    with pytest.raises(ValueError, match=r"want .*got") as caught:
        kind_of(address)
    assert "s3cr" not in str(caught.value)


def test_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"rtsp://.*synthetic:.*got the scheme 'ftp'"):
        kind_of("ftp://host/x.m3u8")


def test_host_and_port() -> None:
    assert host_and_port("rtsp://u:p@camera.lan/x") == ("camera.lan", 554)
    assert host_and_port("https://camera.lan/x") == ("camera.lan", 443)
    assert host_and_port("rtsp://u:p@q@[::1]:8554/x") == ("::1", 8554)


@pytest.mark.parametrize(
    "secret",
    ["s3cr", "s3cr@t", "s3cr/t", "s3cr?t#x", "s3cr'\"t", "s3cr:t"],
)
def test_redaction_hides_any_password(secret: str) -> None:
    shown = redact(f"open rtsp://cam:{secret}@10.0.0.1:554/sub failed")
    assert shown == "open rtsp://***@10.0.0.1:554/sub failed"


def test_redaction_hides_passwords_in_paths_and_leaves_the_rest() -> None:
    assert redact("rtsp://h/live?user=a&password=s3cr&ch=1") == (
        "rtsp://h/live?user=a&password=***&ch=1"
    )
    assert redact("mail a@b.c, see rtsp://h/live") == "mail a@b.c, see rtsp://h/live"
