"""`vedette camera discover`: list the cameras of the network and their streams."""

import json
import re
import sys
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, unquote

from cameras.address import redact
from cameras.onvif import Device, OnvifError, OnvifLogin, Profile, discover_devices, query_device
from pipeline.cli.discover_advice import configuration, remarks, roles, what_to_do
from pipeline.cli.probe_advice import PLACEHOLDERS
from pipeline.config.substitution import SubstitutionError, substitute

_PLACEHOLDER = re.compile(r"\{VEDETTE_[A-Z0-9_]+\}")


def discover(
    user: str | None,
    password: str | None,
    timeout_seconds: float,
    interface: str | None,
    host: str | None,
    as_json: bool,
) -> None:
    """Print the cameras of the local network, or the one at a host.

    Args:
        user: User name or placeholder for the login; None: no login.
        password: Placeholder {VEDETTE_…}; given if and only if there is a user.
        timeout_seconds: How long to wait for the network, and for each answer.
        interface: IPv4 address of the interface to ask on.
        host: "HOST[:PORT]" of the only device to ask, without multicast.
        as_json: Print one JSON object in place of text.

    Raises:
        ValueError: host, interface or password are malformed, or a placeholder has no value.
        SystemExit: with 1, there is no camera, or none that tells all it was asked.
    """
    login = _login(user, password)
    if host is not None:
        devices = [query_device(host, login, timeout_seconds)]
    else:
        try:
            devices = discover_devices(interface, login, timeout_seconds)
        except OnvifError as error:
            raise ValueError(f"{error}; name another --interface, or a --host") from None
    text = configuration(devices, PLACEHOLDERS if login is None else _in_address(user, password))
    if as_json:
        shown = {"devices": [_as_json(device) for device in devices], "configuration": text}
        print(json.dumps(shown, indent=2))
    else:
        for device in devices:
            _print(device)
        if text:
            print(f"For the configuration:\n\n{text}", end="")
    if not devices:
        print(
            f"vedette: no camera answered within {timeout_seconds:g} s; multicast does not leave "
            "the network of the interface: name another --interface, or a --host, and check that "
            "ONVIF is switched on in the camera",
            file=sys.stderr,
        )
    if all(device.problem for device in devices):
        raise SystemExit(1)


def _login(user: str | None, password: str | None) -> OnvifLogin | None:
    if user is None or password is None:
        return None
    if not _PLACEHOLDER.fullmatch(password):
        raise ValueError(
            "password: want {VEDETTE_…}, with the value in the environment, since other users of "
            "the machine can see arguments; got something else"
        )
    try:
        # As in a configuration, the values are encoded for an address.
        value = unquote(substitute(user)) if _PLACEHOLDER.fullmatch(user) else user
        return OnvifLogin(value, unquote(substitute(password)))
    except SubstitutionError as error:
        raise ValueError(str(error)) from None


def _in_address(user: str | None, password: str | None) -> tuple[str, str]:
    """User and password as encoded in an address of a configuration."""
    name = user or ""
    return (name if _PLACEHOLDER.fullmatch(name) else quote(name, safe="")), password or ""


def _as_json(device: Device) -> dict[str, Any]:
    shown = asdict(device)
    shown["service"] = redact(device.service)
    shown["what_to_do"] = what_to_do(device.code) if device.code else ""
    shown["remarks"] = remarks(device)
    for profile, one in zip(device.profiles, shown["profiles"], strict=True):
        one["address"] = redact(profile.address)
        one["role"] = roles(device.profiles)[profile.token]
    return shown


def _print(device: Device) -> None:
    maker = " ".join(filter(None, (device.manufacturer, device.model)))
    print(f"{'camera':<15}{device.name or 'without a name'}")
    print(f"{'service':<15}{redact(device.service)}")
    if maker:
        print(f"{'made by':<15}{maker}")
    for profile in device.profiles:
        print(f"{roles(device.profiles)[profile.token]:<15}{_described(profile)}")
        if profile.address:
            print(f"{'':<15}{redact(profile.address)}")
    for remark in remarks(device):
        print(f"! {remark}")
    if device.code is not None:
        print(f"! {device.problem}. {what_to_do(device.code)}")
    print()


def _described(profile: Profile) -> str:
    size = "" if profile.size_hw is None else f"{profile.size_hw[1]}x{profile.size_hw[0]}"
    fps = profile.frames_per_second
    rate = "" if fps is None else f"at most {fps:.4g} frames/s"
    picture = " ".join(filter(None, (profile.codec or "video", size)))
    named = ", ".join(filter(None, (picture, rate)))
    return f"{named} ({profile.name})" if profile.name else named
