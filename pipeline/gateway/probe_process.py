"""Probes one source in a separate process: the stream of a camera may hang or crash a decoder.

The source comes as JSON on standard input, where other users cannot read a password; the answer is
one JSON object on standard output.
"""

import base64
import json
import sys
from dataclasses import asdict
from typing import Any

from cameras.opening import open_source
from cameras.probe import probe
from cameras.shown_picture import encode
from cameras.source import SourceError, SourceOptions


def probe_source(
    address: str, transport: Any, timeout_seconds: float, seconds: float
) -> dict[str, Any]:
    """What a source sends, and one of its pictures.

    Args:
        address: Of the source, credentials included.
        transport: How RTSP media travels.
        timeout_seconds: How long a silence means that the camera is lost.
        seconds: How long to watch.
    """
    options = SourceOptions(transport=transport, stall_timeout_seconds=timeout_seconds, pace="fast")
    try:
        report = probe(address, options, seconds)
        with open_source(address, options) as source:
            frame = next(iter(source), None)
    except SourceError as error:
        return {"problem": {"code": error.code, "message": str(error)}}
    except ValueError as error:
        return {"problem": {"code": "malformed", "message": str(error)}}
    found = asdict(report)
    del found["tracks"], found["clock"]
    picture = None
    if frame is not None:
        pixels = frame.image() if callable(frame.image) else frame.image
        picture = base64.b64encode(encode(pixels).tobytes()).decode()
    return {"report": found, "picture": picture}


def main() -> None:
    """Read the request, probe the source, and print the report."""
    print(json.dumps(probe_source(**json.load(sys.stdin))))


if __name__ == "__main__":
    main()
