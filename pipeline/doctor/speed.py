"""How many cameras fit: a second of real scoring on this machine, as the scoring worker does it."""

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
"""Share of the machine that may be planned with: cameras are not equally busy at all times."""
_BESIDE_CPU_SECONDS = 0.012
"""CPU time of a frame beside scoring (decoded from a sub-stream, sent, kept), as measured on the
processor that scores it in 0.035 s."""
_USUAL_CPU_SECONDS = 0.035


@dataclass(frozen=True, slots=True)
class Speed:
    """What scoring a frame takes, with frames of several cameras scored together."""

    wall_seconds: float
    cpu_seconds: float
    """Of all threads together; on an accelerator, of the CPU beside it."""


def measure(scoring: Scoring, size_hw: tuple[int, int], seconds: float = SECONDS) -> Speed:
    """Score noise for a while.

    Args:
        scoring: Weights, device and threads.
        size_hw: Of the frames, in pixels.
        seconds: For how long.

    Raises:
        ValueError: the weights cannot be used, or there is no such device.
    """
    import torch

    from models import SceneScorer

    before = torch.get_num_threads()
    if scoring.threads is not None:
        torch.set_num_threads(scoring.threads)
    try:
        scorer = SceneScorer.load(scoring.weights, scoring.device)
        shape = (scorer.config.clip_length, *size_hw, 3)
        noise = torch.Generator().manual_seed(0)
        still = torch.randint(256, (1, *shape), generator=noise)
        moved = still + torch.randint(-5, 6, (_SUPPORT_CLIPS, *shape), generator=noise)
        clips = moved.clamp(0, 255).to(torch.uint8)
        # A scene for each, as each camera has its own.
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
    """Frames of all cameras that can be scored in a second, with something to spare.

    The scoring worker has no more than the time of the day, and all processes together no more than
    the cores.

    Args:
        speed: As measured.
        cores: That the service may use.
    """
    # A processor that is slow at the one is slow at the other.
    beside = _BESIDE_CPU_SECONDS * min(4.0, max(0.25, speed.cpu_seconds / _USUAL_CPU_SECONDS))
    return _LOAD * min(1.0 / speed.wall_seconds, cores / (speed.cpu_seconds + beside))


def judge_speed(speed: Speed, cores: int, wanted: Sequence[float]) -> Check:
    """How many cameras fit, and whether those that are configured do.

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
        f"{len(wanted)} cameras want {sum(wanted):g} frames a second, and {rate:.0f} can be scored;"
        " live frames will be dropped: watch fewer cameras, lower detect.fps or the size "
        "in detect, or give it more cores or a GPU"
    )
    return judge("speed", found, warns=advice if sum(wanted) > rate else "")


def speed(config: Config | None) -> Check:
    """Measure, and judge.

    Args:
        config: Whose cameras are to fit; None: none are known.
    """
    cameras = [camera for camera in (config.cameras.values() if config else ()) if camera.enabled]
    sizes = [camera.detect.size_hw for camera in cameras] or [Detect().size_hw]
    try:
        largest = max(sizes, key=lambda size_hw: size_hw[0] * size_hw[1])
        found = measure(config.scoring if config else Scoring(), largest)
    except ValueError as error:
        return Check("speed", "warn", f"not measured: {error}", "see the weights and the device")
    cores = len(os.sched_getaffinity(0))
    return judge_speed(found, cores, [camera.detect.fps for camera in cameras])
