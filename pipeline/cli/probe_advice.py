"""Interpret a probe: remarks for people, and a configuration snippet to paste."""

import json
import re
from urllib.parse import urlsplit

from cameras.address import kind_of
from cameras.probe import ProbeReport
from cameras.source import ErrorCode
from pipeline.config import Detect

_LARGEST_PIXELS = 1280 * 720
_LONGEST_KEYFRAMES_SECONDS = 4.0
_DEAREST_CORE_RATIO = 0.25
_RATE_TOLERANCE = 0.1
_STALL_SECONDS = 10.0
_STALL_WAITS = 5.0
PLACEHOLDERS = ("{VEDETTE_CAMERA_USER}", "{VEDETTE_CAMERA_PASSWORD}")
"""Default placeholders of user and password."""
_SECRET_IN_QUERY = re.compile(r"((?:pass(?:word|wd)?|pwd|token|secret)=)[^&\s]+", re.IGNORECASE)


def what_to_do(code: ErrorCode) -> str:
    """Advice for a failure."""
    return (
        "To check: "
        + {
            "refused": "the port, whether RTSP or HTTP is switched on in the camera, and how many "
            "viewers it allows.",
            "unauthorised": "user and password in the address (@ is written %40, / %2F, : %3A), "
            "the rights of that user, and the way of logging in that the camera asks for.",
            "not_found": "the host name and the path; the camera's manual names its paths.",
            "timeout": "whether the camera is on and in reach; for RTSP the other --transport.",
            "codec": "whether this is the address of a stream, and not of a page, a list or one "
            "picture; and whether the camera sends H.264, H.265 or Motion JPEG.",
            "corrupt": "whether the file is whole, or the network loses packets; for RTSP "
            "--transport tcp.",
            "ended": "how many viewers the camera allows, and what its own log says.",
        }[code]
    )


def remarks(report: ProbeReport) -> list[str]:
    """Suggested changes at the camera, one sentence each."""
    found = []
    height, width = report.size_hw
    fps = report.measured_fps or 0.0
    core_ratio = report.decode_ms / 1000 * fps
    if height * width > _LARGEST_PIXELS or core_ratio > _DEAREST_CORE_RATIO:
        found.append(
            f"Decoding takes {100 * core_ratio:.0f} % of a core, of a picture that is scaled down "
            "afterwards: use the camera's sub-stream (--guess looks for one)."
        )
    interval = report.keyframe_interval_seconds
    if interval is not None and interval > _LONGEST_KEYFRAMES_SECONDS:
        found.append(
            f"Key frames come every {interval:.1f} s: after each loss there is no picture "
            "until the next one; set the key-frame (I-frame) interval of the camera to 1 or 2 s."
        )
    announced = report.announced_fps
    if report.live and announced and fps and abs(fps / announced - 1) > _RATE_TOLERANCE:
        found.append(f"It announces {announced:.4g} frames/s and sends {fps:.4g}.")
    clock = report.clock
    if clock is not None:
        if clock.missing > 1 or clock.backwards or clock.repeated:
            found.append("Its time stamps are poor; they are corrected, but times are less exact.")
        if clock.rate_ratio is not None and abs(clock.rate_ratio - 1) > _RATE_TOLERANCE:
            found.append("Its clock runs at another rate than real time; the delay may grow.")
    if report.decode_errors:
        hint = "use transport: tcp" if report.transport == "udp" else "the network loses packets"
        found.append(f"{report.decode_errors} pictures were damaged: {hint}.")
    if fps and fps < Detect().fps:
        found.append(f"The shipped model expects {Detect().fps:g} frames/s; set the camera so.")
    return found


def snippet(address: str, report: ProbeReport) -> str:
    """Configuration snippet of a camera; user and password are placeholders."""
    stall_seconds = max(_STALL_SECONDS, round(_STALL_WAITS * report.longest_wait_seconds))
    locked = kind_of(address) in ("rtsp", "http") and "@" in urlsplit(address).netloc
    lines = ["cameras:", *camera_lines("NAME", address, PLACEHOLDERS if locked else None)]
    if report.transport:
        lines.append(f"      transport: {report.transport}")
    if report.live:
        lines.append(f"      stall_timeout: {stall_seconds:g}")
    elif report.codec == "images":
        lines.append(f"      fps: {report.announced_fps:g}")
    return "\n".join(lines) + "\n"


def camera_lines(name: str, address: str, who: tuple[str, str] | None) -> list[str]:
    """The lines of one camera below "cameras:", with its address.

    Args:
        name: Of the camera.
        address: Of its stream.
        who: User and password to stand in the address; None: it has none.
    """
    if who is not None:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        address = parts._replace(netloc=f"{who[0]}:{who[1]}@{host}").geturl()
    password = PLACEHOLDERS[1] if who is None else who[1]
    address = _SECRET_IN_QUERY.sub(lambda found: found[1] + password, address)
    return [f"  {name}:", "    source:", f"      url: {json.dumps(address)}"]
