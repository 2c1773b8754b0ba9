"""Checks of the installed software: versions, codecs, accelerators, weights."""

import io
import platform
from collections.abc import Iterator
from importlib.metadata import version

import av
import numpy as np
import zmq
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.stream import VideoStream

from pipeline.config import Config, TransportSection
from pipeline.config.frame_rates import expected_fps, slow_cameras
from pipeline.doctor.check import Check, judge

_SHOWN = ("vedette", "torch", "av", "opencv-python-headless", "numpy", "pyzmq")
_CODECS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg"}
_FRAMES = 3
_MAX_ERROR = 12.0  # of 255: more than the error of any of these codecs on a smooth frame


def versions() -> Check:
    """List the installed versions, for bug reports."""
    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    packages = [f"{name} {version(name)}" for name in _SHOWN]
    shown = [*packages, f"libavcodec {ffmpeg}", f"Python {platform.python_version()}"]
    return Check("versions", "ok", ", ".join([*shown, platform.machine()]))


def codec(name: str) -> Check:
    """Encode frames, decode them, and compare.

    Args:
        name: FFmpeg's name of the decoder: h264, hevc or mjpeg.
    """
    title = f"codec {name}"
    advice = "reinstall PyAV with `pip install --force-reinstall av`"
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return Check(title, "fail", "no decoder", advice)
    try:
        Codec(_CODECS[name], "w")
    except UnknownCodecError:
        return Check(title, "ok", "has a decoder (not tested: there is no encoder)")
    height, width = 144, 176
    ramp = np.linspace(40, 200, width, dtype=np.uint8)
    picture = np.repeat(np.tile(ramp, (height, 1))[:, :, None], 3, axis=2)
    decoded = list(_round_trip(name, picture))
    far = max((float(np.abs(one - picture.astype(float)).mean()) for one in decoded), default=0.0)
    good = len(decoded) == _FRAMES and far < _MAX_ERROR
    found = f"{len(decoded)} of {_FRAMES} frames decoded, mean error {far:.1f} of 255"
    return judge(title, found, fails="" if good else advice)


def _round_trip(
    name: str, picture: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
) -> Iterator["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    file = io.BytesIO()
    quiet = {"x265-params": "log-level=none:pools=none"} if name == "hevc" else {}
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(_CODECS[name], rate=10, options=quiet)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
        for _ in range(_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as reading:
        for frame in reading.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def encryption(transport: TransportSection) -> Check:
    """Check that libzmq can encrypt messages between processes, if configured.

    Args:
        transport: Section of the configuration.
    """
    there = zmq.has("curve")
    found = f"libzmq {zmq.zmq_version()} {'with' if there else 'without'} CURVE"
    if transport.kind == "ipc":
        return Check("encryption", "ok", f"{found}, not needed for sockets in a private folder")
    if not transport.curve:
        warns = "any host that reaches the ports can read and forge: set transport.curve to true"
        return Check("encryption", "warn", f"{found}, switched off", warns)
    fails = "install pyzmq as a wheel, or set transport.kind to ipc"
    return judge("encryption", found, "" if there else fails)


def accelerator(device: str) -> Check:
    """Check that torch supports the configured device.

    Args:
        device: `scoring.device`.
    """
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
        return Check("accelerator", "ok", ", ".join(names))
    fails = ""
    if device == "cuda":
        fails = "install a driver and a torch build for CUDA, or set scoring.device to auto"
    built = torch.version.cuda
    kind = f"torch is built for CUDA {built}" if built else "torch is built for CPUs"
    return judge("accelerator", f"none, scoring runs on the CPU ({kind})", fails)


def weights(name: str) -> Check:
    """Check the integrity of the weights: their fingerprint is recomputed.

    Args:
        name: `scoring.weights`.
    """
    import torch

    from models.checkpoint import CheckpointError, load_checkpoint

    try:
        model, mark = load_checkpoint(name, torch.device("cpu"))
    except (CheckpointError, OSError) as error:
        advice = "reinstall Vedette, or name other weights in scoring.weights"
        return Check("weights", "fail", str(error), advice)
    return Check("weights", "ok", f"{name}: {model.config.preset}, identity {mark}, weights intact")


def frame_rates(config: Config) -> Check:
    """Check that the cameras send as many frames per second as the model expects."""
    expected = expected_fps(config.scoring.weights)
    slow = slow_cameras(config.cameras, expected)
    wanted = (
        "the model accepts any rate"
        if expected is None
        else f"the model expects {expected:g} frames/s"
    )
    return judge("frame rates", wanted, warns="; ".join(slow))
