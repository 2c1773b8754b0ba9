"""XML from the network, and text out of it.

SOAP forbids document types, so one that has any is refused before an entity could grow, or name
a file. Size, depth and number of elements are bounded. Only local names are kept: cameras are
careless with their namespaces, and no two names that are looked for here differ by nothing else.
"""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

LARGEST_BYTES = 4 * 1024 * 1024
"""A recorder with 64 cameras needs a fifth of that."""
_DEEPEST = 64
_MOST_ELEMENTS = 50_000
_LONGEST_TEXT = 120


class MarkupError(ValueError):
    """No XML, or XML that is not wanted."""


def parse(data: bytes) -> Element:
    """Read a document; tags and attributes of the tree are without prefixes.

    Raises:
        MarkupError: it is not well formed, has a document type, or is too large or too deep.
    """
    if len(data) > LARGEST_BYTES:
        raise MarkupError(f"want at most {LARGEST_BYTES} bytes of XML, got {len(data)}")
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
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: odd encodings
        raise MarkupError(f"want XML, got what is none ({error})") from None
    return tree.builder.close()


def text(element: Element, path: str) -> str:
    """What stands at a path below an element, fit to be shown; empty where there is nothing."""
    return clean(element.findtext(path) or "")


def clean(text: str) -> str:
    """Text as it may be shown: on one line, not long, without anything that steers a terminal."""
    shown = "".join(one if one.isprintable() else " " for one in text[: 4 * _LONGEST_TEXT])
    return " ".join(shown.split())[:_LONGEST_TEXT]


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]


class _Tree:
    """Builds the tree within the bounds."""

    def __init__(self) -> None:
        self.builder: TreeBuilder = TreeBuilder()
        self._depth = 0
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise MarkupError(
                f"want XML of at most {_MOST_ELEMENTS} elements, {_DEEPEST} deep, got more"
            )
        self.builder.start(local(name), {local(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self._depth -= 1
        self.builder.end(local(name))


def _refuse_document_type(*_: object) -> None:
    raise MarkupError("want SOAP, got XML with a document type")
