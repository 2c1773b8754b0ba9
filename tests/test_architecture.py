"""The arrows of docs/architecture.md, read from the code's own imports."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOTS = ("cameras", "models", "pipeline")
FORBIDDEN = {
    "cameras": {"torch", "models", "pipeline", "zmq", "yaml", "pydantic"},
    "models": {"cameras", "pipeline", "zmq", "yaml", "av", "threading", "socket"},
    "pipeline": {"deploy", "tests", "benchmarks"},
}
# The order inside pipeline, highest first: a room may use the rooms below it, never those above.
LAYERS = (
    ("cli",),
    ("runtime", "gateway", "evaluation", "training", "doctor"),
    ("alerts", "scoring", "ingest"),
    ("scenes", "notifiers"),
    ("storage", "nodes"),
    ("events", "datasets"),
    ("worker",),
    ("transport",),
    ("telemetry",),
    ("config",),
)


def modules(root: str) -> list[Path]:
    return sorted((REPOSITORY / root).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; want absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("root", ROOTS)
def test_root_is_this_repository(root: str) -> None:
    spec = importlib.util.find_spec(root)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == REPOSITORY / root


@pytest.mark.parametrize("root", ROOTS)
def test_arrows_between_roots(root: str) -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in modules(root)
        for name in imports(path)
        if name.split(".")[0] in FORBIDDEN[root]
    ]
    assert not wrong


def test_order_inside_pipeline() -> None:
    level = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    wrong = []
    for path in modules("pipeline"):
        room = path.relative_to(REPOSITORY / "pipeline").parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "pipeline" and len(parts) > 1 and level[parts[1]] < level[room]:
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert not wrong


def test_parent_process_never_loads_torch() -> None:
    import subprocess

    code = "import pipeline.runtime.supervisor, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_path_edits_and_no_pickle() -> None:
    for root in ROOTS:
        for path in modules(root):
            names = set(imports(path))
            assert not {name.split(".")[0] for name in names} & {"pickle", "cPickle", "dill"}, path
            assert "sys.path.append" not in path.read_text(), path
            assert "sys.path.insert" not in path.read_text(), path
