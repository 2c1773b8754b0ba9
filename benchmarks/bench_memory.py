"""Cost of feedback exemplars: scoring with the largest number of them over scoring without.

    python -m benchmarks.bench_memory

A synthetic street with a cyclist, a vehicle and a runner, and exemplars of these, as many as
--events events have. Rounds take turns, so that a machine whose speed drifts slows both alike; CPU
time of one thread.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from cameras.simulation import PlannedAnomaly, SyntheticStreet
from models import SceneScorer
from pipeline.scenes.exemplar_store import MOST_EVENTS, SAMPLES_PER_EVENT

_FPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--rounds", type=int, default=60, help="frames of each kind")
    parser.add_argument("--events", type=int, default=MOST_EVENTS, help="events with exemplars")
    parser.add_argument("--seed", type=int, default=3, help="which street")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scorer = SceneScorer.load(options.weights, "cpu")
    planned = [
        PlannedAnomaly("cyclist", 40.0, 5.0),
        PlannedAnomaly("vehicle", 50.0, 5.0),
        PlannedAnomaly("runner", 60.0, 5.0),
    ]
    street = SyntheticStreet(options.seed, scorer.config.size_hw, _FPS, planned)
    length = scorer.config.clip_length

    def clip(index: int) -> torch.Tensor:
        frames = [street.render(index + number).pixels for number in range(length)]
        return torch.from_numpy(np.stack(frames))

    scene = scorer.adapt(torch.stack([clip(20 * number) for number in range(10)]))
    odd = [clip(index) for begin in (400, 500, 600) for index in range(begin + 8, begin + 44, 3)]
    seen = [scorer.exemplar(scorer.score(one[None], [scene]), 0) for one in odd]
    most = options.events * SAMPLES_PER_EVENT
    moments = (seen * (most // len(seen) + 1))[:most]
    started = time.perf_counter()
    remembering = scorer.with_exemplars(scene, moments)
    seconds = time.perf_counter() - started
    assert remembering.exemplars is not None
    cells = remembering.exemplars.cells.numel()
    print(f"{most} moments, {cells} of {scene.dictionary.mean.shape[0]} cells have exemplars")
    print(f"adding them to the scene: {seconds * 1000:.0f} ms, once")
    normal = [clip(700 + 7 * number) for number in range(12)]
    for name, clips in (("normal clips", normal), ("clips of the exemplars", odd)):
        times: dict[bool, list[float]] = {False: [], True: []}
        for number in range(options.rounds):
            for with_memory in (False, True) if number % 2 else (True, False):
                one = clips[number % len(clips)][None]
                started = time.process_time()
                scorer.score(one, [remembering if with_memory else scene])
                times[with_memory].append(time.process_time() - started)
        without, beside = (statistics.median(times[key]) for key in (False, True))
        print(
            f"{name}: {without * 1000:.1f} ms a frame without, {beside * 1000:.1f} with exemplars, "
            f"ratio {beside / without:.3f}"
        )


if __name__ == "__main__":
    main()
