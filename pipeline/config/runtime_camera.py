"""A camera that is given at run time, as it would stand in the file; pure but for placeholders.

Whoever may use the API is trusted less than whoever writes the file: files only from certain
folders, and only placeholders that are made for cameras.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cameras.address import kind_of, redact
from pipeline.config.document import Document, KeyPath
from pipeline.config.errors import ConfigError
from pipeline.config.loading import check_document
from pipeline.config.model import INHERITED, Camera, Config
from pipeline.config.substitution import SubstitutionError, substitute

ALLOWED_KINDS = ("rtsp", "http", "synthetic")
"""Sources that everybody with the API may name; a path only below the given folders."""
PLACEHOLDER_PREFIX = "VEDETTE_CAMERA_"
"""Other placeholders may stand for secrets that no camera shall get to see."""
_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_QUERY = re.compile(r"(://[^?]*\?).*")
_DEEPEST = 8


class RuntimeCameraError(ValueError):
    """A camera that cannot be used; the text has all problems, and no credentials."""


def read_camera(
    name: str, given: Mapping[str, object], common: Config, roots: Sequence[Path] | None
) -> Camera:
    """Check a camera, and put the settings for all cameras under its own.

    Args:
        name: What it shall be called.
        given: As it would stand in the file, as JSON data.
        common: Where the settings for all cameras are taken from.
        roots: Folders in which files may be; None: anywhere.

    Raises:
        RuntimeCameraError: everything that is wrong with it.
    """
    place: KeyPath = ("cameras", name)
    document = Document(Path(name))
    settings = {section: getattr(common, section).model_dump(mode="json") for section in INHERITED}
    document.data = {**settings, "cameras": {name: _walk(document, given, place)}}
    try:
        camera = check_document(document).cameras[name]
        _check_source(document, camera.source.url, (*place, "source", "url"), roots)
        if document.problems:
            raise ConfigError(document.problems)
    except ConfigError as error:
        inside = f"cameras.{name}."
        lines = [f"{p.key.removeprefix(inside)}: {p.message}" for p in error.problems]
        raise RuntimeCameraError(f"camera {name}: {'; '.join(lines)}") from None
    return camera


def _walk(document: Document, value: object, path: KeyPath) -> object:
    """Replace placeholders, and note what stands where for the messages."""
    document.lines[path] = 1
    if len(path) > _DEEPEST:
        document.note(path, None, "want data that is less deep")
        return None
    if isinstance(value, Mapping):
        document.raw[path] = {}
        return {str(key): _walk(document, item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        document.raw[path] = []
        return [_walk(document, item, (*path, n)) for n, item in enumerate(value)]
    document.raw[path] = value
    if not isinstance(value, str):
        return value
    for placeholder in _PLACEHOLDER.findall(value):
        if not placeholder.startswith(PLACEHOLDER_PREFIX):
            message = f"got {{{placeholder}}}, want a name that starts with {PLACEHOLDER_PREFIX}"
            document.note(path, None, message)
            return value
    try:
        return substitute(value)
    except SubstitutionError as error:
        document.note(path, None, str(error))
        return value


def _check_source(
    document: Document, url: str, path: KeyPath, roots: Sequence[Path] | None
) -> None:
    kind = kind_of(url)
    if roots is None or kind in ALLOWED_KINDS:
        return
    if kind != "path":
        document.note(path, None, f"a {kind} can be a camera in the configuration file only")
        return
    # An absolute path: FFmpeg would take "concat:a|b" for a protocol of its own.
    if not url.startswith("/"):
        document.note(path, None, "want an absolute path, rtsp://… or synthetic:…")
    elif not is_below(Path(url), roots):
        document.note(path, None, "want a path below one of the folders of api.allow_file_roots")


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path leads into one of the folders, wherever its links go."""
    try:
        real = path.resolve()
        return any(real.is_relative_to(root.resolve()) for root in roots)
    except (OSError, ValueError, RuntimeError):  # a loop of links, a zero byte
        return False


def shown_address(url: str) -> str:
    """An address without credentials, and without the query, where cameras take passwords."""
    if url.startswith("synthetic:"):
        return url
    return _QUERY.sub(r"\1***", redact(url))
