"""From the pictures of a camera to its numbered frames."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cameras.sampling import Sampler
from cameras.source import Picture
from pipeline.ingest.in_flight import Progress


@dataclass(frozen=True, slots=True, eq=False)
class NumberedPicture:
    """A sampled picture and its number, before its pixels are made ready."""

    connection: int
    index: int
    picture: Picture
    context: bool
    """True: done in an earlier life of this worker; only fills the clips of its successors."""


def number(
    pictures: Iterable[tuple[int, Picture]],
    sampler: Callable[[], Sampler],
    done: Progress | None = None,
) -> Iterator[NumberedPicture]:
    """Sample the pictures, and count what is left from 0 in each connection.

    The numbers depend on the pictures alone: the same file gives the same frame the same number
    however often it is begun again.

    Args:
        pictures: Connection and picture, in order.
        sampler: Makes the sampler of one connection.
        done: Where to go on; earlier frames are counted and not yielded, except the context.
    """
    connection: int | None = None
    index = 0
    sample = sampler()
    for current, picture in pictures:
        if current != connection:
            connection, index, sample = current, 0, sampler()
        if not sample.accept(picture.pts_seconds):
            continue
        place = current, index
        index += 1
        if done is not None and place < (done.connection, done.context_index):
            continue
        context = done is not None and place <= (done.connection, done.index)
        yield NumberedPicture(*place, picture, context)
