"""Loads the model with the threads of this machine."""

import os
from pathlib import Path

import cv2
import torch

from models import SceneScorer


def load_scorer(
    weights: str | Path, device: str = "auto", threads: int | None = None
) -> SceneScorer:
    """Load a model whose clips are computed side by side, one thread each.

    Threads that share one clip wait for each other in every layer: on two cores a quarter of the
    CPU time. Sets the threads of PyTorch and OpenCV of this process to one.

    Args:
        weights: Shipped name, or path of a checkpoint.
        device: See `SceneScorer.load`.
        threads: Clips at the same time on the CPU; None: the number of cores.

    Raises:
        CheckpointError: the weights cannot be used.
        ValueError: there is no such device.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return SceneScorer.load(weights, device, threads or len(os.sched_getaffinity(0)))
