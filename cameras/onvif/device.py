"""Query one device: manufacturer, model and streams."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from cameras.onvif.replies import (
    Profile,
    Scopes,
    read_clock,
    read_device_information,
    read_profiles,
    read_scope_items,
    read_services,
    read_stream,
)
from cameras.onvif.soap import Code, OnvifError, OnvifLogin, SoapClient, http_client

_DEVICE = "http://www.onvif.org/ver10/device/wsdl"
_MEDIA = "http://www.onvif.org/ver10/media/wsdl"
_MEDIA_2 = "http://www.onvif.org/ver20/media/wsdl"
_SCHEMA = "http://www.onvif.org/ver10/schema"
_MAX_PROFILES = 256
_MAX_TIMEOUTS = 12
_STREAM = {
    _MEDIA: (
        "<q:StreamSetup>"
        f'<t:Stream xmlns:t="{_SCHEMA}">RTP-Unicast</t:Stream>'
        f'<t:Transport xmlns:t="{_SCHEMA}"><t:Protocol>RTSP</t:Protocol></t:Transport>'
        "</q:StreamSetup>"
    ),
    _MEDIA_2: "<q:Protocol>RTSP</q:Protocol>",
}


@dataclass(slots=True)
class Device:
    """Properties of a device."""

    service: str
    """Address of its device service."""
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    clock_ahead_seconds: float | None = None
    """How far its clock is ahead of the local one; None where unknown."""
    needs_login: bool = False
    """It requires a login for more information, and none was given."""
    profiles: list[Profile] = field(default_factory=list)
    code: Code | None = None
    """Error code; None without an error."""
    problem: str = ""
    """Why information is missing; empty: nothing is missing."""


async def describe(
    service: str,
    scopes: Scopes,
    login: OnvifLogin | None,
    timeout_seconds: float,
    clock: Callable[[], float] = time.time,
) -> Device:
    """Query a device; failures are reported in the result.

    With a login the query ends at the first refusal: cameras lock a user out after repeated
    failures.

    Args:
        service: HTTP address of its device service; no other host is queried.
        scopes: Scopes of its discovery response.
        login: Credentials; None: anonymous requests only.
        timeout_seconds: For each request, > 0; the whole query takes at most twelve times as long.
        clock: Returns Unix seconds.
    """
    device = Device(service, name=scopes.name, model=scopes.model)
    try:
        async with asyncio.timeout(_MAX_TIMEOUTS * timeout_seconds), http_client() as http:
            soap = SoapClient(http, login, timeout_seconds, clock)
            await _DeviceQuery(device, soap, login is None, clock).run()
    except OnvifError as error:
        device.code, device.problem = error.code, str(error)
    except TimeoutError:
        device.code, device.problem = "timeout", "its responses take too long"
    return device


class _DeviceQuery:
    """The sequence of requests."""

    def __init__(
        self, device: Device, soap: SoapClient, anonymous: bool, clock: Callable[[], float]
    ) -> None:
        self._device = device
        self._soap = soap
        self._anonymous = anonymous
        self._clock = clock

    async def run(self) -> None:
        """Fill in the device.

        Raises:
            OnvifError: the query cannot continue.
        """
        device = self._device
        await self._read_clock()
        reply = await self._request(device.service, _DEVICE, "GetDeviceInformation")
        if reply is not None:
            manufacturer, model = read_device_information(reply)
            device.manufacturer, device.model = manufacturer, model or device.model
        if not device.name:
            reply = await self._request(device.service, _DEVICE, "GetScopes")
            device.name = "" if reply is None else read_scope_items(reply).name
        await self._read_profiles(await self._media_services())

    async def _read_clock(self) -> None:
        try:
            reply = await self._soap.request(
                self._device.service, _DEVICE, "GetSystemDateAndTime", anonymous=True
            )
        except OnvifError as error:
            if error.code not in ("fault", "unauthorised"):
                raise
            return
        theirs = read_clock(reply)
        if theirs is not None:
            ahead = theirs - self._clock()
            self._device.clock_ahead_seconds = self._soap.ahead_seconds = ahead

    async def _media_services(self) -> list[tuple[str, str]]:
        """Namespace and address of the media services; the one with H.265 support first."""
        service = self._device.service
        body = "<q:IncludeCapability>false</q:IncludeCapability>"
        reply = await self._request(service, _DEVICE, "GetServices", body)
        if reply is not None:
            found = read_services(reply)
        else:  # devices from before 2011
            body = "<q:Category>Media</q:Category>"
            reply = await self._request(service, _DEVICE, "GetCapabilities", body)
            named = "" if reply is None else reply.findtext("Capabilities/Media/XAddr") or ""
            found = {_MEDIA: named.strip()} if named else {}
        kinds = [kind for kind in (_MEDIA_2, _MEDIA) if kind in found]
        return [(kind, _at_device(service, found[kind])) for kind in kinds]

    async def _read_profiles(self, services: list[tuple[str, str]]) -> None:
        device, refusal = self._device, None
        for namespace, service in services:
            body = "<q:Type>VideoEncoder</q:Type>" if namespace == _MEDIA_2 else ""
            try:
                reply = await self._soap.request(service, namespace, "GetProfiles", body)
            except OnvifError as error:
                if error.code not in ("fault", "no_onvif") and not self._is_expected_refusal(error):
                    raise
                refusal = error
                continue
            device.profiles = read_profiles(reply)[:_MAX_PROFILES]
            if device.profiles:
                for profile in device.profiles:
                    await self._read_stream(profile, service, namespace)
                return
        if device.needs_login:
            return
        raise refusal or OnvifError("fault", "it lists no stream with video")

    async def _read_stream(self, profile: Profile, service: str, namespace: str) -> None:
        token = f"<q:ProfileToken>{escape(profile.token)}</q:ProfileToken>"
        body = _STREAM[namespace] + token
        try:
            reply = await self._soap.request(service, namespace, "GetStreamUri", body)
        except OnvifError as error:
            if error.code != "fault" and not self._is_expected_refusal(error):
                raise
            profile.problem = str(error)
            return
        hosts = (urlsplit(self._device.service).hostname or "", self._soap.peer)
        profile.address, profile.problem = read_stream(reply, hosts)

    async def _request(
        self, service: str, namespace: str, operation: str, body: str = ""
    ) -> Element | None:
        """Return the response; None where the device does not support it or requires a login."""
        try:
            return await self._soap.request(service, namespace, operation, body)
        except OnvifError as error:
            # Some devices respond to unsupported operations without SOAP.
            unknown = error.code == "no_onvif" and operation == "GetServices"
            if error.code != "fault" and not unknown and not self._is_expected_refusal(error):
                raise
            return None

    def _is_expected_refusal(self, error: OnvifError) -> bool:
        """Whether it is the expected refusal of an anonymous request; if so, set `needs_login`."""
        expected = self._anonymous and error.code == "unauthorised"
        self._device.needs_login |= expected
        return expected


def _at_device(service: str, named: str) -> str:
    """Address of a service at the host and port that responded; the stated ones may be private."""
    try:
        parts = urlsplit(named)
    except ValueError:
        return service
    return urlsplit(service)._replace(path=parts.path or "/", query=parts.query).geturl()
