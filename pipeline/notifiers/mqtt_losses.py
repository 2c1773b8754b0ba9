"""Find messages that a broker does not accept, and causes of lost connections. No I/O, no clock.

MQTT 3.1.1 has no negative acknowledgement: a broker that does not accept a message, such as one
that is too large, closes the connection. A message on which that happens repeatedly, while others
are acknowledged, is not sent any more.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

Message: TypeAlias = tuple[str, int]
"""Topic, and a hash of the content."""

MAX_LOSSES = 3
"""Connections that one message may end before it is refused."""
_MIN_LIMIT_BYTES = 1024
_LIMIT_SECONDS = 3600.0
_NEARLY = 0.5  # of a size that was too large: also refused, unless as much was acknowledged
_WINDOW_SECONDS = 120.0
_MANY_LOSSES = 3


@dataclass(slots=True)
class _Loss:
    count: int = 0
    others_acknowledged: bool = False


class Losses:
    """Lost connections of one broker; times in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._losses: dict[Message, _Loss] = {}
        self._refused: dict[Message, tuple[str, float]] = {}
        self._largest_bytes = 0
        self._limit: tuple[int, float] | None = None
        self._closed_at: deque[float] = deque(maxlen=_MANY_LOSSES)

    def acknowledged(self, message: Message, size_bytes: int) -> None:
        """Count an acknowledged message."""
        self._largest_bytes = max(self._largest_bytes, size_bytes)
        self._losses.pop(message, None)
        for loss in self._losses.values():
            loss.others_acknowledged = True

    def lost(self, message: Message | None, now: float) -> bool:
        """Count the loss of a connection that the broker had accepted.

        Args:
            message: The message in flight; None: there was none.
            now: Monotonic seconds.

        Returns:
            Whether that message may be the cause.
        """
        self._closed_at.append(now)
        if message is None:
            return False
        loss = self._losses.setdefault(message, _Loss())
        loss.count += 1
        return loss.others_acknowledged or loss.count == 1

    def refusal(self, message: Message, size_bytes: int, now: float) -> str:
        """Why a message must not be sent; empty: it may.

        Args:
            message: The message.
            size_bytes: Size of its content.
            now: Monotonic seconds.
        """
        loss = self._losses.get(message)
        if loss is not None and loss.others_acknowledged and loss.count >= MAX_LOSSES:
            del self._losses[message]
            self._closed_at.clear()
            if size_bytes >= _MIN_LIMIT_BYTES:
                self._limit = size_bytes, now
            reason = (
                f"the broker closed the connection {loss.count} times on this message of "
                f"{size_bytes} bytes, and accepts others; check its size limit (in mosquitto "
                "max_packet_size or message_size_limit) and the access rights of the topic"
            )
            self._refused = {
                one: entry for one, entry in self._refused.items() if _is_recent(entry, now)
            }
            self._refused[message] = reason, now
            return reason
        known = self._refused.get(message)
        if known is not None and _is_recent(known, now):
            return known[0]
        limit = self._limit
        is_large = limit is not None and (
            size_bytes >= limit[0] or size_bytes > max(self._largest_bytes, limit[0] * _NEARLY)
        )
        if limit is not None and is_large and now - limit[1] < _LIMIT_SECONDS:
            why = f"the broker closed the connection on a message of {limit[0]} bytes"
            return f"got {size_bytes} bytes, and {why}"
        return ""

    def hint(self, client_id: str, now: float) -> str:
        """What to try if accepted connections are lost repeatedly; empty: no advice yet."""
        many = len(self._closed_at) == _MANY_LOSSES
        if not many or now - self._closed_at[0] > _WINDOW_SECONDS:
            return ""
        if any(loss.count > 1 for loss in self._losses.values()):
            return ""  # a message is the cause
        return (
            f"; it has accepted and closed {_MANY_LOSSES} connections within "
            f"{now - self._closed_at[0]:.0f} s: check whether another client uses the client_id "
            f"{client_id!r} (each disconnects the other), and give each service its own "
            "mqtt.client_id; the broker's log may state the reason"
        )


def _is_recent(refusal: tuple[str, float], now: float) -> bool:
    return now - refusal[1] < _LIMIT_SECONDS
