"""Time adaptation and scoring on this machine: `make bench`.

Every row is the median over several runs, taken in turn with the other rows, so that a machine
whose speed drifts slows all rows alike. Random pixels: the cost does not depend on the content.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from models import SceneScorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--shots", type=int, default=10, help="support clips K")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each row")
    options = parser.parse_args()
    scorer = SceneScorer.load(options.weights, options.device)
    length, (height, width) = scorer.config.clip_length, scorer.config.size_hw

    def clips(count: int) -> torch.Tensor:
        return torch.randint(0, 256, (count, length, height, width, 3), dtype=torch.uint8)

    support = clips(options.shots)
    scenes = [scorer.adapt(clips(options.shots)) for _ in range(8)]
    rows: dict[str, tuple[int, Callable[[], object]]] = {
        f"adapt, K = {options.shots}": (1, lambda: scorer.adapt(support)),
    }
    for count in (1, 4, 8):
        batch = clips(count)
        rows[f"score, {count} camera{'s'[: count > 1]} a batch"] = (
            count,
            lambda batch=batch, count=count: scorer.score(batch, scenes[:count]),
        )
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(options.rounds + 1):
        for name, (_, work) in rows.items():
            started = time.perf_counter()
            work()  # results are on the CPU when it returns, so a GPU is waited for
            times[name].append(time.perf_counter() - started)
    print(
        f"{scorer.config.preset} on {scorer.device}, {torch.get_num_threads()} threads, "
        f"{height}x{width}, median of {options.rounds} (lowest)"
    )
    for name, (count, _) in rows.items():
        warm = times[name][1:]
        middle, lowest = statistics.median(warm) / count, min(warm) / count
        each = "" if count == 1 else " a frame"
        print(f"  {name:<28} {1e3 * middle:8.1f} ms ({1e3 * lowest:.1f}){each}")


if __name__ == "__main__":
    main()
