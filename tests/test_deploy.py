"""The systemd unit: what it starts exists, and it may do what the service does."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from pipeline.cli.main import app

UNIT = Path(__file__).parents[1] / "deploy" / "vedette.service"


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


@pytest.mark.parametrize("key", ["ExecStart", "ExecStartPre"])
def test_what_is_started_is_a_command_with_its_options(
    unit: configparser.ConfigParser, key: str
) -> None:
    program, name, *arguments = shlex.split(unit["Service"][key])
    assert program.endswith("/.venv/bin/vedette")
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)


def test_the_drain_has_time_and_reaches_the_first_process_only(
    unit: configparser.ConfigParser,
) -> None:
    service = unit["Service"]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= 4 * 10, "each group of workers has 10 s"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_it_can_write_nothing_but_its_data(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert f"--data-folder /var/lib/{service['StateDirectory']}" in service["ExecStart"]
    assert "MemoryDenyWriteExecute" not in service, "oneDNN makes machine code"


def test_systemd_thinks_it_hardened(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    told = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-300:] + told.stderr
    assert "Unknown" not in told.stderr
