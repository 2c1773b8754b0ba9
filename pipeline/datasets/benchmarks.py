"""The benchmarks by the names that they have on the command line."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pipeline.datasets.avenue import load_avenue
from pipeline.datasets.layout import Dataset
from pipeline.datasets.mvtec import load_mvtec
from pipeline.datasets.shanghaitech import load_shanghaitech
from pipeline.datasets.ucsd import load_ucsd

BENCHMARKS: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {
        "ucsd-ped1": partial(load_ucsd, subset="ped1"),
        "ucsd-ped2": partial(load_ucsd, subset="ped2"),
        "avenue": load_avenue,
        "shanghaitech": load_shanghaitech,
        "mvtec": load_mvtec,
    }
)


def load_benchmark(name: str, root: Path) -> Dataset:
    """The benchmark of that name.

    Args:
        name: One of `BENCHMARKS`.
        root: Its folder.

    Raises:
        DatasetError: the folder is not the data set.
        ValueError: an unknown name.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"data set: want {', '.join(BENCHMARKS)}, got {name!r}")
    return BENCHMARKS[name](root)
