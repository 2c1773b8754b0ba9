"""Milliseconds a frame by stage, on a busy scene and on a still one: part of `make bench`.

    python -m benchmarks.bench_stages --threads 1

Every row is the median over several rounds, taken in turn with the other rows, so that a machine
whose speed drifts slows all rows alike; the last column is the ratio to a frame as it was before
optical flow: network, sparse code of all cells and frame difference, computed for every frame.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from cameras.simulation import SyntheticStreet
from models import SceneScorer
from models.energy import residual_energy
from models.inputs import grey_clips
from models.motion import observe_motion
from models.scene_model import Observation
from models.stillness import StillWatch
from pipeline.scoring.scoring_batch import BatchItem, score_clips

_FRAMES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10, help="runs of each row")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    torch.set_grad_enabled(False)
    scorer = SceneScorer.load(options.weights, "cpu")
    model, length = scorer.model, scorer.config.clip_length
    street = SyntheticStreet(3, scorer.config.size_hw, 10.0)
    frames = [street.render(index).pixels for index in range(100 + _FRAMES)]
    busy = [np.stack(frames[n : n + length]) for n in range(100, 100 + _FRAMES - length)]
    random = np.random.default_rng(0)
    ground = frames[0].astype(float)

    def noisy() -> np.ndarray:
        return (ground + random.normal(0, 1.8, ground.shape)).clip(0, 255).astype(np.uint8)

    quiet = [noisy() for _ in range(_FRAMES)]
    still = [np.stack(quiet[n : n + length]) for n in range(_FRAMES - length)]
    support = np.stack([np.stack(frames[10 * n : 10 * n + length]) for n in range(10)])
    scene = scorer.adapt(torch.from_numpy(support))
    one = torch.from_numpy(busy[0][None])
    grey = grey_clips(one)
    features = model.features(grey)

    def code() -> object:
        seen = Observation(features, observed)
        return model.terms(seen, scene.dictionary, scene.row_normal)

    observed = observe_motion(grey, scorer.config.stride)

    def before() -> object:
        observe_motion(grey_clips(one), scorer.config.stride, "difference")
        model.features(grey)
        return residual_energy(features, scene.dictionary, scorer.config)

    def film(clips: list[np.ndarray]) -> None:
        watch = StillWatch(length)
        ages = tuple(back / 10 for back in range(length - 1, -1, -1))
        for clip in clips:
            score_clips(scorer, [BatchItem(clip, scene, watch, ages)])

    rows: dict[str, tuple[int, Callable[[], object]]] = {
        "before: difference, network, code": (1, before),
        "  motion by frame difference": (1, lambda: observe_motion(grey, 8, "difference")),
        "  motion by optical flow": (1, lambda: observe_motion(grey, 8)),
        "  network": (1, lambda: model.features(grey)),
        "  sparse code of all cells": (
            1,
            lambda: residual_energy(features, scene.dictionary, scorer.config),
        ),
        "  sparse code of the highest, and terms": (1, code),
        "busy scene, a frame": (len(busy), lambda: film(busy)),
        "still scene, a frame": (len(still), lambda: film(still)),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(options.rounds + 1):
        for name, (count, work) in rows.items():
            started = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - started) / count)
    reference = times["before: difference, network, code"][1:]
    print(f"{options.threads} threads, median of {options.rounds} (lowest), ratio to before")
    for name, taken in times.items():
        warm = taken[1:]
        ratio = statistics.median(one / other for one, other in zip(warm, reference, strict=True))
        print(
            f"  {name:<38} {1e3 * statistics.median(warm):7.1f} ms ({1e3 * min(warm):5.1f}) "
            f"{ratio:6.2f}"
        )


if __name__ == "__main__":
    main()
