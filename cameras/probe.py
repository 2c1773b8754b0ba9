"""Looks at a source for a few seconds, and says what it sends."""

import re
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from cameras.address import is_live, kind_of, redact
from cameras.http_stream import UNSTAMPED, is_endless
from cameras.live_stream import LiveStream
from cameras.opening import open_source
from cameras.source import Source, SourceOptions
from cameras.stream_quality import (
    ClockQuality,
    SeenPacket,
    after_the_burst,
    clock_quality,
    keyframe_interval_seconds,
    rate,
)
from cameras.video_file import VideoFile

if TYPE_CHECKING:
    from av import CodecContext, Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_CONVERTED = 5
_ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a source sends, as measured."""

    address: str
    """Without credentials."""
    live: bool
    """Whether frames that are not taken in time are lost."""
    codec: str
    """FFmpeg's name of it, such as "h264"."""
    size_hw: tuple[int, int]
    """Height and width of the pictures."""
    container: str
    """FFmpeg's name of container or protocol, such as "rtsp"; empty where there is none."""
    transport: str
    """How the packets of an RTSP stream came, "tcp" or "udp"; else empty."""
    tracks: tuple[str, ...]
    """The video tracks that are offered; the first film among them is watched."""
    pictures: int
    """Number of pictures decoded."""
    decode_errors: int
    """Pictures that were damaged or could not be decoded."""
    announced_fps: float | None
    """Rate that the stream gives; None where it gives none."""
    measured_fps: float | None
    """Rate of arrival where it is live, else of stream time; None for a single picture."""
    open_seconds: float
    """Until it was open and the first picture there."""
    longest_wait_seconds: float
    """Longest time between two arrivals."""
    keyframe_interval_seconds: float | None
    """Longest time between two key frames; None where fewer than two were seen."""
    bits_per_second: float | None
    """Of the packets, on average; None where there are none, or too few."""
    clock: ClockQuality | None
    """None where pictures come without time stamps, and arrival counts."""
    decode_ms: float
    """CPU time for receiving and decoding one picture."""
    convert_ms: float
    """CPU time for making one picture RGB; only sampled ones cost it."""


class _Notes:
    """Collects what the packets say."""

    def __init__(self) -> None:
        self.packets: list[SeenPacket] = []
        self.container = ""
        self.tracks: tuple[str, ...] = ()

    def take(self, packet: "Packet[VideoStream]") -> None:
        stream = packet.stream
        if not self.packets:
            self.container = stream.container.format.name
            self.tracks = tuple(_described(track) for track in stream.container.streams.video)
        # Where pictures are reordered, only the decoding times rise from packet to packet.
        reordered = stream.codec_context is not None and stream.codec_context.has_b_frames
        ticks, unit = (packet.dts if reordered else packet.pts), packet.time_base
        stamp = None if ticks is None or unit is None else float(ticks * unit)
        self.packets.append(SeenPacket(stamp, packet.is_keyframe, packet.size, time.monotonic()))


@dataclass(slots=True)
class _Watched:
    """What the pictures say."""

    pts: list[float]
    arrivals: list[float]
    decode_errors: int = 0
    decode_cpu_seconds: float = 0.0
    convert_cpu_seconds: float = 0.0


def probe(address: str, options: SourceOptions, seconds: float) -> ProbeReport:
    """Open a source, watch it for a while, and measure.

    Args:
        address: As for `open_source`.
        options: How to open it.
        seconds: For how long: of arrival where it is live, else of stream time; > 0.

    Raises:
        ValueError: the address is malformed.
        SourceError: it cannot be opened, or was lost meanwhile.
    """
    if kind_of(address) == "http" and options.kind == "auto":
        endless = is_endless(address, min(_ASK_SECONDS, options.stall_timeout_seconds))
        options = replace(options, kind="live" if endless else "file")
    source, notes = open_source(address, options), _Notes()
    if isinstance(source, LiveStream | VideoFile):
        source.on_packet = notes.take
    live = is_live(address, options.kind)
    began = time.monotonic()
    with source:
        open_seconds = time.monotonic() - began
        watched = _watch(source, seconds, live)
        info = source.info
    pictures = len(watched.pts)
    times = after_the_burst(watched.arrivals) if live else watched.pts
    fps = rate(times)
    stamps = bool(notes.packets) and notes.container not in UNSTAMPED
    mean_bytes = sum(seen.size_bytes for seen in notes.packets) / max(1, len(notes.packets))
    return ProbeReport(
        address=redact(address),
        live=live,
        codec=info.codec,
        size_hw=info.size_hw,
        container=notes.container,
        transport=options.transport if notes.container == "rtsp" else "",
        tracks=notes.tracks,
        pictures=pictures,
        decode_errors=watched.decode_errors,
        announced_fps=info.frames_per_second,
        measured_fps=fps,
        open_seconds=open_seconds,
        longest_wait_seconds=max((b - a for a, b in pairwise(watched.arrivals)), default=0.0),
        keyframe_interval_seconds=keyframe_interval_seconds(notes.packets, 1 / fps)
        if fps
        else None,
        bits_per_second=8 * mean_bytes * fps if fps and notes.packets else None,
        clock=clock_quality(notes.packets, live) if stamps else None,
        decode_ms=1000 * watched.decode_cpu_seconds / pictures,
        convert_ms=1000 * watched.convert_cpu_seconds / min(_CONVERTED, pictures),
    )


def _watch(source: Source, seconds: float, live: bool) -> _Watched:
    """Take pictures for so long, at least one; all but the first few are never converted."""
    watched = _Watched([], [])
    cpu_began = time.process_time()
    for picture in source:
        watched.arrivals.append(time.monotonic())
        watched.pts.append(picture.pts_seconds)
        watched.decode_errors = picture.decode_errors
        if len(watched.pts) <= _CONVERTED:
            before = time.process_time()
            picture.pixels  # noqa: B018 - made when asked for
            watched.convert_cpu_seconds += time.process_time() - before
        passed = watched.arrivals[-1] - watched.arrivals[0] if live else picture.pts_seconds
        if passed >= seconds:
            break
    cpu_seconds = time.process_time() - cpu_began
    watched.decode_cpu_seconds = max(0.0, cpu_seconds - watched.convert_cpu_seconds)
    return watched


def _described(track: "Stream") -> str:
    context: CodecContext | None = track.codec_context  # None where there is no decoder
    if context is None:
        return "no decoder"
    width, height = getattr(context, "width", 0), getattr(context, "height", 0)
    return f"{context.name} {width}x{height}" if width and height else context.name


_FROM_MAIN_TO_SUB = (
    (r"(/Streaming/Channels/\d*0)1\b", r"\g<1>2"),  # Hikvision
    (r"(\bsubtype=)0\b", r"\g<1>1"),  # Dahua, Amcrest
    (r"(Preview_\d+_)main\b", r"\g<1>sub"),  # Reolink
    (r"(/stream)1$", r"\g<1>2"),  # TP-Link
    (r"(/live/ch\d+_)0\b", r"\g<1>1"),
    (r"(/ch\d+_)0\.", r"\g<1>1."),
    (r"(/av\d+_)0\b", r"\g<1>1"),
    (r"(/(?:media/)?video)1$", r"\g<1>2"),
    (r"(/profile)1\b", r"\g<1>2"),
    (r"(/onvif)1$", r"\g<1>2"),
    (r"(/1)1$", r"\g<1>2"),
    (r"(video)Main\b", r"\g<1>Sub"),  # Foscam
    (r"\bmain\b", "sub"),
    (r"\bMainStream\b", "SubStream"),
)


def sub_stream_guesses(address: str) -> list[str]:
    """Addresses at the same host at which the smaller stream may be; only tried when told to.

    Args:
        address: RTSP or HTTP address of the main stream; its user, password and host stay.
    """
    parts = urlsplit(address)
    rest = urlunsplit(("", "", parts.path, parts.query, ""))
    guesses: list[str] = []
    for pattern, replacement in _FROM_MAIN_TO_SUB:
        guess, changes = re.subn(pattern, replacement, rest, count=1)
        if changes and guess not in guesses:
            guesses.append(guess)
    return [f"{parts.scheme}://{parts.netloc}{guess}" for guess in guesses]
