"""Which stretch of a camera's stream belongs to which event, and when it is whole. Pure.

Times are stream times of the connection in which the event began; a clip ends where that ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip to be cut."""

    event_id: str
    connection: int
    begin_seconds: float
    end_seconds: float
    """At the latest, while the event goes on."""


class EventClips:
    """What one camera's events still need; fed with what the alert sink tells."""

    def __init__(self, pre_seconds: float, post_seconds: float, longest_seconds: float) -> None:
        """Begin without events.

        Args:
            pre_seconds: Time before an event.
            post_seconds: Time after it.
            longest_seconds: Of the event itself.
        """
        self._pre_seconds = pre_seconds
        self._post_seconds = post_seconds
        self._longest_seconds = longest_seconds
        self._open: dict[str, ClipRequest] = {}
        self._done: dict[str, None] = {}

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take a change of an event: any of them will do, and repetitions do no harm.

        Args:
            event: The body of the sink's message: `change` and the fields of the event.
        """
        event_id, start = event["id"], event["started_pts_seconds"]
        if event_id in self._done:
            return
        order = ClipRequest(
            event_id,
            event["connection"],
            max(0.0, start - self._pre_seconds),
            start + self._longest_seconds + self._post_seconds,
        )
        if event["change"] == "end":
            end = start + min(event["duration_seconds"], self._longest_seconds)
            order = replace(order, end_seconds=end + self._post_seconds)
        self._open[event_id] = order

    def due(self, newest: tuple[int, float] | None) -> Sequence[ClipRequest]:
        """Clips of which no more will come; each is given once.

        Args:
            newest: Connection and stream time that the camera has reached; None: it is over.
        """
        found = [order for order in self._open.values() if _is_whole(order, newest)]
        for order in found:
            del self._open[order.event_id]
            self._done[order.event_id] = None
        while len(self._done) > _MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
        return found


def _is_whole(order: ClipRequest, newest: tuple[int, float] | None) -> bool:
    return newest is None or newest > (order.connection, order.end_seconds)
