"""Errors of a configuration, with file, line and key.

ConfigError
  ConfigProblem, one per line: vedette.yaml:12: cameras.door.detect.fps: got -5, want > 0
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cameras.address import redact

_QUERY = re.compile(r"(://[^?]*\?).*")
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One problem at one place of a file."""

    file: Path
    line: int | None
    """Counted from 1; None if it concerns the whole file."""
    key: str
    """Path of the key, such as "cameras.door.detect.fps"; empty if it concerns the whole file."""
    message: str
    """What was got and what is wanted, without credentials."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else str(self.file)
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; the message has one line per problem."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda problem: problem.line or 0))
        super().__init__("\n".join(map(str, self.problems)))


def shown(value: object) -> str:
    """Format a value for a message: short and without credentials.

    Values in containers and the query of a URL are not shown: the query of a camera's URL may
    contain a password.
    """
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    text = _QUERY.sub(r"\1***", redact(value))
    return f'"{text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"}"'
