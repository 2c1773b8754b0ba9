"""Load a file as a validated `Config`, or report all its problems."""

import difflib
import json
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipeline.config.base import SECRET_KEYS
from pipeline.config.document import Document, KeyPath, dotted, read_document
from pipeline.config.errors import ConfigError, ConfigProblem, shown
from pipeline.config.model import INHERITED, Config

# Pydantic error type → text; {…} from the context of the error.
_WANTED = {
    "greater_than": "> {gt:g}",
    "greater_than_equal": "≥ {ge:g}",
    "less_than_equal": "≤ {le:g}",
    "literal_error": "{expected}",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text of at least {min_length} characters",
    "path_type": "a path",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "too_short": "at least one",
    "string_pattern_mismatch": 'a name of 1 to 64 letters, digits, "_" or "-"',
}


def load_config(path: Path) -> Config:
    """Read and validate a configuration file.

    Raises:
        ConfigError: all problems, one line each.
    """
    return check_document(read_document(path))


def check_document(document: Document) -> Config:
    """Validate data that was read.

    Raises:
        ConfigError: all problems, one line each.
    """
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        found = [
            _problem(document, detail)
            for detail in error.errors(include_url=False, include_input=False)
        ]
        # The value of a failed placeholder is invalid anyway: it is reported once.
        known = {problem.key for problem in document.problems}
        raise ConfigError(
            [*document.problems, *(problem for problem in found if problem.key not in known)]
        ) from None
    if document.problems:
        raise ConfigError(document.problems)
    return config


def _problem(document: Document, error: Any) -> ConfigProblem:
    """Convert an error of pydantic, with its place in the file."""
    path = _written(document, tuple(part for part in error["loc"] if part != "[key]"))
    return ConfigProblem(
        document.file, _line(document, path), dotted(path), _message(document, path, error)
    )


def _written(document: Document, path: KeyPath) -> KeyPath:
    """Path at which a value is written: of its camera, of the common settings, or a string."""
    is_inherited = len(path) > 2 and path[0] == "cameras" and path[2] in INHERITED
    if path not in document.lines and is_inherited and path[2:] in document.lines:
        return path[2:]
    if path[:-1] not in document.lines and is_inherited and path[2:-1] in document.lines:
        return path[2:]  # a key that is missing in a common section
    if path not in document.lines and isinstance(document.raw.get(path[:-1]), str):
        return path[:-1]  # the url of a source that is written as a plain string
    return path


def _line(document: Document, path: KeyPath) -> int | None:
    """Line of the key, or of the nearest enclosing one."""
    while path and path not in document.lines:
        path = path[:-1]
    return document.lines.get(path)


def _message(document: Document, path: KeyPath, error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        wanted = str(context["error"])
        if not wanted.startswith("want "):
            return wanted
    else:
        message = error["msg"].removeprefix("Input should be ")
        wanted = f"want {_WANTED[kind].format(**context) if kind in _WANTED else message}"
    got = path[-1] if kind == "string_pattern_mismatch" else document.raw.get(path)
    # A number is not valid where text is wanted, but it may still be the real password.
    is_secret = bool(path) and path[-1] in SECRET_KEYS
    return f"got {'***' if is_secret and got is not None else shown(got)}, {wanted}"


def _unknown_key(path: KeyPath) -> str:
    known = _known_keys(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return (
        f'unknown key; did you mean "{close[0]}"?'
        if close
        else (f"unknown key; want one of {', '.join(known)}")
    )


def _known_keys(path: KeyPath) -> list[str]:
    """Keys of the section at a path."""
    section: Any = Config
    for part in path:
        if get_origin(section) is dict:
            section = get_args(section)[1]
        else:
            section = section.model_fields[str(part)].annotation
        if isinstance(section, UnionType):  # a section that may be null
            section = get_args(section)[0]
    return list(section.model_fields) if issubclass(section, BaseModel) else []


def config_schema() -> str:
    """JSON schema of the configuration file, as committed in docs/config.schema.json."""
    schema = Config.model_json_schema()
    source = schema["$defs"]["SourceSection"]
    # A validator accepts a plain string as the url; pydantic does not add that to the schema.
    schema["$defs"]["SourceSection"] = {"anyOf": [{"type": "string"}, source]}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Vedette configuration"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
