"""An ONVIF device on loopback that behaves like a camera, or like a malicious one.

It parses requests with namespaces and verifies logins independently of the tested code.
"""

import base64
import hashlib
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from unittest.mock import patch
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

USER, PASSWORD = "cam&1", "s3cr@t<&>"
SERVICE = "/onvif/device_service"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA_2 = "http://www.onvif.org/ver20/media/wsdl"
WITHOUT_LOGIN = ("GetSystemDateAndTime", "GetServices", "GetCapabilities")
WINDOW_SECONDS = 5.0
_SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_WSA = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
_WSD = "{http://schemas.xmlsoap.org/ws/2005/04/discovery}"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE = f"{{{_WSS}wssecurity-secext-1.0.xsd}}"
_WSU = f"{{{_WSS}wssecurity-utility-1.0.xsd}}"
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope'
    ' xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
    ' xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
    ' xmlns:ter="http://www.onvif.org/ver10/error" xmlns:tt="http://www.onvif.org/ver10/schema">'
    "<SOAP-ENV:Header>{header}</SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body>"
    "</SOAP-ENV:Envelope>"
)
BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><l>&i;</l>"
).encode()


@dataclass(frozen=True)
class Stream:
    address: str
    codec: str = "H264"
    size_hw: tuple[int, int] = (240, 320)
    fps: float = 25
    source: str = "source 1"


def two_streams() -> dict[str, Stream]:
    """A main and a sub-stream; the camera includes a password in the address of the latter."""
    return {
        "main": Stream("rtsp://127.0.0.1:1/main", "H265", (1080, 1920)),
        'sub "<1>': Stream(f"rtsp://u:{quote(PASSWORD)}@127.0.0.1:1/sub?a=1&b=2"),
    }


def fault(code: str, reason: str) -> str:
    return (
        "<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:Sender</SOAP-ENV:Value>"
        f"<SOAP-ENV:Subcode><SOAP-ENV:Value>{code}</SOAP-ENV:Value></SOAP-ENV:Subcode>"
        f'</SOAP-ENV:Code><SOAP-ENV:Reason><SOAP-ENV:Text xml:lang="en">{escape(reason)}'
        "</SOAP-ENV:Text></SOAP-ENV:Reason></SOAP-ENV:Fault>"
    )


class OnvifCamera(ThreadingHTTPServer):
    """Its attributes may be changed while it is running."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, streams: dict[str, Stream]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.streams = streams
        self.login: Literal["none", "token", "digest"] = "token"
        self.media = (MEDIA, MEDIA_2)
        self.old = False
        """It does not support GetServices."""
        self.ahead_seconds = 0.0
        self.scopes = [
            "onvif://www.onvif.org/name/T%C3%BCr%20%E2%82%AC",
            "onvif://www.onvif.org/hardware/M-1",
        ]
        self.types = "dn:NetworkVideoTransmitter"
        self.addresses = [
            f"http://[fe80::1]{SERVICE}",
            f"http://127.0.0.1:{self.server_port}{SERVICE}",
        ]
        self.datagrams: Callable[[bytes], list[bytes]] = lambda answer: [answer]
        """Datagrams sent instead of the response to a probe."""
        self.replies: dict[str, bytes] = {}
        """HTTP bodies sent instead of the responses, by operation."""
        self.status = 200
        """HTTP status of `replies`."""
        self.headers: dict[str, str] = {}
        """HTTP headers of `replies`."""
        self.drip_seconds = 0.0
        """Delay before each byte of every response."""
        self.requested: list[str] = []
        self.refused = 0
        self.probed: list[str] = []
        self.closing = threading.Event()
        self._nonces: set[str] = set()
        self._http_nonce = secrets.token_hex(8)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    # --- responses --------------------------------------------------------------------------------

    def probe_match(self, probe: bytes) -> list[bytes]:
        """Return the datagrams that respond to a WS-Discovery probe."""
        root = ElementTree.fromstring(probe)
        action = root.findtext(f"{_SOAP}Header/{_WSA}Action")
        message = root.findtext(f"{_SOAP}Header/{_WSA}MessageID")
        kinds = root.findtext(f"{_SOAP}Body/{_WSD}Probe/{_WSD}Types")
        assert action == "http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe"
        assert message is not None
        assert kinds is not None
        self.probed.append(kinds)
        header = (
            f"<wsa:RelatesTo>{message}</wsa:RelatesTo>"
            "<wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</wsa:Action>"
        )
        return self.datagrams(self.matches(header))

    def matches(self, header: str = "") -> bytes:
        body = (
            "<d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>"
            "urn:uuid:4f6a3c1e-0000-4000-8000-000000000001</wsa:Address></wsa:EndpointReference>"
            f"<d:Types>{self.types}</d:Types><d:Scopes>{escape(' '.join(self.scopes))}</d:Scopes>"
            f"<d:XAddrs>{escape(' '.join(self.addresses))}</d:XAddrs>"
            "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches>"
        )
        return ENVELOPE.format(header=header, body=body).encode()

    def respond(self, operation: ElementTree.Element) -> str:
        """Return the body of the response to a request."""
        namespace, _, name = operation.tag[1:].partition("}")
        p = f'xmlns:p="{namespace}"'
        if (namespace, name) == (DEVICE, "GetSystemDateAndTime"):
            now = datetime.fromtimestamp(time.time() + self.ahead_seconds, UTC)
            inner = (
                "<p:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType><tt:UTCDateTime>"
                f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
                f"<tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>{now.year}</tt:Year>"
                f"<tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>"
                "</tt:UTCDateTime></p:SystemDateAndTime>"
            )
        elif (namespace, name) == (DEVICE, "GetDeviceInformation"):
            inner = "<p:Manufacturer>Ünlü &amp; Co</p:Manufacturer><p:Model>M-1\x85\u202e</p:Model>"
        elif (namespace, name) == (DEVICE, "GetScopes"):
            inner = "".join(
                f"<p:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>{escape(one)}"
                "</tt:ScopeItem></p:Scopes>"
                for one in self.scopes
            )
        elif (namespace, name) == (DEVICE, "GetServices") and not self.old:
            inner = "".join(
                f"<p:Service><p:Namespace>{one}</p:Namespace>"
                f"<p:XAddr>http://10.255.255.1/onvif/{number}?a=1</p:XAddr></p:Service>"
                for number, one in enumerate((DEVICE, *self.media))
            )
        elif (namespace, name) == (DEVICE, "GetCapabilities"):
            inner = (
                "<p:Capabilities><tt:Media><tt:XAddr>http://10.255.255.1/onvif/1</tt:XAddr>"
                "</tt:Media></p:Capabilities>"
            )
        elif name == "GetProfiles" and namespace in self.media:
            inner = "".join(map(self._profile, (namespace,) * len(self.streams), self.streams))
            inner += '<p:Profiles token="sound"><tt:Name>sound</tt:Name></p:Profiles>'
        elif name == "GetStreamUri" and namespace in self.media:
            token = operation.findtext(f"{{{namespace}}}ProfileToken") or ""
            if token not in self.streams:
                return fault("ter:NoProfile", "no such profile")
            uri = escape(self.streams[token].address)
            inner = f"<p:Uri>{uri}</p:Uri>"
            if namespace == MEDIA:
                inner = f"<p:MediaUri><tt:Uri>{uri}</tt:Uri></p:MediaUri>"
        else:
            return fault("ter:ActionNotSupported", "no\nsuch \x1fthing".replace("\x1f", ""))
        return f"<p:{name}Response {p}>{inner}</p:{name}Response>"

    def _profile(self, namespace: str, token: str) -> str:
        stream = self.streams[token]
        height, width = stream.size_hw
        known = namespace == MEDIA_2 or stream.codec in ("JPEG", "H264")
        encoder = (
            f"<tt:Encoding>{stream.codec if known else 'H264'}</tt:Encoding><tt:Resolution>"
            f"<tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
            f"<tt:RateControl><tt:FrameRateLimit>{stream.fps}</tt:FrameRateLimit></tt:RateControl>"
        )
        source = f"<tt:SourceToken>{stream.source}</tt:SourceToken>"
        if namespace == MEDIA_2:
            inner = (
                f"<p:Name>{escape(token)}</p:Name><p:Configurations><p:VideoSource>{source}"
                f"</p:VideoSource><p:VideoEncoder>{encoder}</p:VideoEncoder></p:Configurations>"
            )
        else:
            inner = (
                f"<tt:Name>{escape(token)}</tt:Name><tt:AudioSourceConfiguration><tt:SourceToken>ear"
                "</tt:SourceToken></tt:AudioSourceConfiguration>"
                f"<tt:VideoSourceConfiguration>{source}</tt:VideoSourceConfiguration>"
                f"<tt:VideoEncoderConfiguration>{encoder}</tt:VideoEncoderConfiguration>"
            )
        quoted = escape(token, {'"': "&quot;"})
        return f'<p:Profiles token="{quoted}" fixed="true">{inner}</p:Profiles>'

    # --- authentication ---------------------------------------------------------------------------

    def is_valid_token(self, root: ElementTree.Element) -> bool:
        """Whether a WS-UsernameToken is recent by this camera's clock, not reused, and correct."""
        token = root.find(f"{_SOAP}Header/{_WSSE}Security/{_WSSE}UsernameToken")
        if token is None:
            return False
        created = token.findtext(f"{_WSU}Created") or ""
        nonce = token.findtext(f"{_WSSE}Nonce") or ""
        password = token.find(f"{_WSSE}Password")
        assert password is not None
        assert password.get("Type", "").endswith("#PasswordDigest")
        age = time.time() + self.ahead_seconds - datetime.fromisoformat(created).timestamp()
        material = base64.b64decode(nonce) + created.encode() + PASSWORD.encode()
        wanted = base64.b64encode(hashlib.sha1(material).digest()).decode()
        right = token.findtext(f"{_WSSE}Username") == USER and password.text == wanted
        fresh = abs(age) <= WINDOW_SECONDS and nonce not in self._nonces
        self._nonces.add(nonce)
        return right and fresh

    @property
    def challenge(self) -> str:
        return f'Digest realm="onvif", qop="auth", nonce="{self._http_nonce}", algorithm=MD5'

    def is_valid_digest(self, header: str, path: str) -> bool:
        """Whether a header of HTTP digest authentication (RFC 2617, qop auth) is correct."""
        found = dict(re.findall(r'(\w+)="?([^",]*)"?', header.removeprefix("Digest ")))
        if found.get("nonce") != self._http_nonce or found.get("uri") != path:
            return False
        who, what = _md5(f"{USER}:onvif:{PASSWORD}"), _md5(f"POST:{path}")
        middle = ":".join(found[key] for key in ("nonce", "nc", "cnonce", "qop"))
        return found["response"] == _md5(f"{who}:{middle}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: OnvifCamera

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        camera = self.server
        root = ElementTree.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
        body = root.find(f"{_SOAP}Body")
        assert body is not None
        name = body[0].tag.partition("}")[2]
        camera.requested.append(name)
        if name in camera.replies:
            return self._send(camera.status, camera.replies[name], camera.headers)
        if name not in WITHOUT_LOGIN and not self._is_authenticated(root):
            camera.refused += 1
            if camera.login == "digest":
                return self._send(401, b"<html>no", {"WWW-Authenticate": camera.challenge})
            denial = fault("ter:NotAuthorized", "Sender not authorized")
            return self._send(400, ENVELOPE.format(header="", body=denial).encode(), {})
        answer = camera.respond(body[0])
        return self._send(
            500 if "Fault" in answer else 200, ENVELOPE.format(header="", body=answer).encode(), {}
        )

    def _is_authenticated(self, root: ElementTree.Element) -> bool:
        if self.server.login == "token":
            return self.server.is_valid_token(root)
        given = self.headers.get("Authorization", "")
        return self.server.login == "none" or self.server.is_valid_digest(given, self.path)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        with suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"Content-Type": "application/soap+xml", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if not self.server.drip_seconds:
                self.wfile.write(data)
                return
            for byte in data:
                if self.server.closing.wait(self.server.drip_seconds):
                    return
                self.wfile.write(bytes([byte]))


@contextmanager
def onvif_camera(
    streams: dict[str, Stream], tls: ssl.SSLContext | None = None
) -> Iterator[OnvifCamera]:
    with OnvifCamera(streams) as camera:
        if tls is not None:
            camera.socket = tls.wrap_socket(camera.socket, server_side=True)
        thread = threading.Thread(target=camera.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield camera
        finally:
            camera.closing.set()
            camera.shutdown()
            thread.join()


@contextmanager
def answering(*cameras: OnvifCamera) -> Iterator[None]:
    """Only the given cameras respond to WS-Discovery on loopback."""
    address, over = "239.255.255.250", threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))  # not the standard port, where other software may listen
        membership = socket.inet_aton(address) + socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sock.settimeout(0.1)
        thread = threading.Thread(target=_answer, args=(sock, cameras, over))
        thread.start()
        try:
            with patch("cameras.onvif.discovery.GROUP", (address, sock.getsockname()[1])):
                yield
        finally:
            over.set()
            thread.join()


def _answer(sock: socket.socket, cameras: tuple[OnvifCamera, ...], over: threading.Event) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as replies:
        replies.bind(("127.0.0.1", 0))
        while not over.is_set():
            with suppress(TimeoutError):
                probe, sender = sock.recvfrom(65535)
                for camera in cameras:
                    for datagram in camera.probe_match(probe):
                        replies.sendto(datagram, sender)
