"""One device: who made it, which streams it offers."""

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
    read_maker,
    read_profiles,
    read_scope_items,
    read_services,
    read_stream,
)
from cameras.onvif.soap import Code, Login, OnvifError, SoapClient, http_client

_DEVICE = "http://www.onvif.org/ver10/device/wsdl"
_MEDIA = "http://www.onvif.org/ver10/media/wsdl"
_MEDIA_2 = "http://www.onvif.org/ver20/media/wsdl"
_SCHEMA = "http://www.onvif.org/ver10/schema"
_MOST_PROFILES = 256
_LONGEST_TIMEOUTS = 12
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
    """What is known of a device."""

    service: str
    """Address of its device service."""
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    clock_ahead_seconds: float | None = None
    """How far its clock is ahead of ours; None where it does not say."""
    needs_login: bool = False
    """It tells more to those who log in, and nobody tried."""
    profiles: list[Profile] = field(default_factory=list)
    code: Code | None = None
    """Kind of the problem."""
    problem: str = ""
    """Why not more is known; empty: all is."""


async def describe(
    service: str,
    scopes: Scopes,
    login: Login | None,
    timeout_seconds: float,
    clock: Callable[[], float] = time.time,
) -> Device:
    """Ask a device for all that matters here; what failed stands in the result.

    With a login it ends at the first refusal: cameras lock out who tries too often.

    Args:
        service: HTTP address of its device service; no other host is asked.
        scopes: What it said to everybody.
        login: None: only what it tells without.
        timeout_seconds: For each question, > 0; the whole takes twelve times as long at most.
        clock: Gives Unix seconds.
    """
    device = Device(service, name=scopes.name, model=scopes.model)
    try:
        async with asyncio.timeout(_LONGEST_TIMEOUTS * timeout_seconds), http_client() as http:
            soap = SoapClient(http, login, timeout_seconds, clock)
            await _Interview(device, soap, login is None, clock).run()
    except OnvifError as error:
        device.code, device.problem = error.code, str(error)
    except TimeoutError:
        device.code, device.problem = "timeout", "it takes too long over its answers"
    return device


class _Interview:
    """The questions, in their order."""

    def __init__(
        self, device: Device, soap: SoapClient, anonymous: bool, clock: Callable[[], float]
    ) -> None:
        self._device = device
        self._soap = soap
        self._anonymous = anonymous
        self._clock = clock

    async def run(self) -> None:
        """Fill the device.

        Raises:
            OnvifError: there is nothing more to be learnt.
        """
        device = self._device
        await self._read_clock()
        reply = await self._try(device.service, _DEVICE, "GetDeviceInformation")
        if reply is not None:
            manufacturer, model = read_maker(reply)
            device.manufacturer, device.model = manufacturer, model or device.model
        if not device.name:
            reply = await self._try(device.service, _DEVICE, "GetScopes")
            device.name = "" if reply is None else read_scope_items(reply).name
        await self._read_profiles(await self._media_services())

    async def _read_clock(self) -> None:
        try:
            reply = await self._soap.ask(
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
        """Namespace and address of the media services; first that which knows H.265."""
        service = self._device.service
        body = "<q:IncludeCapability>false</q:IncludeCapability>"
        reply = await self._try(service, _DEVICE, "GetServices", body)
        if reply is not None:
            found = read_services(reply)
        else:  # as it was before 2011
            body = "<q:Category>Media</q:Category>"
            reply = await self._try(service, _DEVICE, "GetCapabilities", body)
            named = "" if reply is None else reply.findtext("Capabilities/Media/XAddr") or ""
            found = {_MEDIA: named.strip()} if named else {}
        kinds = [kind for kind in (_MEDIA_2, _MEDIA) if kind in found]
        return [(kind, _at_device(service, found[kind])) for kind in kinds]

    async def _read_profiles(self, services: list[tuple[str, str]]) -> None:
        device, refusal = self._device, None
        for namespace, service in services:
            body = "<q:Type>VideoEncoder</q:Type>" if namespace == _MEDIA_2 else ""
            try:
                reply = await self._soap.ask(service, namespace, "GetProfiles", body)
            except OnvifError as error:
                if error.code not in ("fault", "no_onvif") and not self._may_refuse(error):
                    raise
                refusal = error
                continue
            device.profiles = read_profiles(reply)[:_MOST_PROFILES]
            if device.profiles:
                for profile in device.profiles:
                    await self._read_stream(profile, service, namespace)
                return
        if device.needs_login:
            return
        raise refusal or OnvifError("fault", "it names no stream with video")

    async def _read_stream(self, profile: Profile, service: str, namespace: str) -> None:
        token = f"<q:ProfileToken>{escape(profile.token)}</q:ProfileToken>"
        body = _STREAM[namespace] + token
        try:
            reply = await self._soap.ask(service, namespace, "GetStreamUri", body)
        except OnvifError as error:
            if error.code != "fault" and not self._may_refuse(error):
                raise
            profile.problem = str(error)
            return
        hosts = (urlsplit(self._device.service).hostname or "", self._soap.peer)
        profile.address, profile.problem = read_stream(reply, hosts)

    async def _try(
        self, service: str, namespace: str, question: str, body: str = ""
    ) -> Element | None:
        """The answer; None where the device does not know, or tells it only to others."""
        try:
            return await self._soap.ask(service, namespace, question, body)
        except OnvifError as error:
            # What was not thought of when it was made, some answer without SOAP.
            unknown = error.code == "no_onvif" and question == "GetServices"
            if error.code != "fault" and not unknown and not self._may_refuse(error):
                raise
            return None

    def _may_refuse(self, error: OnvifError) -> bool:
        """Whether it is a refusal that was to be expected; if so, take a note of it."""
        expected = self._anonymous and error.code == "unauthorised"
        self._device.needs_login |= expected
        return expected


def _at_device(service: str, named: str) -> str:
    """A service's address at the host and port that answer; a router may hide the named ones."""
    try:
        parts = urlsplit(named)
    except ValueError:
        return service
    return urlsplit(service)._replace(path=parts.path or "/", query=parts.query).geturl()
