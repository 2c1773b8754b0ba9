"""Topics that are retained at an MQTT broker, so that a later run can clear obsolete ones.

The file `announced.json` in the data folder stores the topics by broker. A topic is added before it
is published, and removed when the broker has acknowledged that it is cleared.
"""

import json
import logging
import threading
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.telemetry.atomic_write import write_private
from pipeline.telemetry.damaged_files import put_aside

LOG = logging.getLogger(__name__)

ANNOUNCED_NAME = "announced.json"
_BROKERS: TypeAdapter[dict[str, list[str]]] = TypeAdapter(dict[str, list[str]])


class RetainedState:
    """Retained topics of one broker; thread-safe."""

    def __init__(self, path: Path, broker: str) -> None:
        """Read the file, if it exists; an unreadable file is moved aside.

        Args:
            path: Path of the file.
            broker: Host and port.
        """
        self._path = path
        self._broker = broker
        self._lock = threading.Lock()
        self._changed = False
        self._brokers: dict[str, list[str]] = {}
        try:
            self._brokers = _BROKERS.validate_json(path.read_bytes())
        except FileNotFoundError:
            pass
        except ValidationError:
            self._put_aside("want JSON with topics by broker, got something else")
        except OSError as error:
            self._put_aside(error.strerror or "cannot be read")
        self._topics = set(self._brokers.get(broker, ()))

    @property
    def topics(self) -> frozenset[str]:
        """The topics that are retained."""
        with self._lock:
            return frozenset(self._topics)

    def add(self, topic: str) -> None:
        """Add a topic that is about to be published."""
        with self._lock:
            if topic not in self._topics:
                self._topics.add(topic)
                self._changed = True

    def remove(self, topic: str) -> None:
        """Remove a topic that the broker has cleared."""
        with self._lock:
            if topic in self._topics:
                self._topics.discard(topic)
                self._changed = True

    def save(self) -> None:
        """Write the file if the topics have changed; a failed write waits for the next change."""
        with self._lock:
            if not self._changed:
                return
            self._changed = False
            self._brokers[self._broker] = sorted(self._topics)
            content = json.dumps(self._brokers, indent=1).encode()
        try:
            write_private(self._path, content)
        except OSError as error:
            LOG.warning("%s: cannot be written: %s", self._path, error.strerror)

    def _put_aside(self, reason: str) -> None:
        try:
            put_aside(self._path, reason)
        except OSError as error:
            LOG.warning("%s: %s, and it cannot be moved: %s", self._path, reason, error.strerror)
