"""From packets as a camera encoded them to a file that players open; nothing is encoded anew."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from cameras.packet_ring import HEADER_FORMAT, EncodedPacket, Excerpt

_LARGEST_STEP_SECONDS = 10.0
_GUESSED_STEP_SECONDS = Fraction(1, 25)


class RemuxError(Exception):
    """Packets that cannot be put into the file; the text says why."""


def write_mp4(excerpt: Excerpt, path: Path) -> None:
    """Write an excerpt as MP4, with its index at the beginning; whole, or not at all.

    Raises:
        RemuxError: MP4 does not take the codec, or the packets are damaged.
        OSError: the file cannot be written, such as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    try:
        _write(excerpt, unfinished)
        os.replace(unfinished, path)
    except OSError:  # some of FFmpeg's errors are such, as of a full disk
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise RemuxError(f"cannot be put into MP4 ({error})") from None
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
            stream.codec_context.codec_tag = "hvc1"  # by another name some players refuse it
        stream.set_display_matrix(excerpt.display_matrix)
        for one in in_order(excerpt.packets, excerpt.time_base):
            packet = av.Packet(one.data)
            packet.pts, packet.dts, packet.duration = one.pts, one.dts, one.duration
            packet.time_base = excerpt.time_base
            packet.is_keyframe = one.is_keyframe
            packet.stream = stream
            container.mux_one(packet)


def in_order(packets: Iterable[EncodedPacket], time_base: Fraction) -> Iterator[EncodedPacket]:
    """The packets with times from 0 on that rise, whatever the camera said.

    Some have none at the beginning of a connection; others jump when the camera sets its clock.
    Times of decoding then go on by the last step that was sound, and those of showing with them.

    Args:
        packets: In the order of decoding.
        time_base: Seconds of one unit of their times.
    """
    step = max(1, round(_GUESSED_STEP_SECONDS / time_base))
    packets = _with_first_times(list(packets), step)
    largest = _LARGEST_STEP_SECONDS / time_base
    before: int | None = None
    said: int | None = None
    for packet in packets:
        if packet.dts is not None and said is not None and 0 < packet.dts - said <= largest:
            step = packet.dts - said
        elif packet.duration > 0:
            step = packet.duration
        dts = 0 if before is None else before + step
        # How long after its decoding it is shown: 0 but for pictures that wait for others.
        wait = 0 if packet.pts is None or packet.dts is None else max(0, packet.pts - packet.dts)
        yield replace(packet, dts=dts, pts=dts + wait)
        before, said = dts, packet.dts


def _with_first_times(packets: list[EncodedPacket], step: int) -> list[EncodedPacket]:
    """Count back from the first packet that says when it is to be decoded."""
    first = next((n for n, packet in enumerate(packets) if packet.dts is not None), None)
    if not first:
        return packets
    known = packets[first].dts
    assert known is not None
    step = packets[0].duration or step
    early = (replace(one, dts=known - step * (first - n)) for n, one in enumerate(packets[:first]))
    return [*early, *packets[first:]]
