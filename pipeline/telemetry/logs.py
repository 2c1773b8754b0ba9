"""Logs: one line per record, with time, level, process and place; without credentials.

    2026-11-22T19:03:13.123Z WARNING ingest:front_door pipeline.ingest.sender: no frame for 10 s

Every process writes lines to standard error, and the same with tracebacks to a small rotated file.
Secrets are removed from the formatted line, so also from exceptions and from records of libraries.
"""

import json
import logging
import logging.handlers
import re
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote

from cameras.address import redact
from pipeline.config.base import SECRET_KEYS

LOG_FILE_BYTES = 1_000_000
"""Size at which a log file is rotated; one previous file is kept."""
SHORTEST_SECRET = 3
"""Removing shorter secrets would make the log unreadable and reveal them."""
URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s:@]*:(?P<password>\S*)@", re.IGNORECASE)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Redactor:
    """Removes credentials from text: those in any URL, and known secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= SHORTEST_SECRET
            for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
        }
        # The longest first: a secret may be the prefix of another one.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return the text with `***` in place of credentials."""
        text = redact(text)
        return self._known.sub("***", text) if self._known else text


def secrets_of(document: object) -> set[str]:
    """Secrets of a configuration (nested dicts and lists), passwords in URLs raw and unquoted."""
    if isinstance(document, dict):
        named = {document[key] for key in SECRET_KEYS if isinstance(document.get(key), str)}
        return named.union(*map(secrets_of, document.values()))
    if isinstance(document, list | tuple):
        return set().union(*map(secrets_of, document))
    if isinstance(document, str) and (found := URL_PASSWORD.search(document)):
        return {found["password"], unquote(found["password"])}
    return set()


class LineFormatter(logging.Formatter):
    """Formats a record as one line; line breaks inside it become ` | `."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        """Convert times to UTC, in any time zone of the machine."""
        return time.gmtime(seconds)

    def __init__(self, process: str, redactor: Redactor, *, tracebacks: bool) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s {}%(place)s %(name)s: %(message)s".format(
                process.replace("%", "%%")
            )
        )
        self._redactor = redactor
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, redact it, and join its lines."""
        copy = logging.makeLogRecord(record.__dict__)
        camera = getattr(record, "camera", None)
        copy.place = f" {camera}" if camera else ""
        if not self._tracebacks:
            copy.exc_info = copy.exc_text = copy.stack_info = None
        text = self._redactor(super().format(copy)).rstrip()
        return text if self._tracebacks else " | ".join(text.splitlines())


def set_up_logging(
    process: str, redactor: Redactor, *, level: str = "INFO", folder: Path | None = None
) -> None:
    """Log to standard error, and with tracebacks to `folder/<process>.log`.

    The file always gets records of INFO and above, for any `level`, and those of DEBUG if `level`
    is DEBUG.

    Pass `extra={"camera": name}` with a record to add the name of a camera to the line.

    Args:
        process: Name of the process in each line.
        redactor: Removes credentials from every line.
        level: Lowest level on standard error.
        folder: Folder of the file, created if missing; None: no file.

    Raises:
        ValueError: there is no such level.
        OSError: the folder or the file cannot be written.
    """
    if level not in LEVELS:
        raise ValueError(f"log level: want one of {', '.join(LEVELS)}, got {level!r}")
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(LineFormatter(process, redactor, tracebacks=level == "DEBUG"))
    lines.setLevel(level)
    handlers: list[logging.Handler] = [lines]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            folder / f"{process.replace(':', '-')}.log",
            maxBytes=LOG_FILE_BYTES,
            backupCount=1,
            encoding="utf-8",
        )
        file.setFormatter(LineFormatter(process, redactor, tracebacks=True))
        handlers.append(file)
    file_level = min(logging.getLevelNamesMapping()[level], logging.INFO)
    lowest = level if folder is None else file_level
    logging.basicConfig(level=lowest, handlers=handlers, force=True)
    logging.captureWarnings(True)
    # A handler that cannot write, as on a full disk, would print each record with its traceback and
    # its unredacted arguments, including credentials.
    logging.raiseExceptions = False


def log_uncaught() -> None:
    """Log uncaught exceptions of threads and of the process, redacted as all other records."""
    log = logging.getLogger("uncaught")

    def in_main(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        log.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))

    def in_thread(ended: threading.ExceptHookArgs) -> None:
        error = ended.exc_value or ended.exc_type()
        name = ended.thread.name if ended.thread else "unknown"
        log.critical("thread %s: %s: %s", name, type(error).__name__, error, exc_info=error)

    sys.excepthook = in_main
    threading.excepthook = in_thread
