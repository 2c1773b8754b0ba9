"""Which messages a broker does not take, and what can be said of connections that are lost. Pure.

MQTT 3.1.1 has no way to refuse a message: a broker that does not want one, as it is too large, ends
the connection. A message on which that happens again and again, while others are taken, is left
out.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

Message: TypeAlias = tuple[str, int]
"""Topic, and a hash of the content."""

MOST_LOSSES = 3
"""Connections that one message may cost."""
_LEAST_LIMIT_BYTES = 1024
_LIMIT_SECONDS = 3600.0
_NEARLY = 0.5  # of a size that was too large: as suspect as that, unless as much was taken
_WINDOW_SECONDS = 120.0
_MANY_LOSSES = 3


@dataclass(slots=True)
class _Loss:
    count: int = 0
    others_taken: bool = False


class Losses:
    """Of one broker; times in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._losses: dict[Message, _Loss] = {}
        self._refused: dict[Message, tuple[str, float]] = {}
        self._largest_bytes = 0
        self._limit: tuple[int, float] | None = None
        self._closed_at: deque[float] = deque(maxlen=_MANY_LOSSES)

    def taken(self, message: Message, size_bytes: int) -> None:
        """The broker has acknowledged a message."""
        self._largest_bytes = max(self._largest_bytes, size_bytes)
        self._losses.pop(message, None)
        for loss in self._losses.values():
            loss.others_taken = True

    def lost(self, message: Message | None, now: float) -> bool:
        """A connection that the broker had accepted is gone.

        Args:
            message: What was on its way; None: nothing.
            now: Monotonic seconds.

        Returns:
            Whether it looks as if that message was the cause.
        """
        self._closed_at.append(now)
        if message is None:
            return False
        loss = self._losses.setdefault(message, _Loss())
        loss.count += 1
        return loss.others_taken or loss.count == 1

    def refusal(self, message: Message, size_bytes: int, now: float) -> str:
        """Why a message must not be sent; empty: it may.

        Args:
            message: The message.
            size_bytes: Of its content.
            now: Monotonic seconds.
        """
        loss = self._losses.get(message)
        if loss is not None and loss.others_taken and loss.count >= MOST_LOSSES:
            del self._losses[message]
            self._closed_at.clear()
            if size_bytes >= _LEAST_LIMIT_BYTES:
                self._limit = size_bytes, now
            reason = (
                f"the broker closed the connection {loss.count} times on this message of "
                f"{size_bytes} bytes, and takes others; look for a limit of size (in mosquitto "
                "max_packet_size or message_size_limit) or of rights on its topic"
            )
            self._refused = {
                one: told for one, told in self._refused.items() if _is_young(told, now)
            }
            self._refused[message] = reason, now
            return reason
        known = self._refused.get(message)
        if known is not None and _is_young(known, now):
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
        """What to try when accepted connections are lost again and again; empty: nothing yet."""
        many = len(self._closed_at) == _MANY_LOSSES
        if not many or now - self._closed_at[0] > _WINDOW_SECONDS:
            return ""
        if any(loss.count > 1 for loss in self._losses.values()):
            return ""  # it is a message
        return (
            f"; it has accepted and closed {_MANY_LOSSES} connections within "
            f"{now - self._closed_at[0]:.0f} s: see whether another client has the client_id "
            f"{client_id!r} (each throws the other out), and give each service its own "
            "mqtt.client_id; the broker's log may say more"
        )


def _is_young(told: tuple[str, float], now: float) -> bool:
    return now - told[1] < _LIMIT_SECONDS
