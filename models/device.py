"""Selection of the device of a model."""

import re

import torch


def resolve_device(name: str) -> torch.device:
    """Name to device; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ValueError: an unknown name, or CUDA asked for where torch sees none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if re.fullmatch(r"cpu|cuda(:\d+)?", name) is None:
        raise ValueError(f"device: want auto, cpu, cuda or cuda:N, got {name!r}")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device: {name!r} wanted, but torch sees {count} CUDA devices")
    return device
