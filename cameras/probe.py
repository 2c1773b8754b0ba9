"""Probe a source for a few seconds, and report what it sends."""

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
    PacketRecord,
    clock_quality,
    keyframe_interval_seconds,
    rate,
    without_initial_burst,
)
from cameras.video_file import VideoFile

if TYPE_CHECKING:
    from av import CodecContext, Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_CONVERTED = 5
_REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Measured properties of a source."""

    address: str
    """Without credentials."""
    live: bool
    """Whether frames that are not read in time are lost."""
    codec: str
    """FFmpeg's name of the codec, such as "h264"."""
    size_hw: tuple[int, int]
    """Height and width of the frames."""
    container: str
    """FFmpeg's name of container or protocol, such as "rtsp"; empty where there is none."""
    transport: str
    """Transport of an RTSP stream, "tcp" or "udp"; else empty."""
    tracks: tuple[str, ...]
    """The available video tracks; the first main video track is used."""
    frames: int
    """Number of decoded frames."""
    decode_errors: int
    """Frames that were damaged or could not be decoded."""
    announced_fps: float | None
    """Announced rate; None where the stream announces none."""
    measured_fps: float | None
    """Rate of arrival where it is live, else of stream time; None for a single frame."""
    open_seconds: float
    """Time to open the source and decode the first frame."""
    longest_wait_seconds: float
    """Longest time between two arrivals."""
    keyframe_interval_seconds: float | None
    """Longest time between two key frames; None for fewer than two key frames."""
    bits_per_second: float | None
    """Average of the packets; None where there are none, or too few."""
    clock: ClockQuality | None
    """None where frames have no time stamps, and the time of arrival is used."""
    decode_ms: float
    """CPU time for receiving and decoding one frame."""
    convert_ms: float
    """CPU time for converting one frame to RGB; only sampled frames are converted."""


class _PacketLog:
    """Collects the received packets."""

    def __init__(self) -> None:
        self.packets: list[PacketRecord] = []
        self.container = ""
        self.tracks: tuple[str, ...] = ()

    def add(self, packet: "Packet[VideoStream]") -> None:
        stream = packet.stream
        if not self.packets:
            self.container = stream.container.format.name
            self.tracks = tuple(_description(track) for track in stream.container.streams.video)
        # Where frames are reordered, only decoding times increase from packet to packet.
        reordered = stream.codec_context is not None and stream.codec_context.has_b_frames
        ticks, unit = (packet.dts if reordered else packet.pts), packet.time_base
        stamp = None if ticks is None or unit is None else float(ticks * unit)
        self.packets.append(PacketRecord(stamp, packet.is_keyframe, packet.size, time.monotonic()))


@dataclass(slots=True)
class _Measured:
    """Times and costs of the frames."""

    pts: list[float]
    arrivals: list[float]
    decode_errors: int = 0
    decode_cpu_seconds: float = 0.0
    convert_cpu_seconds: float = 0.0


def probe(address: str, options: SourceOptions, seconds: float) -> ProbeReport:
    """Open a source, read it for a while, and measure.

    Args:
        address: As for `open_source`.
        options: How to open it.
        seconds: Duration: of arrival where it is live, else of stream time; > 0.

    Raises:
        ValueError: the address is malformed.
        SourceError: it cannot be opened, or was lost while reading.
    """
    if kind_of(address) == "http" and options.kind == "auto":
        endless = is_endless(address, min(_REQUEST_SECONDS, options.stall_timeout_seconds))
        options = replace(options, kind="live" if endless else "file")
    source, packet_log = open_source(address, options), _PacketLog()
    if isinstance(source, LiveStream | VideoFile):
        source.on_packet = packet_log.add
    live = is_live(address, options.kind)
    began = time.monotonic()
    with source:
        open_seconds = time.monotonic() - began
        measured = _measure(source, seconds, live)
        info = source.info
    frames = len(measured.pts)
    times = without_initial_burst(measured.arrivals) if live else measured.pts
    fps = rate(times)
    stamps = bool(packet_log.packets) and packet_log.container not in UNSTAMPED
    mean_bytes = sum(packet.size_bytes for packet in packet_log.packets) / max(
        1, len(packet_log.packets)
    )
    return ProbeReport(
        address=redact(address),
        live=live,
        codec=info.codec,
        size_hw=info.size_hw,
        container=packet_log.container,
        transport=options.transport if packet_log.container == "rtsp" else "",
        tracks=packet_log.tracks,
        frames=frames,
        decode_errors=measured.decode_errors,
        announced_fps=info.frames_per_second,
        measured_fps=fps,
        open_seconds=open_seconds,
        longest_wait_seconds=max((b - a for a, b in pairwise(measured.arrivals)), default=0.0),
        keyframe_interval_seconds=keyframe_interval_seconds(packet_log.packets, 1 / fps)
        if fps
        else None,
        bits_per_second=8 * mean_bytes * fps if fps and packet_log.packets else None,
        clock=clock_quality(packet_log.packets, live) if stamps else None,
        decode_ms=1000 * measured.decode_cpu_seconds / frames,
        convert_ms=1000 * measured.convert_cpu_seconds / min(_CONVERTED, frames),
    )


def _measure(source: Source, seconds: float, live: bool) -> _Measured:
    """Read frames for so many seconds, at least one; only the first few are converted."""
    measured = _Measured([], [])
    cpu_began = time.process_time()
    for picture in source:
        measured.arrivals.append(time.monotonic())
        measured.pts.append(picture.pts_seconds)
        measured.decode_errors = picture.decode_errors
        if len(measured.pts) <= _CONVERTED:
            before = time.process_time()
            picture.pixels  # noqa: B018 - converted on access
            measured.convert_cpu_seconds += time.process_time() - before
        passed = measured.arrivals[-1] - measured.arrivals[0] if live else picture.pts_seconds
        if passed >= seconds:
            break
    cpu_seconds = time.process_time() - cpu_began
    measured.decode_cpu_seconds = max(0.0, cpu_seconds - measured.convert_cpu_seconds)
    return measured


def _description(track: "Stream") -> str:
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
    """Return likely addresses of the sub-stream at the same host; tried only on request.

    Args:
        address: RTSP or HTTP address of the main stream; user, password and host are kept.
    """
    parts = urlsplit(address)
    rest = urlunsplit(("", "", parts.path, parts.query, ""))
    guesses: list[str] = []
    for pattern, replacement in _FROM_MAIN_TO_SUB:
        guess, changes = re.subn(pattern, replacement, rest, count=1)
        if changes and guess not in guesses:
            guesses.append(guess)
    return [f"{parts.scheme}://{parts.netloc}{guess}" for guess in guesses]
