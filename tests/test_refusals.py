"""Messages for the refusals of a camera."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cameras import SourceError, SourceOptions, open_source
from cameras.source import ErrorCode
from pipeline.cli.probe_advice import what_to_do

PASSWORD = "s3crets3cret"


@contextmanager
def refusing(status: str, *challenges: str) -> Iterator[tuple[int, list[str]]]:
    """An RTSP server with a fixed response to DESCRIBE; yields port and received headers."""
    received: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while lines := self._request():
                received.extend(line for line in lines if line.startswith("Authorization"))
                number = re.search(r"CSeq: *(\d+)", "\n".join(lines))
                assert number is not None
                head = [f"CSeq: {number[1]}"]
                if lines[0].startswith("OPTIONS"):
                    answer = "200 OK"
                    head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY")
                else:
                    answer = status
                    head += [f"WWW-Authenticate: {one}" for one in challenges]
                text = "\r\n".join([f"RTSP/1.0 {answer}", *head, "", ""])
                self.wfile.write(text.encode())

        def _request(self) -> list[str]:
            lines: list[str] = []
            while (line := self.rfile.readline()) not in (b"", b"\r\n"):
                lines.append(line.decode("latin-1").strip())
            return lines

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "challenge", "login", "said"),
    [
        ("401 Unauthorized", 'Digest realm="c", nonce="6d4f", algorithm=SHA-256', True,
         "it requires authentication by digest with SHA-256, which is not supported (no password "
         "was sent): set the camera to basic, or digest with MD5"),
        ("401 Unauthorized", 'Digest realm="c", nonce="6d4f"', False,
         "it requires a user and a password (Digest authentication), and none was given"),
        ("401 Unauthorized", 'Digest realm="c", nonce="6d4f"', True,
         "it does not accept this user and password (Digest authentication)"),
        ("401 Unauthorized", 'Basic realm="c"', True,
         "it does not accept this user and password (Basic authentication)"),
        ("403 Forbidden", None, True,
         "it denies access to this address with this user and password (status 403)"),
        ("403 Forbidden", None, False,
         "it denies access to this address without a user and a password (status 403)"),
    ],
)  # fmt: skip
def test_rtsp_cameras_that_deny_access(
    status: str, challenge: str | None, login: bool, said: str
) -> None:
    with refusing(status, *([challenge] if challenge else [])) as (port, received):
        who = f"u:{PASSWORD}@" if login else ""
        with pytest.raises(SourceError) as caught:
            open_source(
                f"rtsp://{who}127.0.0.1:{port}/x", SourceOptions(stall_timeout_seconds=4.0)
            ).__enter__()
    assert caught.value.code == "unauthorised"
    assert str(caught.value).endswith(said)
    assert PASSWORD not in str(caught.value)
    if challenge and "SHA-256" in challenge:
        assert not received, "the message says that no password was sent"


def test_advice_names_more_than_one_cause() -> None:
    codes: tuple[ErrorCode, ...] = (
        "refused", "unauthorised", "not_found", "timeout", "codec", "corrupt", "ended",
    )  # fmt: skip
    for code in codes:
        assert what_to_do(code).startswith("To check: ")
        assert re.search(r",| and | or |;", what_to_do(code))
