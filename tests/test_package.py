"""Wheel and source distribution: complete, and usable away from the checkout."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).parents[1]
DASHBOARD_SOURCES = REPOSITORY / "pipeline" / "gateway" / "dashboard"
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
SHARED = f"vedette-{VERSION}.data/data/share/vedette"
LEFT_OUT = {"__pycache__", "node_modules"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both distributions; the wheel is built from the unpacked source distribution."""
    folder = tmp_path_factory.mktemp("built")
    build(REPOSITORY, "sdist", folder)
    (archive,) = folder.glob("vedette-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    build(source, "wheel", folder)
    return folder


def build(source: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=60)


def wheel_of(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("vedette-*.whl")
    return zipfile.ZipFile(path)


def files_below(folder: Path) -> set[Path]:
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and not LEFT_OUT & set(path.parts) and path.suffix != ".tmp"
    }


def test_wheel_has_every_file_of_the_roots_and_no_other(built: Path) -> None:
    wanted = {
        path.relative_to(REPOSITORY).as_posix()
        for root in ("cameras", "models", "pipeline")
        for path in files_below(REPOSITORY / root)
        if not path.is_relative_to(DASHBOARD_SOURCES)
    }
    assert "models/weights/vedette.safetensors" in wanted
    assert "pipeline/gateway/static/app.js" in wanted
    with wheel_of(built) as wheel:
        names = {name for name in wheel.namelist() if not name.startswith("vedette-")}
    assert names == wanted


def test_wheel_has_the_examples_and_the_tested_versions(built: Path) -> None:
    wanted = {
        f"{SHARED}/{path.relative_to(REPOSITORY / 'deploy').as_posix()}"
        for path in files_below(REPOSITORY / "deploy")
    }
    with wheel_of(built) as wheel:
        names = {name for name in wheel.namelist() if name.startswith(SHARED)}
        constraints = wheel.read(f"{SHARED}/constraints.txt")
    assert names == wanted | {f"{SHARED}/constraints.txt"}
    assert constraints == (REPOSITORY / "constraints.txt").read_bytes()


def test_source_distribution_has_what_its_tests_read(built: Path) -> None:
    (archive,) = built.glob("vedette-*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in opened.getnames()}
    for folder in ("tests", "docs", "deploy", "benchmarks"):
        for path in files_below(REPOSITORY / folder):
            assert PurePosixPath(path.relative_to(REPOSITORY).as_posix()) in names
    assert not [name for name in names if LEFT_OUT & set(name.parts)]


def test_unpacked_wheel_works_without_the_checkout(built: Path, tmp_path: Path) -> None:
    with wheel_of(built) as wheel:
        wheel.extractall(tmp_path)
    program = """
import sys
from importlib.metadata import version
from pathlib import Path
import torch
import cameras, models, pipeline
from models.checkpoint import load_checkpoint
from pipeline.gateway.pages import STATIC
for root in (cameras, models, pipeline):
    assert Path(root.__file__).is_relative_to(sys.argv[1]), root.__file__
load_checkpoint("vedette", torch.device("cpu"))
assert (STATIC / "index.html").is_file()
print(version("vedette"))
"""
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"{VERSION}\n"
