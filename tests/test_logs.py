import errno
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.telemetry.log_rate_limit import LimitedWarning, RateGate
from pipeline.telemetry.logs import (
    LineFormatter,
    Redactor,
    log_uncaught,
    secrets_of,
    set_up_logging,
)

URL = "rtsp://admin:hun%20ter%2F2@10.0.0.10/sub"


@pytest.fixture
def root_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # `force` closes what it replaces: keep the handlers of pytest out of its reach.
    root.handlers = []
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"open {URL} now", "open rtsp://***@10.0.0.10/sub now"),
        ("rtsp://user:p@ss/word@host/x", "rtsp://***@host/x"),
        ("HTTP://u:p@host", "HTTP://***@host"),
        ("rtsp://host/path", "rtsp://host/path"),
        ("mail me@home", "mail me@home"),
        ("login with 'hun ter/2' failed", "login with '***' failed"),
        ("encoded hun%20ter%2F2", "encoded ***"),
    ],
)
def test_credentials_are_removed(text: str, redacted: str) -> None:
    assert Redactor(secrets_of({"cameras": [{"source": {"url": URL}}]}))(text) == redacted


def test_longer_secret_is_removed_completely() -> None:
    assert Redactor(["secret", "secret-and-more"])("x secret-and-more y") == "x *** y"


def test_passwords_are_found_anywhere_in_a_configuration() -> None:
    assert secrets_of({"a": [URL, 1, None, "rtsp://host"], "b": {"c": "plain"}}) == {
        "hun%20ter%2F2",
        "hun ter/2",
    }


def test_record_is_one_line_without_traceback_or_secret() -> None:
    formatter = LineFormatter("ingest:100%", Redactor(["hunter2"]), tracebacks=False)
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        record = logging.LogRecord(
            "place", logging.ERROR, "file", 1, "lost %s\nagain", ("hunter2",),
            (ValueError, error, error.__traceback__),
        )  # fmt: skip
    record.camera = "front"
    record.created = 0.25
    record.msecs = 250.0
    assert (
        formatter.format(record)
        == "1970-01-01T00:00:00.250Z ERROR ingest:100% front place: lost *** | again"
    )


@pytest.mark.usefixtures("root_logger")
def test_file_has_the_traceback_and_the_terminal_has_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("ingest:front", Redactor(["hunter2"]), folder=tmp_path / "logs")
    try:
        raise ValueError("with hunter2")
    except ValueError:
        logging.getLogger("place").exception("lost")
    logging.getLogger("place").debug("too small")
    line = capfd.readouterr().err
    assert re.fullmatch(r"\S+Z ERROR ingest:front place: lost\n", line)
    written = (tmp_path / "logs" / "ingest-front.log").read_text()
    assert "Traceback" in written
    assert "ValueError: with ***" in written
    assert "hunter2" not in written


@pytest.mark.usefixtures("root_logger")
def test_a_full_disk_shows_neither_traceback_nor_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_logging("sink", Redactor(["hunter2"]), folder=tmp_path)
    _, file = logging.getLogger().handlers
    assert isinstance(file, logging.FileHandler)
    written: list[str] = []

    def refuse(text: str) -> int:
        written.append(text)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file.stream, "write", refuse)
    logging.getLogger("place").warning("lost: %s", "hunter2")
    assert len(written) == 1
    assert re.fullmatch(r"\S+Z WARNING sink place: lost: \*\*\*\n", capfd.readouterr().err)


@pytest.mark.usefixtures("root_logger")
def test_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match=r"log level: want one of DEBUG, .*, got 'LOUD'"):
        set_up_logging("scorer", Redactor(), level="LOUD")


@pytest.mark.usefixtures("root_logger")
def test_uncaught_exception_of_a_thread_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("scorer", Redactor(["hunter2"]))
    log_uncaught()

    def die() -> None:
        raise ValueError("hunter2")

    thread = threading.Thread(target=die, name="worker")
    thread.start()
    thread.join()
    assert "CRITICAL scorer uncaught: thread worker: ValueError: ***" in capfd.readouterr().err


def test_rate_gate_passes_one_event_a_second_and_counts_the_rest() -> None:
    gate = RateGate(period_seconds=1.0)
    assert gate.count(10.0) == 0
    assert [gate.count(10.0 + tenth / 10) for tenth in range(1, 10)] == [None] * 9
    assert gate.count(11.0) == 9
    assert gate.count(12.5) == 0


def test_flood_is_logged_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    flood = LimitedWarning(logging.getLogger("flood"), clock=lambda: now)
    for _ in range(100):
        flood.warn("broken")
    now = 1.5
    flood.warn("broken")
    assert caplog.messages == ["broken", "broken (99 more like it before)"]


def test_file_has_records_below_the_level_of_the_terminal(
    tmp_path: Path, root_logger: None, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("scorer", Redactor(), level="WARNING", folder=tmp_path)
    logging.getLogger("a").info("adapted to 10 clips")
    logging.getLogger("a").debug("a detail")
    logging.getLogger("a").warning("a warning")
    written = (tmp_path / "scorer.log").read_text()
    assert "adapted to 10 clips" in written
    assert "a warning" in written
    assert "a detail" not in written
    shown = capsys.readouterr().err
    assert "a warning" in shown
    assert "adapted" not in shown
