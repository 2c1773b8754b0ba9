"""Check how many cameras the machine can score, by a second of scoring as the worker does it."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.config.model import Detect, Scoring
from pipeline.doctor.check import Check, judge

SECONDS = 1.0
_BATCH = 3
_SUPPORT_CLIPS = 10
_LEAST_BATCHES = 3
_LOAD = 0.8
"""Share of the machine to plan with: the load of cameras varies over time."""
_BESIDE_CPU_SECONDS = 0.012
"""CPU time per frame outside of scoring (decoding of a sub-stream, transport, storage), measured on
a processor that scores a frame in 0.035 s."""
_USUAL_CPU_SECONDS = 0.035


@dataclass(frozen=True, slots=True)
class Speed:
    """Time to score a frame, with frames of several cameras scored as a batch."""

    wall_seconds: float
    cpu_seconds: float
    """Of all threads together; with an accelerator, of the CPU only."""


def measure(scoring: Scoring, size_hw: tuple[int, int], seconds: float = SECONDS) -> Speed:
    """Score noise for some time.

    Args:
        scoring: Weights, device and threads.
        size_hw: Of the frames, in pixels.
        seconds: For how long.

    Raises:
        ValueError: the weights cannot be used, or there is no such device.
    """
    import torch

    from pipeline.scoring.loading import load_scorer

    before = torch.get_num_threads()
    try:
        scorer = load_scorer(scoring.weights, scoring.device, scoring.threads)
        shape = (scorer.config.clip_length, *size_hw, 3)
        noise = torch.Generator().manual_seed(0)
        still = torch.randint(256, (1, *shape), generator=noise)
        moved = still + torch.randint(-5, 6, (_SUPPORT_CLIPS, *shape), generator=noise)
        clips = moved.clamp(0, 255).to(torch.uint8)
        # One scene each, as each camera has its own.
        scenes = [scorer.adapt(clips) for _ in range(_BATCH)]
        for _ in range(2):
            scorer.score(clips[:_BATCH], scenes)
        batches, wall, cpu = 0, time.perf_counter(), time.process_time()
        while batches < _LEAST_BATCHES or time.perf_counter() - wall < seconds:
            scorer.score(clips[:_BATCH], scenes)
            batches += 1
        frames = batches * _BATCH
        taken = time.perf_counter() - wall, time.process_time() - cpu
        return Speed(taken[0] / frames, taken[1] / frames)
    finally:
        torch.set_num_threads(before)


def frames_per_second(speed: Speed, cores: int) -> float:
    """Frames of all cameras that can be scored per second, with a reserve.

    The scoring worker is limited by wall time, and all processes together by the cores.

    Args:
        speed: As measured.
        cores: That the service may use.
    """
    # A processor that is slow at scoring is slow at the rest.
    beside = _BESIDE_CPU_SECONDS * min(4.0, max(0.25, speed.cpu_seconds / _USUAL_CPU_SECONDS))
    return _LOAD * min(1.0 / speed.wall_seconds, cores / (speed.cpu_seconds + beside))


def judge_speed(speed: Speed, cores: int, wanted: Sequence[float]) -> Check:
    """Judge how many cameras fit, and whether the configured ones do.

    Args:
        speed: As measured.
        cores: That the service may use.
        wanted: `detect.fps` of each camera that is enabled.
    """
    rate = frames_per_second(speed, cores)
    fps = sum(wanted) / len(wanted) if wanted else Detect().fps
    fit = int(rate / fps)
    found = (
        f"a frame takes {speed.wall_seconds * 1e3:.0f} ms on {cores} cores: about {fit} "
        f"camera{'s' * (fit != 1)} at {fps:g} frames a second fit"
    )
    advice = (
        f"{len(wanted)} cameras send {sum(wanted):g} frames a second, and {rate:.0f} can be scored;"
        " live frames will be dropped: configure fewer cameras, lower detect.fps or the size "
        "in detect, or give it more cores or a GPU"
    )
    return judge("speed", found, warns=advice if sum(wanted) > rate else "")


def speed(config: Config | None) -> Check:
    """Measure the speed and judge it.

    Args:
        config: With the cameras to score; None: none are known.
    """
    cameras = [camera for camera in (config.cameras.values() if config else ()) if camera.enabled]
    sizes = [camera.detect.size_hw for camera in cameras] or [Detect().size_hw]
    try:
        largest = max(sizes, key=lambda size_hw: size_hw[0] * size_hw[1])
        found = measure(config.scoring if config else Scoring(), largest)
    except ValueError as error:
        return Check(
            "speed", "warn", f"not measured: {error}", "check scoring.weights and scoring.device"
        )
    cores = len(os.sched_getaffinity(0))
    return judge_speed(found, cores, [camera.detect.fps for camera in cameras])
