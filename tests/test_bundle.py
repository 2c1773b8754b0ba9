"""The committed page is the bundle of its sources; compared where Node is installed."""

import os
import subprocess
from pathlib import Path

from browser import DASHBOARD, node

STATIC = DASHBOARD.parent / "static"


def test_committed_bundle_is_that_of_the_sources(tmp_path: Path) -> None:
    program = node()
    built = {**os.environ, "VEDETTE_STATIC": str(tmp_path)}
    subprocess.run([program, "build.mjs"], cwd=DASHBOARD, env=built, check=True, timeout=60)
    names = sorted(path.name for path in STATIC.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        same = (tmp_path / name).read_bytes() == (STATIC / name).read_bytes()
        assert same, f"{name}: npm run build in pipeline/gateway/dashboard"


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "eval(" not in text, path
