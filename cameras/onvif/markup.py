"""Parse untrusted XML, and extract text from it.

SOAP forbids document types, so a document with one is rejected before an entity could expand or
reference a file. Size, depth and number of elements are bounded. Only local names are kept: cameras
misuse namespaces, and no two names used here differ only by namespace.
"""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

MAX_BYTES = 4 * 1024 * 1024
"""A recorder with 64 cameras needs a fifth of this."""
_MAX_DEPTH = 64
_MAX_ELEMENTS = 50_000
_MAX_TEXT_LENGTH = 120


class MarkupError(ValueError):
    """Invalid XML, or XML outside the limits."""


def parse(data: bytes) -> Element:
    """Parse a document; tags and attributes of the tree have no prefixes.

    Raises:
        MarkupError: it is not well formed, has a document type, or is too large or too deep.
    """
    if len(data) > MAX_BYTES:
        raise MarkupError(f"want at most {MAX_BYTES} bytes of XML, got {len(data)}")
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.builder.data
    try:
        parser.Parse(data, True)
    except MarkupError:
        raise
    except (
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # the last two: unsupported encodings
        raise MarkupError(f"want XML, got something else ({error})") from None
    return tree.builder.close()


def text(element: Element, path: str) -> str:
    """Return the displayable text at a path below an element; empty where there is none."""
    return clean(element.findtext(path) or "")


def clean(text: str) -> str:
    """Make text displayable: one line, limited length, without terminal control characters."""
    printable = "".join(one if one.isprintable() else " " for one in text[: 4 * _MAX_TEXT_LENGTH])
    return " ".join(printable.split())[:_MAX_TEXT_LENGTH]


def local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


class _Tree:
    """Builds the tree within the limits."""

    def __init__(self) -> None:
        self.builder: TreeBuilder = TreeBuilder()
        self._depth = 0
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise MarkupError(
                f"want XML of at most {_MAX_ELEMENTS} elements, {_MAX_DEPTH} deep, got more"
            )
        self.builder.start(local(name), {local(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self._depth -= 1
        self.builder.end(local(name))


def _refuse_document_type(*_: object) -> None:
    raise MarkupError("want SOAP, got XML with a document type")
