"""How far a file camera got, on disk, so that a restarted ingest worker goes on where it was."""

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from pipeline.ingest.in_flight import Progress

LOG = logging.getLogger(__name__)


class ProgressFile:
    """One small JSON file; only good for the run that wrote it."""

    def __init__(self, path: Path, run_started_ms: int) -> None:
        self._path = path
        self._run_started_ms = run_started_ms
        self._saved: Progress | None = None

    def load(self) -> Progress | None:
        """What an earlier worker of this run saved; None: begin at the start."""
        try:
            data = json.loads(self._path.read_text())
            if data.pop("run_started_ms") != self._run_started_ms:
                return None
            if not all(isinstance(value, int) for value in data.values()):
                raise ValueError(f"want whole numbers, got {data}")
            return Progress(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            LOG.warning("%s: beginning anew, as it is unusable: %s", self._path, error)
            return None

    def save(self, progress: Progress | None) -> None:
        """Replace the file in one step, if there is anything new to say.

        Raises:
            OSError: it cannot be written.
        """
        if progress is None or progress == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".tmp")
        partial.write_text(json.dumps({"run_started_ms": self._run_started_ms, **asdict(progress)}))
        os.replace(partial, self._path)
        self._saved = progress
