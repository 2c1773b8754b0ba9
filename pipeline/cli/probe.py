"""`vedette camera probe`: measure what a camera sends, and suggest a configuration."""

import json
import sys
from dataclasses import asdict
from typing import Literal

from cameras import SourceError, SourceOptions
from cameras.address import kind_of, redact
from cameras.probe import ProbeReport, sub_stream_guesses
from cameras.probe import probe as probe_source
from pipeline.cli.probe_advice import remarks, snippet, what_to_do
from pipeline.config.substitution import SubstitutionError, substitute

_GUESS_SECONDS = 2.0


def probe(
    address: str,
    seconds: float,
    transport: Literal["tcp", "udp"],
    timeout_seconds: float,
    guess: bool,
    as_json: bool,
) -> None:
    """Print what a source sends.

    Args:
        address: As in a configuration, placeholders {VEDETTE_…} too.
        seconds: How long to watch.
        transport: How RTSP media travels.
        timeout_seconds: How long a silence means that the camera is lost.
        guess: Try the usual paths of a smaller stream at the same host.
        as_json: Print one JSON object in place of text.

    Raises:
        ValueError: the address is malformed, or a placeholder has no value.
        SystemExit: with 1, the source cannot be opened, or was lost.
    """
    options = SourceOptions(transport=transport, stall_timeout_seconds=timeout_seconds, pace="fast")
    try:
        address = substitute(address)  # every user of the machine can see arguments
    except SubstitutionError as error:
        raise ValueError(str(error)) from None
    try:
        report = probe_source(address, options, seconds)
    except SourceError as error:
        _fail(error, as_json)
    found = _sub_streams(address, options) if guess else []
    if as_json:
        document = {
            "report": asdict(report),
            "remarks": remarks(report),
            "sub_streams": [asdict(one) for one in found],
            "configuration": snippet(address, report),
        }
        print(json.dumps(document, indent=2))
        return
    for name, value in _lines(report):
        print(f"{name:<15}{value}")
    for one in found:
        print(f"{'sub-stream':<15}{one.address}: {_picture(one)}")
    if guess and not found:
        print(f"{'sub-stream':<15}none at the usual paths")
    for remark in remarks(report):
        print(f"! {remark}")
    print("\nFor the configuration:\n")
    print(snippet(address, report), end="")


def _fail(error: SourceError, as_json: bool) -> None:
    hint = what_to_do(error.code)
    if as_json:
        document = {"error": {"code": error.code, "message": str(error), "what_to_do": hint}}
        print(json.dumps(document, indent=2))
    print(f"vedette: {error.code}: {error}\n{hint}", file=sys.stderr)
    raise SystemExit(1)


def _sub_streams(address: str, options: SourceOptions) -> list[ProbeReport]:
    """Guessed sub-streams that can be opened, only at the host of the address."""
    if kind_of(address) not in ("rtsp", "http"):
        return []
    found = []
    for guess in sub_stream_guesses(address):
        try:
            found.append(probe_source(guess, options, _GUESS_SECONDS))
        except (SourceError, ValueError) as error:
            print(
                f"not at {redact(guess)} ({getattr(error, 'code', 'malformed')})", file=sys.stderr
            )
    return found


def _lines(report: ProbeReport) -> list[tuple[str, str]]:
    kind = " over ".join(filter(None, (report.container, report.transport)))
    lines = [("address", report.address), ("kind", kind or "pictures")]
    lines.append(("picture", _picture(report)))
    lines += [(f"track {n}", track) for n, track in enumerate(report.tracks)]
    announced = "none" if report.announced_fps is None else f"{report.announced_fps:.4g}"
    measured = "–" if report.measured_fps is None else f"{report.measured_fps:.4g}"
    lines.append(("rate", f"{measured} frames/s measured, {announced} announced"))
    if report.bits_per_second is not None:
        lines.append(("bit rate", f"{report.bits_per_second / 1e6:.3g} Mbit/s"))
    if report.codec not in ("images", "synthetic"):
        interval = report.keyframe_interval_seconds
        text = "fewer than two received" if interval is None else f"every {interval:.3g} s"
        lines.append(("key frames", text))
    lines.append(("clock", _clock(report)))
    if report.live:
        lines.append(("first picture", f"after {report.open_seconds:.2f} s"))
        lines.append(("longest wait", f"{report.longest_wait_seconds:.2f} s"))
    cost = f"{report.decode_ms:.2f} ms CPU a frame, and {report.convert_ms:.2f} ms to convert it"
    lines.append(("decoding", cost))
    if report.decode_errors:
        lines.append(("damaged", f"{report.decode_errors} pictures"))
    return lines


def _picture(report: ProbeReport) -> str:
    height, width = report.size_hw
    return f"{report.codec} {width}x{height}"


def _clock(report: ProbeReport) -> str:
    clock = report.clock
    if clock is None:
        return "no time stamps; the arrival time is used"
    flaws = [
        f"{count} {name}"
        for name, count in (
            ("missing", clock.missing),
            ("backwards", clock.backwards),
            ("repeated", clock.repeated),
            ("leaps", clock.gaps),
        )
        if count
    ]
    pace = "" if clock.rate_ratio is None else f"; runs at {clock.rate_ratio:.3f} of real time"
    return f"{clock.stamped} time stamps, {', '.join(flaws) or 'no errors'}{pace}"
