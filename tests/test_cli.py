"""The command line as a person meets it: real processes, their output and exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from makers import write_video

from pipeline.cli.errors import report

COMMANDS = ("demo", "run", "validate", "replay", "evaluate", "train", "camera", "doctor")
COMMANDS += ("event", "token")


def vedette(*arguments: object, debug: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "VEDETTE_DEBUG": "1" if debug else ""}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_exits_well() -> None:
    result = vedette("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys\n"
        "from pipeline.cli.main import main\n"
        f"sys.argv = ['vedette', '{command}', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as done:\n"
        "    heavy = {'torch', 'av', 'cv2', 'numpy', 'zmq', 'sqlalchemy'} & set(sys.modules)\n"
        "    sys.exit(str(heavy) if heavy else done.code)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_version() -> None:
    result = vedette("--version")
    assert result.returncode == 0
    assert result.stdout.split()[0] == "vedette"
    assert result.stdout.split()[1][0].isdigit()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("evaluate", "nonsense", "--root", "."),
        ("replay",),
        ("replay", "x", "--fps", 0),
    ],
)
def test_wrong_usage_has_status_2(arguments: tuple[object, ...]) -> None:
    result = vedette(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    result = vedette("evaluate", "ucsd-ped2", "--root", tmp_path)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    for part in ("vedette: ", "UCSDped2", "found an empty folder", str(tmp_path)):
        assert part in result.stderr


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    write_video(tmp_path / "yard.mp4")
    result = vedette("replay", tmp_path / "yard.mp4", "--weights", tmp_path / "none")
    assert result.returncode == 1
    assert result.stderr.startswith("vedette: ")
    assert "none.json: no such file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http"])
def test_a_camera_is_no_recording_and_its_password_stays_unsaid(scheme: str) -> None:
    result = vedette("replay", f"{scheme}://admin:hunter2@camera/stream", "--weights", "no/where")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "want" in result.stderr
    assert "hunter2" not in result.stdout + result.stderr


def test_debug_shows_where(tmp_path: Path) -> None:
    arguments = ("validate", "--config", tmp_path / "none.yaml")
    for result in (vedette("--debug", *arguments), vedette(*arguments, debug=True)):
        assert result.returncode == 1
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("vedette: ")
    assert "Traceback" not in vedette(*arguments).stderr


def test_a_closed_pipe_is_no_error() -> None:
    result = subprocess.run(
        f"{sys.executable} -m pipeline --help | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_errors_of_files_say_which(capsys: pytest.CaptureFixture[str]) -> None:
    missing = FileNotFoundError(2, "No such file or directory", "/nowhere/at/all")
    assert report(missing, debug=False) == 1
    assert capsys.readouterr().err == "vedette: /nowhere/at/all: no such file or directory\n"


def test_a_training_that_diverges_is_no_fault_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report(FloatingPointError("want a lower learning rate"), debug=False) == 1
    assert capsys.readouterr().err == "vedette: want a lower learning rate\n"


def test_faults_of_the_program_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyError("x"), debug=False) == 70
    written = capsys.readouterr().err
    assert written.startswith("vedette: internal error (KeyError: 'x')")
    assert written.count("\n") == 1
