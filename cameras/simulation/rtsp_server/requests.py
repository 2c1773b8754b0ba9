"""RTSP messages: requests, responses, transports, session descriptions."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit

PAYLOAD_TYPE = 96

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    461: "Unsupported Transport",
}
_ENCODINGS = {"h264": "H264", "h265": "H265", "mjpeg": "JPEG"}
_MAX_BODY_BYTES = 65536

Codec = Literal["h264", "h265", "mjpeg"]


@dataclass(frozen=True, slots=True)
class RtspRequest:
    """One request of a client."""

    method: str
    uri: str
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""

    @property
    def path(self) -> str:
        """Path of the address, without slashes around it."""
        return urlsplit(self.uri).path.strip("/")


@dataclass(frozen=True, slots=True)
class RtpTransport:
    """Packet transport requested by a client."""

    interleaved: tuple[int, int] | None
    """Channels within the control connection; None for UDP."""
    client_ports: tuple[int, int] | None
    """UDP ports for RTP and RTCP; None for TCP."""

    @classmethod
    def parse(cls, header: str) -> Self | None:
        """Parse the first supported transport in the header; None where there is none."""
        for offer in header.split(","):
            protocol, *fields = (part.strip() for part in offer.split(";"))
            if "multicast" in fields:
                continue
            pairs = {
                match[1]: (int(match[2]), int(match[3] or int(match[2]) + 1))
                for part in fields
                if (match := re.fullmatch(r"(interleaved|client_port)=(\d+)(?:-(\d+))?", part))
            }
            if protocol == "RTP/AVP/TCP":
                channels = pairs.get("interleaved", (0, 1))
                if max(channels) <= 255:
                    return cls(channels, None)
            elif protocol in ("RTP/AVP", "RTP/AVP/UDP") and "client_port" in pairs:
                ports = pairs["client_port"]
                if all(0 < port <= 65535 for port in ports):
                    return cls(None, ports)
        return None


async def read_request(reader: asyncio.StreamReader) -> RtspRequest | None:
    """Read the next request, skipping interleaved packets of the client.

    Returns:
        The request; None where the client closed the connection or sent no valid RTSP.
    """
    try:
        while (first := await reader.readexactly(1)) in (b"$", b"\r", b"\n"):
            if first == b"$":
                header = await reader.readexactly(3)
                await reader.readexactly(int.from_bytes(header[1:], "big"))
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
        start, *lines = head.strip().split("\r\n")
        method, uri, _version = start.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= _MAX_BODY_BYTES:
            return None
        await reader.readexactly(length)
        request = RtspRequest(method, uri, headers)
        urlsplit(uri)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        return None
    return request


def response(
    request: RtspRequest, status: int, headers: Mapping[str, str], body: str = ""
) -> bytes:
    """Build the response to a request, with its sequence number."""
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {request.headers.get('cseq', '0')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def session_description(codec: Codec) -> str:
    """Describe one video track (SDP); parameter sets are sent with the key frames."""
    lines = (
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=vedette",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {_ENCODINGS[codec]}/90000",
        *([f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1"] if codec == "h264" else []),
        "a=control:track0",
    )
    return "\r\n".join(lines) + "\r\n"
