"""Random numbers and choices by a generator of torch."""

import torch


def uniform(low: float, high: float, random: torch.Generator) -> float:
    """Uniform in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=random))


def integer(low: int, high: int, random: torch.Generator) -> int:
    """Uniform in [low, high]."""
    return int(torch.randint(low, high + 1, (), generator=random))


def pick(choices: tuple[str, ...], random: torch.Generator) -> str:
    """One of the choices, each with the same probability."""
    return choices[integer(0, len(choices) - 1, random)]
