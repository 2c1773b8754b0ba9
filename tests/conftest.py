"""Fixtures that every test may use."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from pipeline.config import TransportSection
from pipeline.transport.topics import Endpoints, private_socket_folder, run_endpoints
from pipeline.worker import RunInfo

if TYPE_CHECKING:
    from postgresql_server import PostgresqlServer

# Small tensors gain nothing from threads, and spawned workers would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")  # a busy machine is not a slow function
sys.path.insert(0, str(Path(__file__).parent))  # so that tests can say `from makers import …`

FIRST = ("test_scene_bank", "test_memory_end_to_end", "test_light_switch", "test_refit")
"""Files that take more than a minute; started last, one would delay the end of the whole run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones; all others stay in their order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that drive a browser in threads of their own."""
    if pyfuncitem.get_closest_marker("browser") is None:
        return None
    from browser import run_in_thread

    run_in_thread(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the research data sets; the test is skipped where there is none."""
    folder = os.environ.get("VEDETTE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("VEDETTE_DATA does not name a folder with the research data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def server() -> "Iterator[PostgresqlServer]":
    """A real PostgreSQL; skipped where there is none unless FAIL_WITHOUT_POSTGRESQL=1."""
    from postgresql_server import binaries, postgresql_server

    programs = binaries()
    if programs is None:
        missing = "lacks PostgreSQL's initdb; on Debian: apt-get install postgresql"
        assert not os.environ.get("FAIL_WITHOUT_POSTGRESQL"), missing
        pytest.skip(missing)
    with postgresql_server(programs) as running:
        yield running


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Every torch device there is; CUDA is skipped where absent unless FAIL_WITHOUT_CUDA=1."""
    import torch

    name: str = request.param
    if name == "cuda" and not torch.cuda.is_available():
        if os.environ.get("FAIL_WITHOUT_CUDA") == "1":
            pytest.fail("FAIL_WITHOUT_CUDA=1 and torch sees no CUDA device")
        pytest.skip("no CUDA device")
    return name


@pytest.fixture(params=["ipc", "tcp", "curve"])
def endpoints(request: pytest.FixtureRequest) -> Iterator[Endpoints]:
    """Where the topics of a run are, in every way there is; "curve" is TCP with keys."""
    way: str = request.param
    transport = TransportSection(kind="ipc" if way == "ipc" else "tcp", curve=way == "curve")
    with run_endpoints(transport) as endpoints:
        yield endpoints


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunInfo]:
    """A run for a single stage, with its sockets in a folder of their own."""
    from stage_parts import run_info

    with private_socket_folder() as folder:
        yield run_info(folder, tmp_path)
