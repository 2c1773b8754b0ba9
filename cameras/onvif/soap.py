"""SOAP over HTTP, authenticated by WS-UsernameToken and HTTP digest."""

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

import httpx

from cameras.onvif.markup import MAX_BYTES, MarkupError, clean, parse, text

Code = Literal["network", "refused", "unauthorised", "timeout", "no_onvif", "fault"]

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_TOKEN_PROFILE = f"{_WSS}username-token-profile-1.0#PasswordDigest"
_BASE64 = f"{_WSS}soap-message-security-1.0#Base64Binary"
_DENIALS = ("NotAuthorized", "SenderNotAuthorized", "FailedAuthentication")


class OnvifError(Exception):
    """A device that could not be queried, or did not respond as expected.

    The codes are network: nothing can be sent; refused: nothing listens; unauthorised: wrong or
    missing user or password; timeout: no complete response in time; no_onvif: the responder is no
    ONVIF service; fault: the device reports a SOAP fault.
    """

    def __init__(self, code: Code, message: str) -> None:
        """Describe a failure; the message has no credentials and no terminal control characters."""
        super().__init__(message)
        self.code: Code = code


@dataclass(frozen=True, slots=True)
class OnvifLogin:
    """Credentials for a device."""

    user: str
    password: str = field(repr=False)


class SoapClient:
    """Sends requests to the services of one device, while the HTTP client is open."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        login: OnvifLogin | None,
        timeout_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store the client and the credentials.

        Args:
            http: From `http_client`.
            login: Credentials; None: anonymous.
            timeout_seconds: For each request with its complete response, > 0.
            clock: Returns Unix seconds.
        """
        self._http = http
        self._login = login
        self._digest = None if login is None else httpx.DigestAuth(login.user, login.password)
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self.ahead_seconds = 0.0
        """How far the clock of the device is ahead; it rejects tokens of another time."""
        self.peer = ""
        """IP address of the responder; empty before the first response."""

    async def request(
        self,
        service: str,
        namespace: str,
        operation: str,
        body: str = "",
        *,
        anonymous: bool = False,
    ) -> Element:
        """Send a request; return the response element.

        Args:
            service: HTTP address of the service.
            namespace: Of the operation.
            operation: Its name, such as "GetProfiles".
            body: XML within the request; the prefix of the namespace is "q".
            anonymous: Send no credentials.

        Raises:
            OnvifError: with any code but network.
        """
        created = datetime.fromtimestamp(self._clock() + self.ahead_seconds, UTC)
        login, digest = (None, None) if anonymous else (self._login, self._digest)
        header = "" if login is None else security_header(login, created, os.urandom(16))
        envelope = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
            f"<s:Header>{header}</s:Header>"
            f'<s:Body><q:{operation} xmlns:q="{namespace}">{body}</q:{operation}></s:Body>'
            "</s:Envelope>"
        )
        kind = f'application/soap+xml; charset=utf-8; action="{namespace}/{operation}"'
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, content = await self._exchange(service, envelope, kind, digest)
        except httpx.ConnectError as error:
            where = urlsplit(service).netloc
            raise OnvifError("refused", f"no connection to {where} ({clean(str(error))})") from None
        except (TimeoutError, httpx.TimeoutException):
            what = f"no complete response to {operation} within {self._timeout_seconds:g} s"
            raise OnvifError("timeout", what) from None
        except (httpx.HTTPError, httpx.InvalidURL, MarkupError, ValueError) as error:
            raise OnvifError("no_onvif", f"{operation}: {_reason(error)}") from None
        return read_reply(status, content, operation)

    async def _exchange(
        self, service: str, envelope: str, kind: str, digest: httpx.DigestAuth | None
    ) -> tuple[int, bytes]:
        """Send, and send again with a digest where one is required; never HTTP basic.

        httpx itself reads the whole refusal before it sends the digest, without a size limit.
        """
        request = self._http.build_request(
            "POST", service, content=envelope.encode(), headers={"Content-Type": kind}
        )
        flow = None if digest is None else digest.auth_flow(request)
        if flow is not None:
            request = next(flow)
        while True:
            response, body = await self._send(request)
            try:
                if flow is None:
                    return response.status_code, body
                request = flow.send(response)
            except StopIteration:
                return response.status_code, body
            except (KeyError, ValueError, NotImplementedError, httpx.ProtocolError):
                raise OnvifError(
                    "unauthorised", "it requires an authentication scheme that is not supported"
                ) from None

    async def _send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = await self._http.send(request, stream=True)
        try:
            stream = response.extensions.get("network_stream")
            peer = stream.get_extra_info("server_addr") if stream is not None else None
            self.peer = peer[0] if peer else self.peer
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise MarkupError(f"want a response of at most {MAX_BYTES} bytes, got more")
            return response, bytes(body)
        finally:
            await response.aclose()


def http_client() -> httpx.AsyncClient:
    """Create the HTTP client for devices.

    Cameras have self-signed certificates, so none is verified: the connection is no less secure
    than the plain HTTP that nearly all of them use. Proxies are ignored.
    """
    return httpx.AsyncClient(
        verify=False,
        trust_env=False,
        follow_redirects=False,
        timeout=None,
        headers={"Accept-Encoding": "identity"},
    )


def security_header(login: OnvifLogin, created: datetime, nonce: bytes) -> str:
    """Build a WS-UsernameToken with the digest of the password.

    Args:
        login: Credentials.
        created: By the clock of the device, UTC.
        nonce: Random, unique for each request.
    """
    stamp = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(
        nonce + stamp.encode() + login.password.encode(), usedforsecurity=False
    ).digest()
    return (
        f'<w:Security s:mustUnderstand="1" xmlns:w="{_WSS}wssecurity-secext-1.0.xsd" '
        f'xmlns:u="{_WSS}wssecurity-utility-1.0.xsd"><w:UsernameToken>'
        f"<w:Username>{escape(login.user)}</w:Username>"
        f'<w:Password Type="{_TOKEN_PROFILE}">{base64.b64encode(digest).decode()}</w:Password>'
        f'<w:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
        f"<u:Created>{stamp}</u:Created></w:UsernameToken></w:Security>"
    )


def read_reply(status: int, content: bytes, operation: str) -> Element:
    """Parse the response element of a request.

    Args:
        status: HTTP status.
        content: Response body; untrusted.
        operation: Name of the operation.

    Raises:
        OnvifError: unauthorised, fault or no_onvif.
    """
    denied = OnvifError("unauthorised", f"{operation}: user or password is missing or refused")
    try:
        body = parse(content).find("Body")
    except MarkupError as error:
        if status in (401, 403):
            raise denied from None
        got = str(error) if status == 200 else f"got HTTP status {status}, want 200"
        raise OnvifError("no_onvif", f"{operation}: {got}") from None
    fault = None if body is None else body.find("Fault")
    if fault is not None:
        codes = [(one.text or "").strip().rpartition(":")[2] for one in fault.iter()]
        reason = text(fault, "Reason/Text") or text(fault, "faultstring")
        unauthorised = any(code in _DENIALS for code in codes) or "authoriz" in reason.lower()
        if status in (401, 403) or unauthorised:
            raise denied
        raise OnvifError(
            "fault", f"{operation}: the device reports {reason or 'a fault without a reason'}"
        )
    if status in (401, 403):
        raise denied
    found = None if body is None else body.find(f"{operation}Response")
    if found is None:
        raise OnvifError("no_onvif", f"{operation}: want {operation}Response, got another response")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.RemoteProtocolError):
        return "want HTTP, got something else"
    if isinstance(error, ValueError):
        return clean(str(error))
    return f"the connection broke ({type(error).__name__})"
