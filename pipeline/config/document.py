"""Read a YAML file as plain data, with the line of each value."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pipeline.config.errors import ConfigError, ConfigProblem
from pipeline.config.substitution import SubstitutionError, substitute

KeyPath = tuple[str | int, ...]
_MERGE_TAG = "tag:yaml.org,2002:merge"


@dataclass(slots=True)
class Document:
    """Plain data of a YAML file with the line and the raw form of every value."""

    file: Path
    data: object = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """Line of each key (or list item), counted from 1."""
    raw: dict[KeyPath, object] = field(default_factory=dict)
    """Values as written in the file, before substitution, so that a message may show them."""
    problems: list[ConfigProblem] = field(default_factory=list)
    """Duplicate keys, failed substitutions and similar; the rest of the data is still read."""

    def note(self, path: KeyPath, line: int | None, message: str) -> None:
        """Record a problem at a key."""
        self.problems.append(ConfigProblem(self.file, line, dotted(path), message))


def dotted(path: KeyPath) -> str:
    """Format a key path: `cameras.door.detect.fps`."""
    return ".".join(map(str, path))


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read, is empty, or is not YAML.
    """
    text = _read_text(file)
    try:
        return _parse(file, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Not the error's own text: it quotes the line, which may contain a password.
        message = f"not valid YAML: {error.problem or error.context}"
        line = mark.line + 1 if mark is not None else None
        raise ConfigError([ConfigProblem(file, line, "", message)]) from None
    except yaml.YAMLError:
        message = "not valid YAML: a character that is not allowed"
        raise ConfigError([ConfigProblem(file, None, "", message)]) from None


def _parse(file: Path, text: str) -> Document:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(
                [ConfigProblem(file, None, "", "the file is empty; want a configuration")]
            )
        document = Document(file)
        document.data = _Walk(loader, document).value(node, ())
    finally:
        loader.dispose()
    return document


def _read_text(file: Path) -> str:
    def refuse(message: str) -> ConfigError:
        return ConfigError([ConfigProblem(file, None, "", message)])

    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise refuse("no such file") from None
    except IsADirectoryError:
        raise refuse("is a folder; want a YAML file") from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text at line {line}; want a YAML file in UTF-8"
        raise refuse(message) from None


class _Walk:
    """Builds the data of a document node by node."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        """Build the data of a node; records its line and those of all nodes below it."""
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._document.note(
                path, node.start_mark.line + 1, "an alias of a mapping or list that contains it"
            )
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self._document.raw[path] = {}
                return dict(self._items(node, path))
            self._document.raw[path] = []
            return [self.value(item, (*path, n)) for n, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, object]]:
        self._note_duplicates(node, path)
        self._loader.flatten_mapping(node)
        # Flattening puts keys merged by `<<` before the mapping's own, which take precedence.
        for key, value in {self._key(key): (key, value) for key, value in node.value}.values():
            name = self._key(key)
            child = (*path, name)
            self._document.lines[child] = key.start_mark.line + 1
            yield name, self.value(value, child)

    def _note_duplicates(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[Hashable, int] = {}
        for key, _ in node.value:
            if key.tag == _MERGE_TAG:
                continue
            name, line = self._key(key), key.start_mark.line + 1
            if name in first:
                self._document.note(
                    (*path, name), line, f"occurs twice; first on line {first[name]}"
                )
            first.setdefault(name, line)

    def _key(self, node: yaml.Node) -> str:
        # The text as written, not the YAML value: the name of a camera may be "on" or "7".
        return node.value if isinstance(node, yaml.ScalarNode) else "?"

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        try:
            value = self._loader.construct_object(node)
        except ValueError:  # such as the date 2026-02-31
            value = node.value
        if not isinstance(value, str | int | float | None):
            value = node.value  # dates and binaries: no key accepts them
        self._document.raw[path] = value
        if not isinstance(value, str):
            return value
        try:
            return substitute(value)
        except SubstitutionError as error:
            self._document.note(path, line, str(error))
            return value
