"""Validate a camera given at run time, as in the configuration file; reads only placeholders.

Users of the API are trusted less than the author of the file: sources may be files only in
configured folders, and only placeholders for cameras may be used.
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
"""Sources that any admin of the API may use; a path only below the configured folders."""
PLACEHOLDER_PREFIX = "VEDETTE_CAMERA_"
"""Other placeholders may contain secrets that must not be sent to a camera."""
_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_QUERY = re.compile(r"(://[^?]*\?).*")
_DEEPEST = 8


class RuntimeCameraError(ValueError):
    """A camera that cannot be used; the message has all problems, without credentials."""


def read_camera(
    name: str, given: Mapping[str, object], common: Config, roots: Sequence[Path] | None
) -> Camera:
    """Validate a camera, and merge the settings for all cameras into its own.

    Args:
        name: Name of the camera.
        given: The camera as in the configuration file, as JSON data.
        common: Configuration with the settings for all cameras.
        roots: Folders that may contain sources; None: any.

    Raises:
        RuntimeCameraError: all problems.
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
    """Replace placeholders, and record the raw values for the messages."""
    document.lines[path] = 1
    if len(path) > _DEEPEST:
        document.note(path, None, "want data that is nested less deeply")
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
    # An absolute path: FFmpeg treats "concat:a|b" as a protocol.
    if not url.startswith("/"):
        document.note(path, None, "want an absolute path, rtsp://… or synthetic:…")
    elif not is_below(Path(url), roots):
        document.note(path, None, "want a path below one of the folders of api.allow_file_roots")


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path is in one of the folders after its links are resolved."""
    try:
        real = path.resolve()
        return any(real.is_relative_to(root.resolve()) for root in roots)
    except (OSError, ValueError, RuntimeError):  # a loop of links, a zero byte
        return False


def shown_address(url: str) -> str:
    """An address without credentials and without the query, which may contain passwords."""
    if url.startswith("synthetic:"):
        return url
    return _QUERY.sub(r"\1***", redact(url))
