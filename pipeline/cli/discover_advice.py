"""Interpret discovered cameras: choice of stream, remarks, and a configuration."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import yaml

from cameras.address import redact
from cameras.onvif import Device, Profile
from cameras.onvif.soap import Code
from pipeline.cli.probe_advice import camera_lines
from pipeline.config import Detect

_LARGEST_CLOCK_ERROR_SECONDS = 60.0
_LONGEST_NAME = 50  # of at most 64; there may be more before and after


def what_to_do(code: Code) -> str:
    """Advice for a failure."""
    return {
        "network": "Name another --interface, or a --host.",
        "refused": "Is the port right? ONVIF is often on 80, 8000, 8080 or 2020.",
        "unauthorised": "Many cameras have users of their own for ONVIF; it was not tried again, "
        "as cameras lock out users after failed attempts.",
        "timeout": "Is it reachable? It may need a longer --timeout.",
        "no_onvif": "Is the port right, and ONVIF switched on in the camera?",
        "fault": "See whether its firmware is up to date; `vedette camera probe` needs no ONVIF.",
    }[code]


def roles(profiles: Sequence[Profile]) -> dict[str, str]:
    """Role of each profile, by token: of each source the largest is the main stream."""
    largest: dict[str, Profile] = {}
    for profile in profiles:
        best = largest.setdefault(profile.source, profile)
        if _pixels(profile) > _pixels(best):
            largest[profile.source] = profile
    return {
        profile.token: "main" if largest[profile.source] is profile else "sub-stream"
        for profile in profiles
    }


def to_watch(profiles: Sequence[Profile]) -> Profile | None:
    """The cheapest usable stream of one source that has all the pixels and frames that are scored.

    Where there is none, the one that comes nearest: pixels count before frames.
    """
    wanted = Detect()

    def merit(profile: Profile) -> tuple[bool, bool, int]:
        height, width = profile.size_hw or (0, 0)
        sharp = height >= wanted.height and width >= wanted.width
        fps = profile.frames_per_second
        fast = fps is None or fps >= wanted.fps
        return sharp, fast, -_pixels(profile) if sharp else _pixels(profile)

    usable = [one for one in profiles if one.address and not one.problem]
    return max(usable, key=merit, default=None)


def remarks(device: Device) -> list[str]:
    """Remarks on a device, one sentence each."""
    found = []
    if device.needs_login:
        found.append("It answers more after a login: give --user and --password.")
    ahead = device.clock_ahead_seconds or 0.0
    if abs(ahead) > _LARGEST_CLOCK_ERROR_SECONDS:
        way = "ahead" if ahead > 0 else "behind"
        found.append(f"Its clock is {abs(ahead):.0f} s {way}; set it, or let it use NTP.")
    for profile in device.profiles:
        name = profile.name or "A stream"
        if profile.problem:
            found.append(f"{name}: {profile.problem}.")
        if redact(profile.address) != profile.address:
            found.append(
                f"{name}: its address contains a password; in the configuration it is cut there "
                "and replaced by a placeholder, which the camera may not accept."
            )
    return found


def configuration(devices: Sequence[Device], who: tuple[str, str]) -> str:
    """A configuration of all cameras that can be watched; empty where there are none.

    Args:
        devices: As discovered.
        who: User and password as they shall stand in the addresses.
    """
    lines: list[str] = []
    names: set[str] = set()
    for device in devices:
        sources = dict.fromkeys(profile.source for profile in device.profiles)
        for source in sources:
            best = to_watch([one for one in device.profiles if one.source == source])
            if best is not None:
                name = _name(device, names)
                names.add(name)
                lines += camera_lines(name, best.address, who)
    return "\n".join(["cameras:", *lines, ""]) if lines else ""


def _name(device: Device, taken: set[str]) -> str:
    """A name that is valid in a configuration and not used yet."""
    name = device.name or urlsplit(device.service).hostname or ""
    base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_LONGEST_NAME]
    if not base[:1].isalpha() or yaml.safe_load(base) != base:  # 10_0_0_5 is a number, on is true
        base = f"camera_{base}".rstrip("_")
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _pixels(profile: Profile) -> int:
    height, width = profile.size_hw or (0, 0)
    return height * width
