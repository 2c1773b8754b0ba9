"""Write encoded packets to a playable file without re-encoding."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from cameras.packet_ring import HEADER_FORMAT, EncodedPacket, Excerpt

_MAX_STEP_SECONDS = 10.0
_DEFAULT_STEP = Fraction(1, 25)


class RemuxError(Exception):
    """Packets that cannot be written to the file; the message says why."""


def write_mp4(excerpt: Excerpt, path: Path) -> None:
    """Write an excerpt as MP4, with its index at the beginning; never leave a partial file.

    Raises:
        RemuxError: MP4 does not support the codec, or the packets are damaged.
        OSError: the file cannot be written, such as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    try:
        _write(excerpt, unfinished)
        os.replace(unfinished, path)
    except OSError:  # some of FFmpeg's errors are OSErrors, as for a full disk
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise RemuxError(f"cannot be written as MP4 ({error})") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _write(excerpt: Excerpt, path: Path) -> None:
    options = {"movflags": "faststart"}
    with (
        av.open(io.BytesIO(excerpt.header), format=HEADER_FORMAT) as header,
        av.open(str(path), "w", format="mp4", options=options) as container,
    ):
        stream = container.add_stream_from_template(header.streams.video[0])
        if stream.codec_context.codec.canonical_name == "hevc":
            stream.codec_context.codec_tag = "hvc1"  # some players reject other tags
        stream.set_display_matrix(excerpt.display_matrix)
        for one in in_order(excerpt.packets, excerpt.time_base):
            packet = av.Packet(one.data)
            packet.pts, packet.dts, packet.duration = one.pts, one.dts, one.duration
            packet.time_base = excerpt.time_base
            packet.is_keyframe = one.is_keyframe
            packet.stream = stream
            container.mux_one(packet)


def in_order(packets: Iterable[EncodedPacket], time_base: Fraction) -> Iterator[EncodedPacket]:
    """Yield the packets with time stamps that start at 0 and increase strictly.

    Some cameras send no time stamps at the beginning of a connection; others jump when their clock
    is set. Decoding times then advance by the last valid step, and presentation times with them.

    Args:
        packets: In decoding order.
        time_base: Seconds of one unit of their time stamps.
    """
    step = max(1, round(_DEFAULT_STEP / time_base))
    packets = _with_first_times(list(packets), step)
    largest = _MAX_STEP_SECONDS / time_base
    previous: int | None = None
    previous_input: int | None = None
    for packet in packets:
        if (
            packet.dts is not None
            and previous_input is not None
            and 0 < packet.dts - previous_input <= largest
        ):
            step = packet.dts - previous_input
        elif packet.duration > 0:
            step = packet.duration
        dts = 0 if previous is None else previous + step
        # From decoding to presentation: 0 except for reordered frames.
        delay = 0 if packet.pts is None or packet.dts is None else max(0, packet.pts - packet.dts)
        yield replace(packet, dts=dts, pts=dts + delay)
        previous, previous_input = dts, packet.dts


def _with_first_times(packets: list[EncodedPacket], step: int) -> list[EncodedPacket]:
    """Fill in leading decoding times by counting back from the first packet that has one."""
    first = next((n for n, packet in enumerate(packets) if packet.dts is not None), None)
    if not first:
        return packets
    known = packets[first].dts
    assert known is not None
    step = packets[0].duration or step
    early = (replace(one, dts=known - step * (first - n)) for n, one in enumerate(packets[:first]))
    return [*early, *packets[first:]]
